"""Names of language models; this file reads what a person writes, and finds the key and the address that go with it.

It imports no provider and makes no call.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

from autokaggle.errors import ActionNeeded, UsageError

Kind = Literal["google", "openai", "anthropic", "ollama", "compatible"]

FORMS = (
    "Write `gemini-3-flash-preview` (Google), `openai:NAME`, `anthropic:NAME`, `ollama:NAME`, "
    "`http://HOST/v1#NAME` for any server that speaks the OpenAI format, `replay:RUN`, or `none`."
)
# Variables that hold the key, strongest first, and where a person gets one.
KEYS: dict[Kind, tuple[tuple[str, ...], str]] = {
    "google": (("GOOGLE_API_KEY", "GEMINI_API_KEY"), "https://aistudio.google.com/apikey"),
    "openai": (("OPENAI_API_KEY",), "https://platform.openai.com/api-keys"),
    "anthropic": (("ANTHROPIC_API_KEY",), "https://console.anthropic.com/settings/keys"),
}
OPTIONAL_KEYS: dict[Kind, str] = {"ollama": "OLLAMA_API_KEY", "compatible": "AUTOKAGGLE_MODEL_KEY"}
ADDRESSES: dict[Kind, str] = {
    "google": "GOOGLE_GEMINI_BASE_URL",
    "openai": "OPENAI_BASE_URL",
    "anthropic": "ANTHROPIC_BASE_URL",
    "ollama": "OLLAMA_BASE_URL",
}
PROVIDERS: dict[str, Kind] = {"google": "google", "openai": "openai", "anthropic": "anthropic", "ollama": "ollama"}
OLLAMA_HERE = "http://localhost:11434/v1"
LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class ModelAddress:
    """Which model, where, and with which key; ``url`` is None for the provider's own address."""

    kind: Kind
    model: str
    url: str | None = None
    key: str | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        return f"{self.kind}:{self.model}" if self.kind != "compatible" else f"{self.url}#{self.model}"

    @property
    def is_local(self) -> bool:
        """Say whether the model runs on this machine, as Ollama and servers on localhost do."""
        is_here = self.url is not None and urlsplit(self.url).hostname in LOCAL_HOSTS
        return is_here and self.kind in ("ollama", "compatible")


def kind_of(name: str) -> Kind:
    """Return whose library a name needs; what is no name counts as Google's."""
    if name.startswith(("http://", "https://")):
        return "compatible"
    provider, colon, _ = name.partition(":")
    return PROVIDERS.get(provider.lower(), "google") if colon else "google"


def is_built_in(name: str) -> bool:
    """Say whether a name is of a provider that ships, not of a plugin and not a recording."""
    provider, colon, _ = name.partition(":")
    return not colon or provider.lower() in PROVIDERS or name.startswith(("http://", "https://"))


def read_model_name(name: str, environment: Mapping[str, str]) -> ModelAddress:
    """Read ``provider:name``, a bare name (Google's), or ``URL#name``.

    Raises:
        UsageError: the name has none of these forms.
        ActionNeeded: the provider needs a key, and ``environment`` has none.
    """
    if name.startswith(("http://", "https://")):
        url, _, model = name.partition("#")
        if not model or not urlsplit(url).hostname:
            raise UsageError(f"{name!r} does not say which model to ask for.", "Write it like http://HOST/v1#NAME.")
        return ModelAddress("compatible", model, url.rstrip("/"), environment.get(OPTIONAL_KEYS["compatible"]))
    provider, colon, model = name.partition(":")
    # Names of Ollama's models hold colons themselves: `ollama:qwen3:8b`.
    kind: Kind | None = PROVIDERS.get(provider.lower()) if colon else "google"
    model = model if colon else name
    if kind is None or not model.strip() or not model.isprintable():
        raise UsageError(f"{name!r} is no language model.", FORMS)
    address = environment.get(ADDRESSES[kind], OLLAMA_HERE if kind == "ollama" else "").rstrip("/")
    return ModelAddress(kind, model.strip(), address or None, _key(kind, environment))


def _key(kind: Kind, environment: Mapping[str, str]) -> str | None:
    if kind not in KEYS:
        return environment.get(OPTIONAL_KEYS[kind])
    variables, page = KEYS[kind]
    for variable in variables:
        if key := environment.get(variable, "").strip():
            if not key.isascii() or not key.isprintable() or " " in key:
                raise ActionNeeded(f"{variable} is malformed.", f"Copy the key again from {page}.")
            return key
    raise ActionNeeded(
        f"No key for {kind} was found.",
        f"Get one at {page} and set {variables[0]} (environment or .env), or leave out --model: the built-in "
        "strategist needs no key.",
    )
