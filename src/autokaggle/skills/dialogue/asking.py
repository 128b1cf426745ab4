"""Questions with typed answers; this file asks again when an answer cannot be used, and says why it could not.

A bad answer is never sent back: the same question goes out with at most three short problems, so that nothing grows.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from autokaggle.skills.dialogue.answers import MalformedAnswer
from autokaggle.skills.dialogue.fencing import harmless
from autokaggle.skills.dialogue.language_model import ModelFailure, OnText, silently
from autokaggle.skills.dialogue.payload import Prompt
from autokaggle.skills.dialogue.payload_gate import Exchange, PayloadGate

T = TypeVar("T")

ATTEMPTS = 3
MOST_PROBLEMS, LONGEST_PROBLEM = 3, 240
MOST_OUTPUT_TOKENS = 65_536
TOO_LONG = "The answer stopped at the limit on tokens. Send it whole and shorter."
UNREADABLE = "The answer was empty or could not be read."


def ask_for(
    gate: PayloadGate, prompt: Prompt, read: Callable[[str], T], on_text: OnText = silently, attempts: int = ATTEMPTS
) -> tuple[T, Exchange]:
    """Ask until ``read`` takes the answer; the prompt's time limit covers all attempts.

    Raises:
        ModelFailure: no attempt gave a usable answer, or one failed in a way that asking again does not mend.
    """
    ends = time.monotonic() + prompt.timeout_seconds
    problems: tuple[str, ...] = ()
    asked = prompt
    for _ in range(attempts):
        asked = replace(asked, request=_request(prompt, problems), timeout_seconds=max(0.0, ends - time.monotonic()))
        if problems and asked.timeout_seconds < 1:
            break
        try:
            exchange = gate.ask(asked, on_text)
            return read(exchange.answer.text), exchange
        except MalformedAnswer as malformed:
            problems = malformed.problems
        except ModelFailure as failure:
            if failure.kind == "truncated":
                # Thoughts count against the same limit: more room, and less thinking.
                room = min(2 * asked.max_output_tokens, MOST_OUTPUT_TOKENS)
                asked = replace(asked, max_output_tokens=room, thinking="low")
                problems = (TOO_LONG,)
            elif failure.kind in ("empty", "malformed"):
                problems = (UNREADABLE,)
            else:
                raise
    last = problems[0] if problems else UNREADABLE
    raise ModelFailure(
        "malformed", f"The language model {gate.model.name} gave no usable answer. It was told: {harmless(last)}"
    )


def _request(prompt: Prompt, problems: tuple[str, ...]) -> str:
    if not problems:
        return prompt.request
    lines = [f"- {' '.join(harmless(problem).split())[:LONGEST_PROBLEM]}" for problem in problems[:MOST_PROBLEMS]]
    return "\n".join([prompt.request, "", "Your last answer could not be used. Answer again, whole, without:", *lines])
