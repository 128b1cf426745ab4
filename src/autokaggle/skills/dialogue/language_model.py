"""The one edge to language models; this file holds what goes in, what comes out, and what can go wrong.

It imports no provider: ``provider_model.py`` does, when a model is opened. Nothing here looks at what is sent; every
request comes through ``payload_gate.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from autokaggle.errors import OutsideWorldError

Thinking = Literal["low", "medium", "high"]
FailureKind = Literal[
    "key",  # the provider does not take the key
    "unknown_model",
    "quota",  # the account's quota or credit is gone
    "busy",  # 429 or 5xx, also after as much waiting as there was time for
    "network",
    "timeout",
    "rejected",  # the request itself, by a 4xx that none of the others names
    "too_long",  # the payload does not fit the model, or our own limit
    "refused",  # a refusal or a safety stop
    "empty",
    "truncated",
    "malformed",  # the answer is not of the form that was asked for
    "cap",  # the limit on cost or tokens
    "replay",  # the recording holds no such answer
]
# What asking again would not mend.
LASTING: tuple[FailureKind, ...] = ("key", "unknown_model", "quota", "cap", "replay")
OnText = Callable[[str], None]


class ModelFailure(OutsideWorldError):
    """A language model gave no usable answer; ``usage`` is what the attempt cost all the same."""

    def __init__(self, kind: FailureKind, message: str, next_step: str = "", usage: Usage | None = None) -> None:
        super().__init__(message, next_step)
        self.kind = kind
        self.usage = usage or Usage()


@dataclass(frozen=True)
class Usage:
    """Tokens of one call; ``output_tokens`` includes ``thinking_tokens``. An estimate unless ``is_reported``."""

    input_tokens: int = 0
    output_tokens: int = 0
    thinking_tokens: int = 0
    is_reported: bool = False


@dataclass(frozen=True)
class Message:
    """One turn; ``raw`` is the provider's own form of a model's turn, sent back as it came (thought signatures)."""

    role: Literal["user", "model"]
    text: str
    raw: Any = field(default=None, repr=False, compare=False)


@dataclass(frozen=True)
class ModelRequest:
    """All of one call. ``schema`` is a JSON Schema for the answer, None for an answer as text."""

    operation: str
    system: str
    messages: tuple[Message, ...]
    schema: Mapping[str, Any] | None = None
    max_output_tokens: int = 16_384
    thinking: Thinking = "low"
    timeout_seconds: float = 120.0


@dataclass(frozen=True)
class Answer:
    """What a model said; ``message`` continues the conversation."""

    text: str
    message: Message
    usage: Usage
    model: str
    seconds: float


class LanguageModel(Protocol):
    """One model that can be asked; ``name`` is ``provider:name``.

    ``is_local`` says that nothing leaves this machine and nothing is charged.
    """

    @property
    def name(self) -> str: ...

    @property
    def is_local(self) -> bool: ...

    def ask(self, request: ModelRequest, on_text: OnText) -> Answer:
        """Ask once, with retries for what passes; ``on_text`` gets all of the answer so far, again and again.

        Raises:
            ModelFailure: there is no answer, or not all of it.
        """
        ...


def silently(text: str) -> None:
    """Listen to nothing."""


def open_model(name: str, environment: Mapping[str, str]) -> LanguageModel:
    """Open a model by the name that a person gives; its key and address come from ``environment``.

    ``replay:`` is not opened here, since it needs a run: see ``scripted_model.py``.

    Raises:
        UsageError: the name makes no sense.
        ActionNeeded: the provider needs a key, and there is none.
    """
    from autokaggle.skills.dialogue.model_names import read_model_name

    address = read_model_name(name, environment)
    from autokaggle.skills.dialogue.provider_model import ProviderModel

    return ProviderModel(address)
