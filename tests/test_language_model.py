"""The edge to language models: the real client against a loopback server, in every format, with every failure."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any

import pytest

from autokaggle.errors import ActionNeeded, AutoKaggleError, UsageError
from autokaggle.skills.dialogue import provider_model
from autokaggle.skills.dialogue.language_model import (
    LanguageModel,
    Message,
    ModelFailure,
    ModelRequest,
    open_model,
    silently,
)
from autokaggle.skills.dialogue.model_names import KEYS, read_model_name
from autokaggle.skills.dialogue.provider_model import ProviderModel, load_library
from tests.model_server import ModelServer, Reply

MODELS = ("gemini-3-flash-preview", "openai:gpt-5.2", "anthropic:claude-sonnet-5", "ollama:qwen3:8b", "URL#qwen3")
SCHEMA = {
    "type": "object",
    "properties": {"reply": {"type": "string"}},
    "required": ["reply"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module", autouse=True)
def libraries() -> None:
    """Load them first, so that no time limit here has to allow for it."""
    for kind in KEYS:
        load_library(kind).result()


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer() as running:
        yield running


def opened(name: str, server: ModelServer) -> LanguageModel:
    return open_model(name.replace("URL", f"{server.url}/v1"), server.environment)


def request(text: str = "What would you try?", **changes: Any) -> ModelRequest:
    return ModelRequest(**{
        "operation": "chat",
        "system": "You advise.",
        "messages": (Message("user", text),),
        "timeout_seconds": 20.0,
        **changes,
    })  # fmt: skip


def failure(model: LanguageModel, asked: ModelRequest) -> ModelFailure:
    with pytest.raises(ModelFailure) as caught:
        model.ask(asked, silently)
    return caught.value


# ---------------------------------------------------------------- every provider


@pytest.mark.parametrize("name", MODELS)
def test_every_provider_answers_streams_and_counts(name: str, server: ModelServer) -> None:
    server.replies = [Reply("Group folds by farm.")]
    seen: list[str] = []
    answer = opened(name, server).ask(request(), seen.append)
    assert answer.text == "Group folds by farm."
    assert seen[-1] == answer.text
    assert len(seen) >= 3
    assert all(answer.text.startswith(part) for part in seen)
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (120, 50)
    assert answer.usage.is_reported


@pytest.mark.parametrize("name", MODELS)
def test_every_provider_is_asked_for_the_schema_and_told_the_system_text(name: str, server: ModelServer) -> None:
    server.replies = [Reply('{"reply": "yes"}')]
    answer = opened(name, server).ask(request(schema=SCHEMA), silently)
    assert json.loads(answer.text) == {"reply": "yes"}
    (received,) = server.received
    assert received.texts == ["You advise.", "What would you try?"]
    assert '"reply"' in received.content.decode()


def test_gemini_gets_its_own_wire_format(server: ModelServer) -> None:
    server.replies = [Reply('{"reply": "yes"}')]
    opened("gemini-3-flash-preview", server).ask(request(schema=SCHEMA, thinking="medium"), silently)
    (received,) = server.received
    assert received.path.endswith("/models/gemini-3-flash-preview:streamGenerateContent?alt=sse")
    assert received.headers["x-goog-api-key"] == "test-key-google"
    config = received.body["generationConfig"]
    assert config["responseMimeType"] == "application/json"
    assert config["responseJsonSchema"]["required"] == ["reply"]
    assert config["maxOutputTokens"] == 16_384
    assert config["thinkingConfig"]["thinking_level"] == "MEDIUM"
    assert not {"temperature", "topP", "topK"} & set(config)


def test_small_servers_get_the_older_name_of_the_limit_on_tokens(server: ModelServer) -> None:
    server.replies = [Reply("yes")]
    opened("URL#qwen3", server).ask(request(), silently)
    assert server.received[0].body["max_tokens"] == 16_384


def test_a_server_without_schemas_is_asked_again_without_one(server: ModelServer) -> None:
    server.replies = [Reply(status=400, message="response_format is not supported"), Reply('{"reply": "yes"}')]
    model = opened("URL#qwen3", server)
    assert model.ask(request(schema=SCHEMA), silently).text == '{"reply": "yes"}'
    assert ["response_format" in received.body for received in server.received] == [True, False]
    model.ask(request(schema=SCHEMA), silently)
    assert "response_format" not in server.received[-1].body


def test_thought_signatures_go_back_as_they_came(server: ModelServer) -> None:
    server.replies = [Reply("First.", signature="c2lnbmF0dXJl", thoughts="Let me see."), Reply("Second.")]
    model = opened("gemini-3-flash-preview", server)
    first = model.ask(request(), silently)
    model.ask(request(messages=(Message("user", "One?"), first.message, Message("user", "Two?"))), silently)
    turns = server.received[1].body["contents"]
    assert [turn["role"] for turn in turns] == ["user", "model", "user"]
    assert {"text": "First.", "thoughtSignature": "c2lnbmF0dXJl"} in turns[1]["parts"]


def test_thoughts_are_no_part_of_the_answer(server: ModelServer) -> None:
    server.replies = [Reply("Answer.", thoughts="Let me see.")]
    seen: list[str] = []
    assert opened("gemini-3-flash-preview", server).ask(request(), seen.append).text == "Answer."
    assert "see" not in "".join(seen)


# ---------------------------------------------------------------- what can go wrong


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (Reply(status=400, reason="API_KEY_INVALID", message="API key not valid."), "key"),
        (Reply(status=400, message="API key not valid. Please pass a valid API key."), "key"),
        (Reply(status=403), "key"),
        (Reply(status=404, message="models/gemini-3-flash-preview is not found"), "unknown_model"),
        (Reply(status=400, message="The input token count exceeds the maximum number of tokens allowed"), "too_long"),
        (Reply(status=400), "rejected"),
        (Reply("cut of", finish="length"), "truncated"),
        (Reply("", thoughts="thinking and thinking", finish="length"), "truncated"),
        (Reply("I", finish="refused"), "refused"),
        (Reply(is_blocked=True), "refused"),
        (Reply(""), "empty"),
        (Reply(" \n"), "empty"),
        (Reply(raw=b"data: {\"candidates\": 7}\n\n"), "malformed"),
        (Reply(raw=b"data: \xff\xfe not json\n\n"), "malformed"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_each_failure_has_its_kind(reply: Reply, kind: str, server: ModelServer) -> None:
    server.replies = [reply]
    caught = failure(opened("gemini-3-flash-preview", server), request())
    assert caught.kind == kind
    assert "google:gemini-3-flash-preview" in caught.message
    assert "test-key" not in str(caught)
    assert len(server.received) == 1


@pytest.mark.parametrize("name", MODELS[1:])
def test_a_wrong_key_is_said_to_be_one_by_every_provider(name: str, server: ModelServer) -> None:
    server.replies = [Reply(status=401, message="invalid x-api-key")]
    assert failure(opened(name, server), request()).kind == "key"


def test_what_a_cut_answer_cost_is_known(server: ModelServer) -> None:
    server.replies = [Reply("cut of", finish="length")]
    assert failure(opened("gemini-3-flash-preview", server), request()).usage.output_tokens == 50


@pytest.mark.parametrize("status", [429, 500, 503])
def test_what_passes_is_tried_again_after_the_time_that_the_provider_asks_for(status: int, server: ModelServer) -> None:
    server.replies = [Reply(status=status, retry_delay="7.5s"), Reply("now")]
    waits: list[float] = []
    address = read_model_name("gemini-3-flash-preview", server.environment)
    assert ProviderModel(address, sleep=waits.append).ask(request(), silently).text == "now"
    assert waits == [7.5]


def test_tries_end_and_the_last_failure_is_told(server: ModelServer) -> None:
    server.replies = [Reply(status=503)]
    waits: list[float] = []
    address = read_model_name("gemini-3-flash-preview", server.environment)
    assert failure(ProviderModel(address, sleep=waits.append), request()).kind == "busy"
    assert len(server.received) == 3
    # Twice as long as before, each spread by half so that many clients do not come back at once.
    assert 0.5 <= waits[0] <= 1.5
    assert 1.0 <= waits[1] <= 3.0


@pytest.mark.parametrize(("delay", "timeout"), [("50s", 40.0), ("90s", 900.0)], ids=["time left", "patience"])
def test_a_wait_longer_than_there_is_time_or_patience_is_not_waited(
    delay: str, timeout: float, server: ModelServer
) -> None:
    server.replies = [Reply(status=429, retry_delay=delay)]
    waits: list[float] = []
    address = read_model_name("gemini-3-flash-preview", server.environment)
    caught = failure(ProviderModel(address, sleep=waits.append), request(timeout_seconds=timeout))
    assert caught.kind == "busy"
    assert f"left alone for {delay[:-1]} s" in caught.next_step
    assert (waits, len(server.received)) == ([], 1)


def test_a_used_up_quota_is_not_tried_again(server: ModelServer) -> None:
    server.replies = [Reply(status=429, reason="insufficient_quota", message="You exceeded your current quota.")]
    assert failure(opened("openai:gpt-5.2", server), request()).kind == "quota"
    assert len(server.received) == 1


@pytest.mark.parametrize("name", MODELS[:2])
def test_an_answer_that_breaks_off_is_asked_for_again(name: str, server: ModelServer) -> None:
    server.replies = [Reply("half", drops=True), Reply("whole")]
    address = read_model_name(name, server.environment)
    assert ProviderModel(address, sleep=lambda seconds: None).ask(request(), silently).text == "whole"


def test_no_network_is_told_as_such(server: ModelServer) -> None:
    environment = {**server.environment, "GOOGLE_GEMINI_BASE_URL": "http://127.0.0.1:9"}
    address = read_model_name("gemini-3-flash-preview", environment)
    assert failure(ProviderModel(address, sleep=lambda seconds: None), request()).kind == "network"


def test_a_slow_answer_ends_at_the_time_limit(server: ModelServer) -> None:
    server.replies = [Reply("slow", pause_seconds=30.0)]
    started = time.monotonic()
    assert failure(opened("gemini-3-flash-preview", server), request(timeout_seconds=1.0)).kind == "timeout"
    assert time.monotonic() - started < 25


def test_a_name_that_is_looked_up_for_long_keeps_the_time_limit(
    server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    over = threading.Event()
    lookers = []

    def look_up(*arguments: Any, **named: Any) -> None:
        lookers.append(threading.current_thread())
        over.wait(60)
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    address = read_model_name("openai:gpt-5.2", {**server.environment, "OPENAI_BASE_URL": "http://models.example/v1"})
    started = time.monotonic()
    try:
        assert failure(ProviderModel(address), request(timeout_seconds=2.0)).kind == "timeout"
        assert time.monotonic() - started < 30
        assert [looker.daemon for looker in lookers] == [True]  # for others, the end of the program would wait
    finally:
        over.set()


def test_loading_the_library_counts_and_goes_on_beside(server: ModelServer, monkeypatch: pytest.MonkeyPatch) -> None:
    slow: Future[None] = Future()
    monkeypatch.setattr(provider_model, "load_library", lambda kind: slow)
    server.replies = [Reply("yes")]
    model = open_model("gemini-3-flash-preview", server.environment)
    caught = failure(model, request(timeout_seconds=0.1))
    assert caught.kind == "timeout"
    assert "library was not loaded in time" in caught.message
    assert server.received == []
    slow.set_result(None)
    assert model.ask(request(), silently).text == "yes"


def test_a_library_is_loaded_once() -> None:
    assert load_library("google") is load_library("google")


@pytest.mark.parametrize("name", ["gemini-3-flash-preview", "openai:gpt-5.2"])
def test_an_answer_without_end_is_cut(name: str, server: ModelServer) -> None:
    server.replies = [Reply("more and more " * 100, is_endless=True)]
    caught = failure(opened(name, server), request(max_output_tokens=500))
    assert caught.kind == "truncated"
    assert caught.usage.output_tokens > 500


def test_missing_token_counts_are_estimated_and_said_to_be(server: ModelServer) -> None:
    server.replies = [Reply("x" * 400, has_usage=False)]
    usage = opened("gemini-3-flash-preview", server).ask(request("y" * 800), silently).usage
    assert not usage.is_reported
    assert (usage.input_tokens, usage.output_tokens) == ((800 + len("You advise.")) // 4, 100)


def test_ctrl_c_ends_a_call_at_once(server: ModelServer) -> None:
    server.replies = [Reply("first words", chunks=2, pause_seconds=0.3), Reply("next")]
    model = opened("gemini-3-flash-preview", server)

    def interrupt(text: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        model.ask(request(), interrupt)
    assert model.ask(request(), silently).text == "next"


def test_a_model_can_be_asked_from_several_threads(server: ModelServer) -> None:
    server.replies = [Reply("yes", pause_seconds=0.05)]
    model = opened("gemini-3-flash-preview", server)
    said: list[str] = []
    threads = [threading.Thread(target=lambda: said.append(model.ask(request(), silently).text)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert said == ["yes"] * 4


# ---------------------------------------------------------------- names and keys


@pytest.mark.parametrize(
    ("name", "kind", "model"),
    [
        ("gemini-3-flash-preview", "google", "gemini-3-flash-preview"),
        ("google:gemini-3.8-flash", "google", "gemini-3.8-flash"),
        ("OpenAI:gpt-5.2", "openai", "gpt-5.2"),
        ("ollama:qwen3:8b", "ollama", "qwen3:8b"),
        ("http://10.0.0.7:8000/v1#qwen/qwen3-8b", "compatible", "qwen/qwen3-8b"),
    ],
)
def test_names_are_read(name: str, kind: str, model: str) -> None:
    address = read_model_name(name, {"GOOGLE_API_KEY": "g", "OPENAI_API_KEY": "o"})
    assert (address.kind, address.model) == (kind, model)


@pytest.mark.parametrize("name", ["", "google:", "azure:gpt", "http://10.0.0.7/v1", "http://#m", "gem\nini"])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(UsageError):
        read_model_name(name, {"GOOGLE_API_KEY": "g"})


def test_google_key_wins_over_gemini_key() -> None:
    both = {"GEMINI_API_KEY": "second", "GOOGLE_API_KEY": "first"}
    assert read_model_name("gemini-3-flash-preview", both).key == "first"
    assert read_model_name("gemini-3-flash-preview", {"GEMINI_API_KEY": "second"}).key == "second"


@pytest.mark.parametrize("environment", [{}, {"GOOGLE_API_KEY": " "}, {"GOOGLE_API_KEY": "two words"}])
def test_a_missing_or_malformed_key_says_where_to_get_one(environment: dict[str, str]) -> None:
    with pytest.raises(ActionNeeded) as caught:
        read_model_name("gemini-3-flash-preview", environment)
    assert "aistudio.google.com/apikey" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "is_local"),
    [
        ("ollama:qwen3", True),
        ("http://localhost:8000/v1#m", True),
        ("http://10.0.0.7:8000/v1#m", False),
        ("gemini-3-flash-preview", False),
    ],
)
def test_what_stays_on_this_machine_is_known(name: str, is_local: bool) -> None:
    assert read_model_name(name, {"GOOGLE_API_KEY": "g"}).is_local is is_local


def test_keys_never_show(server: ModelServer) -> None:
    address = read_model_name("gemini-3-flash-preview", server.environment)
    assert "test-key" not in repr(address) + repr(vars(ProviderModel(address)))


def test_the_key_of_openai_goes_to_no_other_server(server: ModelServer) -> None:
    server.replies = [Reply("yes")]
    opened("URL#qwen3", server).ask(request(), silently)
    assert "test-key-openai" not in str(server.received[0].headers)


def test_opening_a_model_imports_no_provider() -> None:
    code = (
        "import sys; from autokaggle.skills.dialogue.language_model import open_model; "
        "open_model('gemini-3-flash-preview', {'GOOGLE_API_KEY': 'k'}); "
        "print([name for name in sys.modules if name.startswith(('pydantic_ai', 'google.genai', 'openai'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_failure_is_one_of_ours() -> None:
    assert issubclass(ModelFailure, AutoKaggleError)
    make: Callable[[], ModelFailure] = lambda: ModelFailure("busy", "It is busy.")  # noqa: E731
    assert make().exit_code == 4
