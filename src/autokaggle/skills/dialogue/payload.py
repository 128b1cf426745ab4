"""What is said to a language model before the gate has seen it; this file holds sections and prompts, no behaviour."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from autokaggle.skills.dialogue.language_model import Message, Thinking

Voice = Literal["program", "outside", "person"]

FIRST_MESSAGE_TOKENS = 6_000


@dataclass(frozen=True)
class Section:
    """One part of a message. What comes from outside is quoted as data, what the person says as the person's.

    ``without_values`` is the same without a cell value of the data set, None where ``text`` holds none.
    """

    name: str
    text: str
    voice: Voice = "outside"
    source: str = ""
    without_values: str | None = None


@dataclass(frozen=True)
class Prompt:
    """One question to a language model.

    ``levels`` are alternatives for the material, the fullest first; the gate takes the first that fits
    ``budget_tokens``. ``request`` is what is asked, and stands last. ``history`` are earlier turns, as sent and as
    answered. ``files`` and ``sha256`` say which prompt files it was made from.
    """

    operation: str
    system: str
    levels: tuple[tuple[Section, ...], ...]
    request: str
    files: tuple[str, ...] = ()
    sha256: str = ""
    form: Mapping[str, Any] | None = None
    history: tuple[Message, ...] = ()
    budget_tokens: int = FIRST_MESSAGE_TOKENS
    max_output_tokens: int = 16_384
    thinking: Thinking = "low"
    timeout_seconds: float = 120.0


@dataclass(frozen=True)
class Payload:
    """What would be sent, after the gate; ``level`` is which of the prompt's levels fitted."""

    system: str
    text: str
    level: int
    tokens: int
    removed: Mapping[str, int]
