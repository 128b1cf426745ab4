"""Where downloads come from; this file serves data files and archives by signed link, with ranges and validators."""

from __future__ import annotations

import base64
import dataclasses
import email.utils
import hashlib
import mimetypes
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autokaggle.practice import archives
from autokaggle.practice.byte_ranges import Unsatisfiable, parse_range
from autokaggle.practice.faults import Faults
from autokaggle.practice.hosted_competition import HostedCompetition
from autokaggle.practice.replies import FileSlice, Refusal, Reply
from autokaggle.practice.request_log import Request
from autokaggle.practice.signed_links import SignedLinks

STORAGE_PREFIX = "/storage/"
ARCHIVE = "bundle/archive.zip"
FILES = "files/"
SPOILING_FAULTS = ("corrupt_zip", "changed_object", "zip_slip")
REPLACED_AFTER_SECONDS = 60.0


@dataclass(frozen=True)
class StoredObject:
    """A file on disk with what is announced of it: ``modified`` in seconds since 1970."""

    path: Path
    size_bytes: int
    md5: bytes
    modified: float


class ObjectStorage:
    """The data of all competitions; safe to use from several threads. ``folder`` takes what is made on demand."""

    def __init__(
        self, competitions: Mapping[str, HostedCompetition], links: SignedLinks, faults: Faults, folder: Path
    ) -> None:
        self._competitions = competitions
        self._links = links
        self._faults = faults
        self._folder = folder
        self._lock = threading.Lock()
        self._objects: dict[str, StoredObject] = {}
        self.outside = folder / "zip-slip-absolute.txt"

    def archive_link(self, host: str, competition: HostedCompetition) -> str:
        """Return a signed link to the archive of all data files."""
        return self._links.sign(host, f"{STORAGE_PREFIX}{competition.slug}/{ARCHIVE}")

    def file_link(self, host: str, competition: HostedCompetition, name: str) -> str:
        """Return a signed link to one data file, or to ``name.zip`` when it is stored zipped."""
        suffix = ".zip" if competition.is_stored_zipped(name) else ""
        return self._links.sign(host, f"{STORAGE_PREFIX}{competition.slug}/{FILES}{name}{suffix}")

    def serve(self, request: Request) -> Reply:
        """Answer a GET or HEAD of a signed link.

        Raises:
            Refusal: the link is not good, names nothing, or asks for bytes that are not there.
        """
        if request.method not in ("GET", "HEAD"):
            raise Refusal(405, "Only GET and HEAD are answered here")
        self._links.check(request, expired=self._strikes("expired_link", request.path))
        stored = self._spoiled(self._find(request.path), request.path)
        headers = {
            "Content-Type": mimetypes.guess_type(request.path)[0] or "application/octet-stream",
            "Content-Disposition": f'attachment; filename="{Path(request.path).name}"',
        }
        if not self._strikes("no_validators", request.path):
            headers |= _validators(stored)
        if self._strikes("no_ranges", request.path):
            return Reply(200, headers, FileSlice(stored.path, 0, stored.size_bytes))
        return _part(stored, request, {**headers, "Accept-Ranges": "bytes"})

    def _strikes(self, kind: str, path: str) -> bool:
        return self._faults.take(kind, path) is not None

    def _find(self, path: str) -> StoredObject:
        slug, _, name = path.removeprefix(STORAGE_PREFIX).partition("/")
        competition = self._competitions[slug]
        if name == ARCHIVE:
            entries = [(file.name, file.path) for file in competition.files.values()]
            return self._made(path, lambda target: archives.make_archive(target, entries))
        name = name.removeprefix(FILES)
        if name in competition.files:
            return self._described(path, competition.files[name].path)
        file = competition.files[name.removesuffix(".zip")]
        return self._made(path, lambda target: archives.make_archive(target, [(file.path.name, file.path)]))

    def _spoiled(self, stored: StoredObject, path: str) -> StoredObject:
        for kind in SPOILING_FAULTS:
            options = self._faults.take(kind, path)
            if options is not None:
                stored = self._spoiled_by(kind, options, stored)
        return stored

    def _spoiled_by(self, kind: str, options: Mapping[str, Any], stored: StoredObject) -> StoredObject:
        key = f"{kind} of {stored.path}"
        if kind == "zip_slip":
            return self._made(key, lambda target: archives.make_slipping_copy(stored.path, target, self.outside))
        if kind == "changed_object":
            changed = self._made(key, lambda target: archives.make_replaced_copy(stored.path, target))
            return dataclasses.replace(changed, modified=stored.modified + REPLACED_AFTER_SECONDS)
        corrupt = self._made(key, lambda target: archives.make_corrupt_copy(stored.path, target))
        return corrupt if options["consistent_hash"] else dataclasses.replace(corrupt, md5=stored.md5)

    def _made(self, key: str, make: Callable[[Path], Path]) -> StoredObject:
        with self._lock:
            if key not in self._objects:
                target = self._folder / f"object-{len(self._objects)}.zip"
                self._objects[key] = _describe(make(target))
            return self._objects[key]

    def _described(self, key: str, path: Path) -> StoredObject:
        with self._lock:
            if key not in self._objects:
                self._objects[key] = _describe(path)
            return self._objects[key]


def _describe(path: Path) -> StoredObject:
    with path.open("rb") as stream:
        md5 = hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).digest()
    facts = path.stat()
    return StoredObject(path, facts.st_size, md5, facts.st_mtime)


def _validators(stored: StoredObject) -> dict[str, str]:
    return {
        "ETag": f'"{stored.md5.hex()}"',
        "Last-Modified": email.utils.formatdate(stored.modified, usegmt=True),
        "x-goog-hash": f"md5={base64.b64encode(stored.md5).decode()}",
    }


def _part(stored: StoredObject, request: Request, headers: Mapping[str, str]) -> Reply:
    """Return the range that was asked for, or the whole object where no range, or one of another version, was."""
    whole = Reply(200, headers, FileSlice(stored.path, 0, stored.size_bytes))
    condition = request.headers.get("if-range")
    if condition is not None and condition not in (headers.get("ETag"), headers.get("Last-Modified")):
        return whole
    try:
        part = parse_range(request.headers.get("range", ""), stored.size_bytes)
    except Unsatisfiable as error:
        nothing = {"Content-Range": f"bytes */{stored.size_bytes}"}
        raise Refusal(416, "The requested range cannot be satisfied", nothing) from error
    if part is None:
        return whole
    start, end = part
    content_range = {"Content-Range": f"bytes {start}-{end - 1}/{stored.size_bytes}"}
    return Reply(206, {**headers, **content_range}, FileSlice(stored.path, start, end - start))
