"""A loopback language model for tests; this file speaks the wire formats of Gemini, OpenAI and Anthropic.

It answers what a test scripted, in order, and keeps every byte that it received. The path of a request decides the
format. What it does not imitate: limits on schemas, thinking, counting of tokens.
"""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Literal, Self

Finish = Literal["stop", "length", "refused", "none"]
GEMINI_FINISH = {"stop": "STOP", "length": "MAX_TOKENS", "refused": "SAFETY"}
OPENAI_FINISH = {"stop": "stop", "length": "length", "refused": "content_filter"}
ANTHROPIC_FINISH = {"stop": "end_turn", "length": "max_tokens", "refused": "refusal"}


@dataclass(frozen=True)
class Reply:
    """One scripted answer; ``status`` other than 200 is an error of that kind.

    ``retry_delay`` goes into RetryInfo; ``pause_seconds`` lies before each chunk; ``signature`` is the thought
    signature of the last part; ``is_endless`` goes on sending the text; ``drops`` closes the connection midway;
    ``raw`` is sent as it is.
    """

    text: str = ""
    chunks: int = 3
    finish: Finish = "stop"
    status: int = 200
    message: str = "refused by the test"
    reason: str = ""
    retry_delay: str = ""
    pause_seconds: float = 0.0
    signature: str = ""
    thoughts: str = ""
    has_usage: bool = True
    is_endless: bool = False
    drops: bool = False
    is_blocked: bool = False
    raw: bytes | None = None


@dataclass(frozen=True)
class Received:
    """One request as it arrived; ``bytes`` is everything, headers included."""

    path: str
    headers: dict[str, str]
    content: bytes

    @property
    def bytes(self) -> bytes:
        head = "\n".join([self.path, *(f"{name}: {value}" for name, value in self.headers.items())])
        return head.encode() + b"\n\n" + self.content

    @property
    def body(self) -> dict[str, Any]:
        found = json.loads(self.content)
        assert isinstance(found, dict)
        return found

    @property
    def texts(self) -> list[str]:
        """The texts of the request, system text first, whatever the format."""
        body = self.body
        if "contents" in body:
            turns = [body.get("systemInstruction", {"parts": []}), *body["contents"]]
            return ["".join(part.get("text", "") for part in turn["parts"]) for turn in turns]
        said = [*([body["system"]] if "system" in body else []), *(turn["content"] for turn in body["messages"])]
        return [turn if isinstance(turn, str) else "".join(part["text"] for part in turn) for turn in said]


@dataclass
class ModelServer:
    """Answers ``replies`` one after another, the last one again and again; a context manager."""

    replies: list[Reply] = field(default_factory=list)
    received: list[Received] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.script = self
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def environment(self) -> dict[str, str]:
        """Variables that lead every provider here."""
        return {
            "GOOGLE_API_KEY": "test-key-google",
            "GOOGLE_GEMINI_BASE_URL": self.url,
            "OPENAI_API_KEY": "test-key-openai",
            "OPENAI_BASE_URL": f"{self.url}/v1",
            "ANTHROPIC_API_KEY": "test-key-anthropic",
            "ANTHROPIC_BASE_URL": self.url,
            "OLLAMA_BASE_URL": f"{self.url}/v1",
        }

    def take(self, request: Received) -> Reply:
        """Keep the request and return the reply that is its turn."""
        with self._lock:
            self.received.append(request)
            return self.replies[min(len(self.received), len(self.replies)) - 1]


class _Server(ThreadingHTTPServer):
    script: ModelServer
    daemon_threads = True


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        reply = self.server.script.take(Received(self.path, dict(self.headers.items()), content))
        form = "gemini" if "enerateContent" in self.path else "openai" if "completions" in self.path else "anthropic"
        try:
            if reply.raw is not None:
                self._start(200, "text/event-stream")
                self.wfile.write(reply.raw)
            elif reply.status != 200:
                self._start(reply.status, "application/json")
                self.wfile.write(json.dumps(_error(form, reply)).encode())
            else:
                self._start(200, "text/event-stream")
                for chunk in _stream(form, reply):
                    time.sleep(reply.pause_seconds)
                    self.wfile.write(chunk)
                    self.wfile.flush()
        except (BrokenPipeError, ConnectionResetError):
            pass  # the client has had enough, which is what some tests are about

    def _start(self, status: int, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Connection", "close")
        self.end_headers()

    def log_message(self, *arguments: Any) -> None:
        pass


def _stream(form: str, reply: Reply) -> Iterator[bytes]:
    makers = {"gemini": _gemini, "openai": _openai, "anthropic": _anthropic}
    yield from makers[form](reply)


def _parts(reply: Reply) -> Iterator[str]:
    cuts = [len(reply.text) * number // reply.chunks for number in range(reply.chunks + 1)]
    pieces = [reply.text[start:end] for start, end in itertools.pairwise(cuts)]
    yield from pieces
    while reply.is_endless:
        yield from pieces


def _gemini(reply: Reply) -> Iterator[bytes]:
    usage = {"promptTokenCount": 120, "candidatesTokenCount": 30, "thoughtsTokenCount": 20, "totalTokenCount": 170}
    common: dict[str, Any] = {"modelVersion": "gemini-3-flash-preview", "responseId": "made-here"}
    if reply.has_usage:
        common["usageMetadata"] = usage
    if reply.is_blocked:
        yield _event({"promptFeedback": {"blockReason": "SAFETY"}, **common})
        return
    if reply.thoughts:
        thought = {"parts": [{"text": reply.thoughts, "thought": True}], "role": "model"}
        yield _event({"candidates": [{"content": thought, "index": 0}], **common})
    for number, piece in enumerate(_parts(reply), start=1):
        part: dict[str, Any] = {"text": piece}
        candidate: dict[str, Any] = {"content": {"parts": [part], "role": "model"}, "index": 0}
        if number == reply.chunks and not reply.is_endless:
            if reply.drops:
                return
            if reply.signature:
                part["thoughtSignature"] = reply.signature
            if reply.finish != "none":
                candidate["finishReason"] = GEMINI_FINISH[reply.finish]
        yield _event({"candidates": [candidate], **common})


def _openai(reply: Reply) -> Iterator[bytes]:
    common: dict[str, Any] = {"id": "made-here", "object": "chat.completion.chunk", "created": 1, "model": "test-model"}
    for piece in _parts(reply):
        delta = {"role": "assistant", "content": piece}
        yield _event({**common, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
    if reply.drops:
        return
    last: dict[str, Any] = {**common, "choices": [{"index": 0, "delta": {}, "finish_reason": None}]}
    last["choices"][0]["finish_reason"] = OPENAI_FINISH.get(reply.finish)
    if reply.has_usage:
        last["usage"] = {"prompt_tokens": 120, "completion_tokens": 50, "total_tokens": 170}
    yield _event(last)
    yield b"data: [DONE]\n\n"


def _anthropic(reply: Reply) -> Iterator[bytes]:
    start = {"id": "made-here", "type": "message", "role": "assistant", "content": [], "model": "test-model"}
    ends: dict[str, Any] = {"stop_reason": None, "stop_sequence": None}
    yield _named(
        {"type": "message_start", "message": {**start, **ends, "usage": {"input_tokens": 120, "output_tokens": 1}}}
    )
    yield _named({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}})
    for piece in _parts(reply):
        yield _named({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": piece}})
    yield _named({"type": "content_block_stop", "index": 0})
    stop = {"stop_reason": ANTHROPIC_FINISH.get(reply.finish), "stop_sequence": None}
    yield _named({"type": "message_delta", "delta": stop, "usage": {"output_tokens": 50}})
    yield _named({"type": "message_stop"})


def _event(content: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(content, ensure_ascii=False)}\n\n".encode()


def _named(content: dict[str, Any]) -> bytes:
    return f"event: {content['type']}\n".encode() + _event(content)


def _error(form: str, reply: Reply) -> dict[str, Any]:
    names = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND"}
    names |= {429: "RESOURCE_EXHAUSTED", 500: "INTERNAL", 503: "UNAVAILABLE"}
    if form == "gemini":
        details: list[dict[str, Any]] = []
        if reply.retry_delay:
            details.append({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": reply.retry_delay})
        if reply.reason:
            details.append({"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reply.reason})
        error = {"code": reply.status, "message": reply.message, "status": names.get(reply.status, "UNKNOWN")}
        return {"error": {**error, "details": details}}
    return {"error": {"message": reply.message, "type": "invalid_request_error", "code": reply.reason or None}}
