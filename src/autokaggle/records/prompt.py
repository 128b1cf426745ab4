"""What a language model was asked; this file holds the record of logs/prompts/NNNN.json."""

from __future__ import annotations

from typing import Any

from autokaggle.records.base import Record


class PromptCall(Record, frozen=True, kw_only=True):
    """One call of a language model: logs/prompts/NNNN.json.

    ``system``, ``messages`` ((role, text), oldest first) and ``form`` (JSON Schema of the answer) are the payload as
    sent. ``prompt_sha256`` covers the prompt files named in ``prompt``. ``outcome`` is "answered" or the kind of
    failure; ``cost_usd`` is None where the price is not known. ``removed`` counts what the gate took out.
    """

    version: int = 1
    number: int
    time: str
    operation: str
    model: str
    prompt: tuple[str, ...] = ()
    prompt_sha256: str = ""
    level: int = 0
    system: str
    messages: tuple[tuple[str, str], ...]
    form: dict[str, Any] | None = None
    thinking: str = ""
    max_output_tokens: int = 0
    removed: dict[str, int] = {}
    outcome: str
    answer: str = ""
    problem: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    thinking_tokens: int = 0
    tokens_are_reported: bool = False
    seconds: float = 0.0
    cost_usd: float | None = None
