"""HTTP on the loopback interface; this file reads requests, delivers replies (cut, slow or misannounced when told so)
and stops without leaving a thread behind.

It binds 127.0.0.1 and nothing else, and knows nothing of Kaggle.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import http.server
import socket
import struct
import sys
import termios
import threading
import urllib.parse
from collections.abc import Callable, Iterator
from typing import Any

from autokaggle.practice.replies import FileSlice, Refusal, Reply
from autokaggle.practice.request_log import Request

LOOPBACK = "127.0.0.1"
IDLE_SECONDS = 30.0
LARGEST_BODY_BYTES = 512 * 1024 * 1024
CHUNK_BYTES = 256 * 1024
SLOW_TICK_SECONDS = 0.05
DRAIN_TICK_SECONDS = 0.005
DRAIN_TICKS = 1000


class LoopbackServer:
    """Serve ``answer`` on a port of 127.0.0.1, one thread per connection.

    ``accepted_bytes`` says how much of a request's body may arrive before the connection is cut, None for all of it.
    A request whose body was cut is answered like any other, but the answer is not sent.
    """

    def __init__(
        self,
        answer: Callable[[Request], Reply],
        *,
        port: int = 0,
        accepted_bytes: Callable[[Request], int | None] = lambda request: None,
    ) -> None:
        self.stopping = threading.Event()
        self.answer = answer
        self.accepted_bytes = accepted_bytes
        self._server = _Server((LOOPBACK, port), _Connection)
        self._server.front = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="practice-kaggle")

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def start(self) -> None:
        """Begin to answer, in a thread of its own."""
        self._thread.start()

    def stop(self) -> None:
        """Refuse new connections, close the open ones and wait until every thread has ended."""
        self.stopping.set()
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.close_connections()
        self._server.server_close()


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = False
    block_on_close = True
    request_queue_size = 128
    front: LoopbackServer

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._lock = threading.Lock()
        self._connections: set[socket.socket] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._connections.discard(request)
        super().shutdown_request(request)

    def close_connections(self) -> None:
        with self._lock:
            open_connections = tuple(self._connections)
        for connection in open_connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Stay silent when a client goes away, which clients under test do on purpose."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Connection(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "PracticeKaggle"
    sys_version = ""
    timeout = IDLE_SECONDS
    # Headers and body are separate writes: with Nagle's algorithm each answer would wait 40 ms for an acknowledgement.
    disable_nagle_algorithm = True
    server: _Server

    def do_GET(self) -> None:
        self._exchange()

    do_HEAD = do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815 - the names that http.server calls

    def log_message(self, *_: Any) -> None:
        """Print nothing: the request log remembers."""

    def _exchange(self) -> None:
        try:
            length = self._body_length()
        except Refusal as refusal:
            self.close_connection = True
            self.send_error(refusal.status, refusal.message)
            return
        request = self._receive(length)
        reply = self.server.front.answer(request)
        if request.whole:
            self._deliver(reply)
        else:
            self._reset()

    def _body_length(self) -> int:
        announced = self.headers.get("content-length", "0")
        if "transfer-encoding" in self.headers:
            raise Refusal(411, "Length Required")
        if not (announced.isascii() and announced.isdigit()):
            raise Refusal(400, "Bad Content-Length")
        if int(announced) > LARGEST_BODY_BYTES:
            raise Refusal(413, "Body Too Large")
        return int(announced)

    def _receive(self, length: int) -> Request:
        # A client that uses this server as its proxy sends the whole URL; the path is what counts then, too.
        address = urllib.parse.urlsplit(self.path)
        head = Request(
            method=self.command,
            path=urllib.parse.unquote(address.path),
            query=dict(urllib.parse.parse_qsl(address.query)),
            headers={name.lower(): value for name, value in self.headers.items()},
        )
        limit = self.server.front.accepted_bytes(head)
        body = self._read(length if limit is None else min(limit, length))
        return dataclasses.replace(head, body=body, whole=len(body) == length)

    def _read(self, length: int) -> bytes:
        received = bytearray()
        with contextlib.suppress(ConnectionError, TimeoutError):
            while len(received) < length:
                chunk = self.rfile.read1(min(CHUNK_BYTES, length - len(received)))
                if not chunk:
                    break
                received += chunk
        return bytes(received)

    def _reset(self) -> None:
        """Close with a TCP reset, as a connection that breaks does, instead of a tidy end."""
        self.close_connection = True
        with contextlib.suppress(OSError):
            self._drain()
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            # The socket's own close is what sends the reset; makefile() holds a reference that would delay it.
            self.rfile.close()
            self.connection.close()

    def _drain(self) -> None:
        """Wait until the client's side has what was sent: a reset throws away what still waits here."""
        for _ in range(DRAIN_TICKS):
            waiting = fcntl.ioctl(self.connection, termios.TIOCOUTQ, struct.pack("i", 0))
            if not any(waiting) or self.server.front.stopping.wait(DRAIN_TICK_SECONDS):
                return

    def _deliver(self, reply: Reply) -> None:
        size = reply.body.length if isinstance(reply.body, FileSlice) else len(reply.body)
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(max(0, size + reply.delivery.length_delta)))
        if reply.delivery.length_delta:
            self.close_connection = True
        self.end_headers()
        if self.command != "HEAD":
            self._send_body(reply)

    def _send_body(self, reply: Reply) -> None:
        left = reply.delivery.cut_after_bytes
        for chunk in _chunks(reply):
            self.wfile.write(chunk if left is None else chunk[:left])
            if left is not None:
                left -= len(chunk)
                if left <= 0:
                    self._reset()
                    return
            if reply.delivery.bytes_per_second and self.server.front.stopping.wait(SLOW_TICK_SECONDS):
                self._reset()
                return


def _chunks(reply: Reply) -> Iterator[bytes]:
    """Yield the body in pieces; a slow one in pieces that are due every tick."""
    rate = reply.delivery.bytes_per_second
    piece = max(1, int(rate * SLOW_TICK_SECONDS)) if rate else CHUNK_BYTES
    if isinstance(reply.body, bytes):
        for start in range(0, len(reply.body), piece):
            yield reply.body[start : start + piece]
        return
    with reply.body.path.open("rb") as stream:
        stream.seek(reply.body.start)
        left = reply.body.length
        while left > 0 and (chunk := stream.read(min(piece, left))):
            left -= len(chunk)
            yield chunk
