"""One file from a signed storage address to disk; this file streams it, resumes it, and checks size and MD5.

What has arrived lies in ``NAME.part``, what is known of the object in ``NAME.part.json``; ``NAME`` itself exists only
when it is whole. Bytes of two objects are never mixed: a part without a validator starts again from zero.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from autokaggle.errors import OutsideWorldError
from autokaggle.records.base import Record
from autokaggle.skills.competition.meter import Meter, OnProgress
from autokaggle.skills.competition.retries import RetryPolicy, is_passing, ordered_wait
from autokaggle.storage.dataset_cache import full_disk_explained
from autokaggle.storage.records_file import PRIVATE_FILE, write_atomically

if TYPE_CHECKING:
    import requests

CHUNK_BYTES = 1 << 18
REFUSED_ADDRESS = frozenset({400, 401, 403, 404, 410})
LARGEST_MISMATCHES = 2

Send = Callable[..., "requests.Response"]


class StoredObject(Record, frozen=True, kw_only=True):
    """What storage said of the object that a part belongs to; ``validator`` is fit for If-Range, or empty."""

    version: int = 1
    validator: str = ""
    size: int | None = None
    md5: str = ""


class _Interrupted(Exception):
    """An attempt ended early; ``new_address`` says that the signed address is of no more use."""

    def __init__(self, reason: str, *, new_address: bool = False, wait: float | None = None) -> None:
        super().__init__(reason)
        self.new_address, self.wait = new_address, wait


class _Mismatch(_Interrupted):
    """What arrived is not what storage announced; the part was thrown away."""


def download(
    send: Send,
    sign_address: Callable[[], str],
    target: Path,
    *,
    label: str,
    retry: RetryPolicy,
    require_space: Callable[[int], None],
    on_progress: OnProgress,
) -> Path:
    """Bring the object to ``target``, carrying on from what an earlier process left.

    ``sign_address`` asks Kaggle for a fresh signed address; ``require_space`` refuses a size that the disk cannot take.

    Raises:
        DiskTrouble: the disk is full.
        OutsideWorldError: several attempts in a row brought nothing new, or what arrived is damaged each time.
    """
    if target.is_file():
        return target
    part = target.with_name(target.name + ".part")
    address, fruitless, mismatches, furthest = "", 0, 0, _size(part)
    while True:
        try:
            address = address or sign_address()
            _transfer(send, address, part, label, require_space, on_progress)
            _verify(part)
        except _Interrupted as interruption:
            mismatches += isinstance(interruption, _Mismatch)
            fruitless = 1 if _size(part) > furthest else fruitless + 1
            furthest = max(furthest, _size(part))
            if mismatches > LARGEST_MISMATCHES or not retry.allows(fruitless, interruption.wait):
                raise _given_up(label, interruption) from None  # requests' own errors show the signed address
            if interruption.new_address:
                address = ""
            retry.pause(fruitless, interruption.wait)
            continue
        part.replace(target)
        _sidecar(part).unlink(missing_ok=True)
        return target


def discard(target: Path) -> None:
    """Remove a download and everything left of earlier attempts."""
    part = target.with_name(target.name + ".part")
    for path in (target, part, _sidecar(part)):
        path.unlink(missing_ok=True)


def _transfer(
    send: Send,
    address: str,
    part: Path,
    label: str,
    require_space: Callable[[int], None],
    on_progress: OnProgress,
) -> None:
    """Make one attempt; return when the part has all bytes that were announced."""
    import requests
    import urllib3

    known = _known(part)
    have = _size(part) if known.validator else 0
    if have and have == known.size:
        return
    headers = {"Range": f"bytes={have}-", "If-Range": known.validator} if have else {}
    try:
        with send("GET", address, headers=headers, stream=True) as response:
            if response.status_code == 206:
                _check_range(response, have, known, part)
            elif response.status_code == 200:
                have, known = 0, _described(response.headers)
                _start_part(part, known)
            elif response.status_code == 416:
                _check_end(response, known, part)
                return
            else:
                raise _refused(response)
            if known.size is not None:
                require_space(known.size - have)
            _receive(response, part, have, known.size, Meter(label, on_progress, known.size, have))
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        raise _Interrupted(f"the connection failed ({type(error).__name__})") from None


def _receive(response: requests.Response, part: Path, have: int, size: int | None, meter: Meter) -> None:
    with full_disk_explained(part.parent), part.open("r+b", buffering=0) as stream:
        stream.seek(have)
        stream.truncate()
        # iter_content would drop what it has gathered of a chunk when the connection is cut.
        while chunk := response.raw.read1(CHUNK_BYTES, decode_content=True):
            stream.write(chunk)
            have += len(chunk)
            meter.add(len(chunk))
    if size is not None and have < size:
        raise _Interrupted(f"{have:,} of {size:,} bytes arrived")


def _described(headers: Mapping[str, str]) -> StoredObject:
    """Read validator, size and MD5; a body that was encoded on the way has neither a known size nor ranges."""
    if headers.get("Content-Encoding", "identity") != "identity":
        return StoredObject()
    etag = headers.get("ETag", "")
    validator = etag if etag.startswith('"') else headers.get("Last-Modified", "")
    length = headers.get("x-goog-stored-content-length") or headers.get("Content-Length") or ""
    md5 = ""
    if found := re.search(r"\bmd5=([A-Za-z0-9+/]+={0,2})", headers.get("x-goog-hash", "")):
        try:
            md5 = base64.b64decode(found.group(1)).hex()
        except binascii.Error:
            md5 = ""
    return StoredObject(validator=validator, size=int(length) if length.isdigit() else None, md5=md5)


def _start_part(part: Path, known: StoredObject) -> None:
    part.unlink(missing_ok=True)
    write_atomically(_sidecar(part), msgspec.json.encode(known))
    part.touch(PRIVATE_FILE)


def _check_range(response: requests.Response, have: int, known: StoredObject, part: Path) -> None:
    """Only the bytes that follow ours, of the object that ours are of, may be appended."""
    found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
    fits = found and int(found[1]) == have and found[2] in ("*", str(known.size))
    etag = response.headers.get("ETag", "")
    same = not etag or not known.validator.startswith('"') or etag == known.validator
    if not fits or not same:
        _drop(part)
        raise _Interrupted("storage answered with another range than the one asked for")


def _check_end(response: requests.Response, known: StoredObject, part: Path) -> None:
    """416 after the last byte means that the announced length was wrong, and that the part may be whole."""
    end = response.headers.get("Content-Range", "").rpartition("/")[2]
    if known.md5 and end == str(_size(part)) and _md5(part) == known.md5:
        write_atomically(_sidecar(part), msgspec.json.encode(msgspec.structs.replace(known, size=_size(part))))
        return
    _drop(part)
    raise _Interrupted("storage has fewer bytes than it announced")


def _refused(response: requests.Response) -> _Interrupted:
    """Storage explains itself in XML; nothing of such a body may end up in the part."""
    status = response.status_code
    wait = ordered_wait(response.headers.get("Retry-After")) if is_passing(status) else None
    return _Interrupted(f"storage answered {status}", new_address=status in REFUSED_ADDRESS, wait=wait)


def _verify(part: Path) -> None:
    known = _known(part)
    if known.size is not None and _size(part) != known.size:
        reason = f"{_size(part):,} bytes arrived, {known.size:,} were announced"
    elif known.md5 and _md5(part) != known.md5:
        reason = "its MD5 is not the one that was announced"
    else:
        return
    _drop(part)
    raise _Mismatch(reason)


def _given_up(label: str, interruption: _Interrupted) -> OutsideWorldError:
    return OutsideWorldError(
        f"{label} failed: {interruption}.",
        "Run the same again: what arrived whole is kept, and the download goes on from there.",
    )


def _known(part: Path) -> StoredObject:
    try:
        return msgspec.json.decode(_sidecar(part).read_bytes(), type=StoredObject)
    except (OSError, msgspec.MsgspecError):
        return StoredObject()


def _drop(part: Path) -> None:
    part.unlink(missing_ok=True)
    _sidecar(part).unlink(missing_ok=True)


def _sidecar(part: Path) -> Path:
    return part.with_name(part.name + ".json")


def _size(part: Path) -> int:
    return part.stat().st_size if part.is_file() else 0


def _md5(part: Path) -> str:
    with part.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
