"""What was asked of the practice server; this file keeps every request, so that a test can see what really went out."""

from __future__ import annotations

import threading
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec


@dataclass(frozen=True)
class Request:
    """One HTTP request; header names are in lower case, ``path`` is decoded and has no query.

    ``whole`` is False when the client went away, or was cut off, before the announced body had arrived.
    """

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes = b""
    whole: bool = True

    @property
    def call(self) -> str:
        """The last part of the path, which is the method of an API call: ``GetCompetition``."""
        return urllib.parse.unquote(self.path.rsplit("/", 1)[-1])

    @property
    def authorization(self) -> str:
        """The Authorization header, or an empty text."""
        return self.headers.get("authorization", "")

    def json(self) -> dict[str, Any]:
        """Return the body as a JSON object.

        Raises:
            msgspec.DecodeError: the body is none.
        """
        return msgspec.json.decode(self.body or b"{}", type=dict[str, Any])


@dataclass(frozen=True)
class Exchange:
    """A request and the status that answered it; ``status`` is 0 when the connection was cut instead."""

    request: Request
    status: int


class RequestLog:
    """The exchanges so far, in the order in which they were answered; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._exchanges: list[Exchange] = []

    def add(self, request: Request, status: int) -> None:
        """Append one exchange."""
        with self._lock:
            self._exchanges.append(Exchange(request, status))

    def exchanges(self, call: str | None = None) -> tuple[Exchange, ...]:
        """Return all exchanges, or those of one API method."""
        with self._lock:
            return tuple(each for each in self._exchanges if call is None or each.request.call == call)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._exchanges.clear()
