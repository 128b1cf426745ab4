"""How submission files arrive; this file opens upload slots and takes files in one piece or in several.

Source: the protocol of resumable uploads to Google Cloud Storage.
"""

from __future__ import annotations

import secrets
import threading
from dataclasses import dataclass, field

from autokaggle.practice.byte_ranges import parse_content_range
from autokaggle.practice.replies import Refusal, Reply
from autokaggle.practice.request_log import Request

UPLOAD_PREFIX = "/upload/"
UPLOAD_PATH = f"{UPLOAD_PREFIX}submissions"


@dataclass
class UploadSlot:
    """A place for one file of ``size_bytes`` bytes; ``content`` is what has arrived so far."""

    token: str
    upload_id: str
    username: str
    file_name: str
    size_bytes: int
    content: bytearray = field(default_factory=bytearray)

    @property
    def is_complete(self) -> bool:
        return len(self.content) == self.size_bytes


class UploadSlots:
    """The slots of all accounts; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_id: dict[str, UploadSlot] = {}
        self._by_token: dict[str, UploadSlot] = {}

    def open(self, username: str, file_name: str, size: int) -> UploadSlot:
        """Return a new, empty slot."""
        slot = UploadSlot(f"upload-{secrets.token_hex(16)}", secrets.token_urlsafe(24), username, file_name, size)
        with self._lock:
            self._by_id[slot.upload_id] = self._by_token[slot.token] = slot
        return slot

    def link(self, host: str, slot: UploadSlot) -> str:
        """Return the address to which the file is PUT."""
        return f"{host}{UPLOAD_PATH}?uploadType=resumable&upload_id={slot.upload_id}"

    def receive(self, request: Request) -> Reply:
        """Answer a PUT: 200 when the file is complete, else 308 with the range that is kept.

        Raises:
            Refusal: 404 for an unknown slot, 400 for credentials, a gap, or a size other than announced.
        """
        if request.method != "PUT" or request.path != UPLOAD_PATH:
            raise Refusal(404, "No such upload")
        if request.authorization:
            raise Refusal(400, "An upload link must be used without an Authorization header")
        with self._lock:
            slot = self._by_id.get(request.query.get("upload_id", ""))
            if slot is None:
                raise Refusal(404, "No such upload")
            _store(slot, request)
            if slot.is_complete:
                return Reply(200, {"Content-Type": "application/json"}, b"{}")
            kept = len(slot.content)
            return Reply(308, {"Range": f"bytes=0-{kept - 1}"} if kept else {})

    def take(self, username: str, token: str) -> UploadSlot:
        """Return the complete file behind ``token`` and close its slot.

        Raises:
            Refusal: 400, the token is unknown, another account's, used already, or its file has not fully arrived.
        """
        with self._lock:
            slot = self._by_token.get(token)
            if slot is None or slot.username != username:
                raise Refusal(400, "The uploaded file was not found; upload it again")
            if not slot.is_complete:
                raise Refusal(
                    400, f"The upload is not complete: {len(slot.content)} of {slot.size_bytes} bytes arrived"
                )
            del self._by_token[token], self._by_id[slot.upload_id]
            return slot


def _store(slot: UploadSlot, request: Request) -> None:
    announced = int(request.headers.get("content-length", "0"))
    header = request.headers.get("content-range")
    if header is None:
        if announced != slot.size_bytes:
            raise Refusal(400, f"The upload has {announced} bytes, {slot.size_bytes} were announced")
        slot.content[:] = request.body
        return
    sent = parse_content_range(header)
    if sent is None or sent.total not in (None, slot.size_bytes):
        raise Refusal(400, "The Content-Range does not fit the upload")
    if sent.start is None or sent.end is None:
        return
    if sent.end - sent.start != announced or sent.end > slot.size_bytes:
        raise Refusal(400, "The Content-Range does not fit the body")
    if sent.start > len(slot.content):
        raise Refusal(400, f"Bytes {len(slot.content)} to {sent.start - 1} are missing")
    # Bytes that are kept already stay as they are, whatever is sent for them now.
    slot.content += request.body[len(slot.content) - sent.start :]
