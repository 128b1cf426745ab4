"""The one door to a language model; this file decides what may leave, records every call, and keeps the account.

Whatever a prompt holds, known secrets and strings that look like keys are removed, text from outside is quoted as data
with its personal data masked, and with ``schema_only`` no section with cell values goes out. Each call leaves one file
in ``logs/prompts/``. Nothing that a model answers changes any of this.
"""

from __future__ import annotations

import datetime as dt
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from autokaggle.records.prompt import PromptCall
from autokaggle.skills.dialogue.fencing import fence, new_nonce
from autokaggle.skills.dialogue.language_model import (
    Answer,
    LanguageModel,
    Message,
    ModelFailure,
    ModelRequest,
    OnText,
    Usage,
    silently,
)
from autokaggle.skills.dialogue.payload import Payload, Prompt
from autokaggle.skills.dialogue.redaction import Redactor
from autokaggle.skills.dialogue.spending import Allowance, Spending, count_tokens
from autokaggle.storage.artifacts import RunFolder
from autokaggle.storage.records_file import write_record

# An answer has half the length of its question, roughly; thoughts included.
EXPECTED_OUTPUT_TOKENS = 2_000


@dataclass(frozen=True)
class Rules:
    """What may leave: ``mask`` replaces personal data in a text by their kinds."""

    redactor: Redactor
    mask: Callable[[str], str]
    schema_only: bool = False


@dataclass(frozen=True)
class Exchange:
    """A question as it was sent, and the answer; both continue the conversation."""

    question: Message
    answer: Answer

    @property
    def turns(self) -> tuple[Message, Message]:
        return (self.question, self.answer.message)


class PayloadGate:
    """Sends prompts to one model for one run; safe to use from several threads."""

    def __init__(
        self,
        model: LanguageModel,
        rules: Rules,
        spending: Spending,
        folder: RunFolder,
        on_call: Callable[[PromptCall], None] = lambda call: None,
        tell: Callable[[str], None] = silently,
    ) -> None:
        self.model = model
        self.rules = rules
        self.spending = spending
        self._folder = folder
        self._on_call = on_call
        self._tell = tell
        self._lock = threading.Lock()
        self._has_asked = False

    def ask(self, prompt: Prompt, on_text: OnText = silently) -> Exchange:
        """Send a prompt and return what came back; what is too long for the model is shortened and sent again.

        The prompt's time limit covers all of it.

        Raises:
            ModelFailure: no usable answer, nothing short enough to send, or a cap is reached.
        """
        ends = time.monotonic() + prompt.timeout_seconds
        if not self.spending.is_priced(prompt.timeout_seconds):
            what = f"The language model {self.model.name} was not asked: its price was not looked up in time."
            raise ModelFailure("timeout", what)
        level = 0
        while True:
            payload = make_payload(prompt, self.rules, level)
            try:
                return self._send(prompt, payload, ends, on_text)
            except ModelFailure as failure:
                level = payload.level + 1
                if failure.kind != "too_long" or level >= len(prompt.levels):
                    raise

    def _send(self, prompt: Prompt, payload: Payload, ends: float, on_text: OnText) -> Exchange:
        before = sum(count_tokens(message.text) for message in prompt.history)
        form = count_tokens(json.dumps(prompt.form)) if prompt.form is not None else 0
        allowance = self.spending.allow(payload.tokens + before + form, prompt.max_output_tokens)
        with self._lock:
            is_first, self._has_asked = not self._has_asked, True
        if is_first:
            said = self.spending.describe(payload.tokens, EXPECTED_OUTPUT_TOKENS)
            self._tell(f"The first message to {self.model.name}: {said}.")
        question = Message("user", payload.text)
        request = ModelRequest(
            operation=prompt.operation,
            system=payload.system,
            messages=(*prompt.history, question),
            schema=prompt.form,
            max_output_tokens=allowance.output_tokens,
            thinking=prompt.thinking,
            timeout_seconds=max(0.0, ends - time.monotonic()),
        )
        record = partial(self._record, prompt, payload, request, allowance, dt.datetime.now(dt.UTC))
        try:
            answer = self.model.ask(request, on_text)
        except ModelFailure as failure:
            record(failure.kind, failure.usage, problem=failure.message)
            raise
        except KeyboardInterrupt:
            # Providers charge at least for the question.
            record("stopped", Usage(payload.tokens + before), problem="stopped by the person")
            raise
        record("answered", answer.usage, answer=answer.text)
        return Exchange(question, answer)

    def _record(
        self,
        prompt: Prompt,
        payload: Payload,
        request: ModelRequest,
        allowance: Allowance,
        started: dt.datetime,
        outcome: str,
        usage: Usage,
        answer: str = "",
        problem: str = "",
    ) -> None:
        cost = self.spending.book(allowance, usage)
        with self._lock:
            recorded = self._folder.all_prompts()
            number = int(recorded[-1].stem) + 1 if recorded else 1
            call = PromptCall(
                number=number,
                time=started.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
                operation=prompt.operation,
                model=self.model.name,
                prompt=prompt.files,
                prompt_sha256=prompt.sha256,
                level=payload.level,
                system=request.system,
                messages=tuple((message.role, message.text) for message in request.messages),
                form=dict(prompt.form) if prompt.form is not None else None,
                thinking=request.thinking,
                max_output_tokens=request.max_output_tokens,
                removed=dict(payload.removed),
                outcome=outcome,
                answer=self.rules.redactor.clean(answer)[0],
                problem=problem,
                input_tokens=usage.input_tokens,
                output_tokens=usage.output_tokens,
                thinking_tokens=usage.thinking_tokens,
                tokens_are_reported=usage.is_reported,
                seconds=round((dt.datetime.now(dt.UTC) - started).total_seconds(), 3),
                cost_usd=round(cost, 6) if self.spending.price.is_known else None,
            )
            write_record(self._folder.prompt(number), call)
        self._on_call(call)


def make_payload(prompt: Prompt, rules: Rules, first_level: int = 0) -> Payload:
    """Return what would be sent: the fullest level, from ``first_level`` on, that fits the prompt's budget.

    Raises:
        ModelFailure: not even the shortest level fits.
    """
    for level in range(first_level, len(prompt.levels)):
        payload = _payload(prompt, rules, level)
        if payload.tokens <= prompt.budget_tokens:
            return payload
    raise ModelFailure(
        "too_long",
        f"What the language model must know takes more than {prompt.budget_tokens:,} tokens: nothing was sent.",
    )


def _payload(prompt: Prompt, rules: Rules, level: int) -> Payload:
    nonce = new_nonce()
    parts, masked = [], 0
    for section in prompt.levels[level]:
        text = section.text
        if rules.schema_only and section.without_values is not None:
            text = section.without_values
        if not text.strip():
            continue
        if section.voice != "program":
            clean = rules.mask(text)
            masked += clean != text
            tag = "person" if section.voice == "person" else "data"
            text = fence(clean, nonce, section.name, section.source, tag)
        parts.append(text)
    text, secrets = rules.redactor.clean("\n\n".join([*parts, prompt.request]))
    system, more = rules.redactor.clean(prompt.system)
    removed = {"secrets": secrets + more, "personal": masked}
    return Payload(system, text, level, count_tokens(system) + count_tokens(text), removed)
