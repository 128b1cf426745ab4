"""Language models that ask nobody; this file has one that says what a script says, and one that repeats a recording.

The scripted one ships for tests and for authors of plugins. The recorded one makes a run again without a key: it
answers what was answered then, call for call, and fails as it failed then.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import cast, get_args

from autokaggle.records.prompt import PromptCall
from autokaggle.skills.dialogue.language_model import (
    Answer,
    FailureKind,
    Message,
    ModelFailure,
    ModelRequest,
    OnText,
    Usage,
)

Line = str | ModelFailure | Callable[[ModelRequest], str]


class ScriptedModel:
    """Says one line of its script after another; ``requests`` keeps what it was asked.

    A line may be a failure, which is raised, or a function of the request.
    """

    name = "scripted"
    is_local = True

    def __init__(self, script: Iterable[Line]) -> None:
        self._script = iter(script)
        self._lock = threading.Lock()
        self.requests: list[ModelRequest] = []

    def ask(self, request: ModelRequest, on_text: OnText) -> Answer:
        """Say the next line, word by word."""
        with self._lock:
            self.requests.append(request)
            line = next(self._script, None)
        if line is None:
            raise ModelFailure("empty", "The script has no more lines.")
        if isinstance(line, ModelFailure):
            raise line
        return _say(line if isinstance(line, str) else line(request), self.name, on_text)


class RecordedModel:
    """Repeats the calls of a run; ``run_id`` names it. Calls are found by operation, in the order of the recording."""

    is_local = True

    def __init__(self, run_id: str, calls: Iterable[PromptCall]) -> None:
        self.name = f"replay:{run_id}"
        self._left = list(calls)
        self._lock = threading.Lock()

    def ask(self, request: ModelRequest, on_text: OnText) -> Answer:
        """Answer as the next recorded call of this operation was answered, or fail as it failed."""
        with self._lock:
            found = next((call for call in self._left if call.operation == request.operation), None)
            if found is None:
                raise ModelFailure(
                    "replay", f"The recording {self.name} holds no further answer to {request.operation!r}."
                )
            self._left.remove(found)
        if found.outcome != "answered":
            kind = found.outcome if found.outcome in get_args(FailureKind) else "replay"
            raise ModelFailure(
                cast(FailureKind, kind), found.problem or f"The recorded call {found.number} was not answered."
            )
        return _say(found.answer, self.name, on_text)


def _say(text: str, name: str, on_text: OnText) -> Answer:
    end = 0
    while end < len(text):
        space = text.find(" ", end + 1)
        end = space if space > 0 else len(text)
        on_text(text[:end])
    if not text.strip():
        raise ModelFailure("empty", f"The language model {name} sent an empty answer.")
    return Answer(text, Message("model", text), Usage(), name, 0.0)
