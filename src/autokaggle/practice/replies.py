"""What goes back to a client; this file holds the reply, the refusal, and the shapes in which Kaggle words an error."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Voice = Literal["flat", "nested", "xml", "html"]

RPC_STATUS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    503: "UNAVAILABLE",
}
STORAGE_CODE = {400: "InvalidArgument", 403: "AccessDenied", 404: "NoSuchKey", 416: "InvalidRange", 429: "SlowDown"}


@dataclass(frozen=True)
class FileSlice:
    """``length`` bytes of the file at ``path``, from ``start`` on."""

    path: Path
    start: int
    length: int


@dataclass(frozen=True)
class Delivery:
    """How the body travels: cut by a reset, slowed down, or announced with a wrong length."""

    cut_after_bytes: int | None = None
    bytes_per_second: int | None = None
    length_delta: int = 0


@dataclass(frozen=True)
class Reply:
    """One HTTP answer; Content-Length is left to the sender."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | FileSlice = b""
    delivery: Delivery = Delivery()


class Refusal(Exception):
    """The request is refused; ``voice`` overrides the voice in which this address words its errors."""

    def __init__(
        self, status: int, message: str, headers: Mapping[str, str] | None = None, voice: Voice | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = dict(headers or {})
        self.voice = voice


def json_reply(fields: Mapping[str, Any]) -> Reply:
    """Return a 200 with ``fields`` as JSON, less those that are None: null breaks the official client."""
    present = {name: value for name, value in fields.items() if value is not None}
    return Reply(200, {"Content-Type": "application/json; charset=utf-8"}, json.dumps(present).encode())


def refusal_reply(refusal: Refusal, voice: Voice) -> Reply:
    """Word ``refusal`` as JSON with a flat or a nested envelope, as the storage's XML, or as a proxy's HTML page."""
    status, message = refusal.status, refusal.message
    spoken = refusal.voice or voice
    if spoken == "flat":
        kind, text = "application/json", json.dumps({"code": status, "message": message})
    elif spoken == "nested":
        name = RPC_STATUS.get(status, "INTERNAL")
        kind, text = "application/json", json.dumps({"error": {"code": status, "message": message, "status": name}})
    elif spoken == "xml":
        code = STORAGE_CODE.get(status, "InternalError")
        kind = "application/xml"
        text = f"<?xml version='1.0' encoding='UTF-8'?><Error><Code>{code}</Code><Message>{message}</Message></Error>"
    else:
        kind, text = "text/html", f"<html><head><title>{status}</title></head><body><h1>{message}</h1></body></html>"
    return Reply(status, {"Content-Type": f"{kind}; charset=utf-8", **refusal.headers}, text.encode())
