"""Language models over the network; this file is the only one that imports the provider library, and only when asked.

It retries what passes (429, 5xx, broken connections) within the request's time, waits as long as the provider asks,
and turns every way in which a call can fail into a ``ModelFailure``. It never shows a key.
"""

from __future__ import annotations

import asyncio
import functools
import importlib
import random
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from autokaggle.skills.dialogue.background import in_background
from autokaggle.skills.dialogue.language_model import (
    Answer,
    FailureKind,
    Message,
    ModelFailure,
    ModelRequest,
    OnText,
    Usage,
)
from autokaggle.skills.dialogue.model_names import KEYS, Kind, ModelAddress

if TYPE_CHECKING:
    from pydantic_ai.messages import ModelMessage, ModelResponse
    from pydantic_ai.models import Model

T = TypeVar("T")

TRIES = 3
FIRST_WAIT_SECONDS = 1.0
LONGEST_WAIT_SECONDS = 60.0
# An answer longer than its cap on tokens allows is cut here, whatever the server goes on sending.
MOST_CHARACTERS_PER_TOKEN = 10
CHARACTERS_PER_TOKEN = 4
PASSING: tuple[FailureKind, ...] = ("busy", "network")


class ProviderModel:
    """A model of Google, OpenAI, Anthropic, Ollama, or of any server that speaks the OpenAI format."""

    def __init__(self, address: ModelAddress, tries: int = TRIES, sleep: Callable[[float], None] = time.sleep) -> None:
        self._address = address
        self._tries = tries
        self._sleep = sleep
        self._knows_schemas = True

    @property
    def name(self) -> str:
        return self._address.name

    @property
    def is_local(self) -> bool:
        return self._address.is_local

    def ask(self, request: ModelRequest, on_text: OnText) -> Answer:
        """See ``LanguageModel.ask``; the time limit covers all tries, and loading the provider's library."""
        started = time.monotonic()
        ends = started + request.timeout_seconds
        try:
            load_library(self._address.kind).result(request.timeout_seconds)
        except TimeoutError as error:
            raise self._failure("timeout", "was not asked: its library was not loaded in time") from error
        for attempt in range(1, self._tries + 1):
            try:
                return self._ask_once(request, ends, started, on_text)
            except _Passing as passing:
                wait = _wait_seconds(passing.retry_after, attempt)
                # Written so that a wait that is no number is none either.
                if attempt == self._tries or not wait < min(LONGEST_WAIT_SECONDS, ends - time.monotonic()):
                    raise passing.failure from passing.__cause__
                self._sleep(wait)
        raise AssertionError("every try returns or raises")

    def _ask_once(self, request: ModelRequest, ends: float, started: float, on_text: OnText) -> Answer:
        left = max(0.1, ends - time.monotonic())
        request = replace(request, timeout_seconds=left)
        try:
            try:
                response = asyncio.run(self._stream(request, on_text))
            except ModelFailure as failure:
                # Servers that know no JSON Schema reject the request; the prompt says the form in words as well.
                if failure.kind != "rejected" or request.schema is None or self._address.kind != "compatible":
                    raise
                self._knows_schemas = False
                response = asyncio.run(self._stream(request, on_text))
        except TimeoutError as error:
            raise self._failure("timeout", f"did not answer within {left:.0f} s") from error
        return self._answer(request, response, time.monotonic() - started)

    async def _stream(self, request: ModelRequest, on_text: OnText) -> ModelResponse:
        from pydantic_ai import exceptions

        loop = asyncio.get_running_loop()
        # What goes wrong while connections close is no news: the failure itself is told.
        loop.set_exception_handler(lambda loop, context: None)
        loop.set_default_executor(_LeftAlone())
        try:
            async with asyncio.timeout(request.timeout_seconds):
                return await self._receive(request, on_text)
        except (ModelFailure, TimeoutError):
            raise
        except exceptions.ModelAPIError as error:
            raise self._api_failure(error) from error
        except exceptions.UserError as error:
            raise self._failure("rejected", "cannot be asked in this way") from error
        except Exception as error:  # providers' libraries raise anything when a server sends what is no answer
            raise self._failure("malformed", "sent something that is no answer of its kind") from error

    async def _receive(self, request: ModelRequest, on_text: OnText) -> ModelResponse:
        from pydantic_ai.direct import model_request_stream
        from pydantic_ai.settings import ModelSettings

        settings = ModelSettings(
            max_tokens=request.max_output_tokens,
            thinking=request.thinking,
            timeout=request.timeout_seconds,
            request_timeout=request.timeout_seconds,
            max_retries=0,
        )
        parameters = _parameters(request if self._knows_schemas else None)
        most, received = request.max_output_tokens * MOST_CHARACTERS_PER_TOKEN, 0
        model = _build(self._address)
        asked = model_request_stream(
            model, _messages(request), model_settings=settings, model_request_parameters=parameters
        )
        async with model, asked as stream:
            async for event in stream:
                received += _length(event)
                if received > most:
                    raise self._failure("truncated", "sent an answer without end", usage=_cut_usage(request, most))
                if text := stream.get().text:
                    on_text(text)
            return stream.get()

    def _answer(self, request: ModelRequest, response: ModelResponse, seconds: float) -> Answer:
        """Refuse an answer that is not whole: what was cut off may parse, and mean something else."""
        text = response.text or ""
        usage = _usage(request, response)
        if response.finish_reason == "content_filter":
            raise self._failure("refused", "refused to answer, or its safety filter stopped it", usage=usage)
        if response.finish_reason == "length":
            raise self._failure("truncated", "reached its limit on tokens before its answer ended", usage=usage)
        if self._broke_off(response):
            raise _Passing(self._failure("network", "broke off in the middle of its answer", usage=usage), None)
        if response.finish_reason == "error":
            raise self._failure("malformed", "stopped with an error of its own", usage=usage)
        if not text.strip():
            raise self._failure("empty", "sent an empty answer", usage=usage)
        message = Message("model", text, raw=response)
        return Answer(text, message, usage, response.model_name or self._address.model, seconds)

    def _broke_off(self, response: ModelResponse) -> bool:
        """Say whether the stream ended without saying why; small servers never say, and get the benefit of doubt."""
        says_why = "finish_reason" in (response.provider_details or {})
        return not says_why and self._address.kind in KEYS

    def _api_failure(self, error: Any) -> Exception:
        kind = _kind(error)
        if kind == "timeout":
            return TimeoutError()
        failure = self._failure(kind, _WORDS[kind], _next_step(kind, self._address, error.retry_after))
        return _Passing(failure, error.retry_after) if kind in PASSING else failure

    def _failure(self, kind: FailureKind, what: str, next_step: str = "", usage: Usage | None = None) -> ModelFailure:
        return ModelFailure(kind, f"The language model {self.name} {what}.", next_step, usage)


@functools.cache
def load_library(kind: Kind) -> Future[None]:
    """Begin to load the provider's library in a thread of its own, once; it takes seconds."""
    library = {"google": "google", "anthropic": "anthropic", "ollama": "ollama"}.get(kind, "openai")

    def load() -> None:
        importlib.import_module("pydantic_ai.direct")
        importlib.import_module(f"pydantic_ai.models.{library}")

    return in_background(load, "load language model")


class _LeftAlone(ThreadPoolExecutor):
    """Threads that look names up: that cannot be stopped, and nobody waits for it, nor does the end of the program."""

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        return in_background(functools.partial(fn, *args, **kwargs), "look up a name")


class _Passing(Exception):
    """A failure that may pass; ``retry_after`` is what the provider asked for, in seconds."""

    def __init__(self, failure: ModelFailure, retry_after: float | None) -> None:
        super().__init__(failure.message)
        self.failure = failure
        self.retry_after = retry_after


_WORDS: dict[FailureKind, str] = {
    "key": "does not take the key",
    "unknown_model": "is not known to its provider",
    "quota": "answers no more: the account's quota is used up",
    "busy": "is overloaded, or asked too often",
    "network": "cannot be reached",
    "malformed": "sent something that is no answer of its kind",
    "too_long": "takes no message of this length",
    "rejected": "rejected the request",
}


def _kind(error: Any) -> FailureKind:
    from pydantic_ai import exceptions

    kind: FailureKind
    said = error.body
    # The first that fits counts: categories are subclasses of each other.
    kinds: list[tuple[type[Exception], FailureKind]] = [
        (exceptions.ModelRequestTimeout, "timeout"),
        (exceptions.ModelTimeoutError, "timeout"),
        (exceptions.ModelConnectionError, "network"),
        (exceptions.ModelQuotaExceededError, "quota"),
        (exceptions.ModelRateLimitError, "busy"),
        (exceptions.ModelUnavailableError, "busy"),
        (exceptions.ModelServerError, "busy"),
        (exceptions.ModelContextWindowExceededError, "too_long"),
        (exceptions.ModelNotFoundError, "unknown_model"),
        (exceptions.ModelAuthenticationError, "key"),
        (exceptions.ModelHTTPError, "rejected"),
    ]
    for category, kind in kinds:
        if isinstance(error, category):
            # Google says so as an invalid argument, and not every server in between keeps the reason.
            return "key" if kind == "rejected" and "api key" in str(said).lower() else kind
    return "malformed"


def _next_step(kind: FailureKind, address: ModelAddress, retry_after: float | None) -> str:
    if kind == "key" and address.kind in KEYS:
        variables, page = KEYS[address.kind]
        return f"Check {' or '.join(variables)}; a new key comes from {page}."
    if kind == "unknown_model":
        return "Check the name given with --model."
    if kind == "busy" and retry_after is not None:
        return f"It asks to be left alone for {retry_after:.0f} s."
    if kind == "network" and address.url:
        return f"Is a server running at {address.url}?"
    return ""


def _wait_seconds(retry_after: float | None, attempt: int) -> float:
    if retry_after is not None:
        return max(retry_after, 0.0)
    # Spread by chance, so that several runs do not come back at the same moment.
    spread: float = random.uniform(0.5, 1.5)  # noqa: S311 - no secret depends on it
    return FIRST_WAIT_SECONDS * spread * float(2 ** (attempt - 1))


def _build(address: ModelAddress) -> Model[Any]:
    if address.kind == "google":
        from pydantic_ai.models.google import GoogleModel
        from pydantic_ai.providers.google import GoogleProvider

        return GoogleModel(address.model, provider=GoogleProvider(api_key=address.key, base_url=address.url))
    if address.kind == "anthropic":
        from pydantic_ai.models.anthropic import AnthropicModel
        from pydantic_ai.providers.anthropic import AnthropicProvider

        return AnthropicModel(address.model, provider=AnthropicProvider(api_key=address.key, base_url=address.url))
    from pydantic_ai.models.openai import OpenAIChatModel

    if address.kind == "openai":
        from pydantic_ai.providers.openai import OpenAIProvider

        return OpenAIChatModel(address.model, provider=OpenAIProvider(api_key=address.key, base_url=address.url))
    from pydantic_ai.profiles.openai import OpenAIModelProfile

    # Small servers know the older name of the limit on tokens alone, and ignore one that they do not know.
    profile = OpenAIModelProfile(openai_chat_supports_max_completion_tokens=False)
    if address.kind == "ollama":
        from pydantic_ai.models.ollama import OllamaModel
        from pydantic_ai.providers.ollama import OllamaProvider

        ollama = OllamaProvider(base_url=address.url, api_key=address.key)
        return OllamaModel(address.model, provider=ollama, profile=profile)
    from pydantic_ai.providers.openai_compatible import OpenAICompatibleProvider

    server = OpenAICompatibleProvider("compatible", base_url=address.url or "", api_key=address.key or "none")
    return OpenAIChatModel(address.model, provider=server, profile=profile)


def _messages(request: ModelRequest) -> list[ModelMessage]:
    from pydantic_ai.messages import ModelRequest as UserTurn
    from pydantic_ai.messages import ModelResponse, TextPart, UserPromptPart

    turns: list[ModelMessage] = []
    for message in request.messages:
        if message.role == "user":
            turns.append(UserTurn(parts=[UserPromptPart(message.text)], instructions=request.system))
        else:
            turns.append(message.raw or ModelResponse(parts=[TextPart(message.text)]))
    return turns


def _parameters(request: ModelRequest | None) -> Any:
    from pydantic_ai.models import ModelRequestParameters
    from pydantic_ai.output import OutputObjectDefinition

    if request is None or request.schema is None:
        return ModelRequestParameters()
    form = OutputObjectDefinition(json_schema=dict(request.schema), name=request.operation)
    return ModelRequestParameters(output_mode="native", output_object=form)


def _length(event: Any) -> int:
    """Characters that an event of the stream brought, thoughts included."""
    delta = getattr(event, "delta", None)
    part = getattr(event, "part", None) if event.event_kind == "part_start" else None
    return len(getattr(delta, "content_delta", None) or getattr(part, "content", None) or "")


def _usage(request: ModelRequest, response: ModelResponse) -> Usage:
    reported = response.usage
    if not reported.input_tokens and not reported.output_tokens:
        written = len(response.text or "")
        return Usage(_characters(request) // CHARACTERS_PER_TOKEN, written // CHARACTERS_PER_TOKEN)
    return Usage(reported.input_tokens, reported.output_tokens, reported.output_reasoning_tokens, is_reported=True)


def _cut_usage(request: ModelRequest, received: int) -> Usage:
    return Usage(_characters(request) // CHARACTERS_PER_TOKEN, received // CHARACTERS_PER_TOKEN)


def _characters(request: ModelRequest) -> int:
    return len(request.system) + sum(len(message.text) for message in request.messages)
