"""Folders on their way to a worker; this file lists them by content, so that each content travels to a worker once.

A worker keeps contents in its own dataset cache: what it has already, from this run or any other, is not sent again.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from autokaggle.records.competition import DataFile
from autokaggle.storage.dataset_cache import DatasetCache
from autokaggle.storage.records_file import make_private_folder

# A message has to fit into the memory of the scheduler, which passes it on.
CHUNK_BYTES = 16 << 20


class Folders:
    """The folders of one run as lists of contents; a file that did not change is read once."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int, int, int], str] = {}
        self._places: dict[str, Path] = {}

    def list(self, folder: Path) -> tuple[DataFile, ...]:
        """List every file below ``folder``, in the order of names; links are followed."""
        found = []
        for base, folders, names in os.walk(folder, followlinks=True):
            folders.sort()
            for name in sorted(names):
                path = Path(base, name)
                facts = path.stat()
                key = (str(path), facts.st_ino, facts.st_size, facts.st_mtime_ns)
                sha256 = self._known[key] = self._known.get(key) or _digest(path)
                self._places[sha256] = path
                found.append(DataFile(name=str(path.relative_to(folder)), bytes=facts.st_size, sha256=sha256))
        return tuple(found)

    def chunks(self, sha256: str) -> Iterator[bytes]:
        """Read a content that was listed, piece by piece; an empty one is one empty piece."""
        with self._places[sha256].open("rb") as stream:
            yield stream.read(CHUNK_BYTES)
            while chunk := stream.read(CHUNK_BYTES):
                yield chunk


def missing(cache: DatasetCache, files: Iterable[DataFile]) -> tuple[str, ...]:
    """Name the contents that a worker does not have."""
    wanted = {file.sha256: file.bytes for file in files}
    return tuple(sha256 for sha256, size in wanted.items() if not _has(cache.blob(sha256), size))


def receive(cache: DatasetCache, sender: str, sha256: str, chunk: bytes, *, is_first: bool, is_last: bool) -> None:
    """Take one piece of a content on a worker, and keep the content when it is whole.

    Raises:
        DiskTrouble: the disk is full.
    """
    part = cache.downloads("cluster", sender) / sha256
    with part.open("wb" if is_first else "ab") as stream:
        stream.write(chunk)
    if is_last:
        cache.add_file(sha256, part)
        part.unlink()


def unpack(cache: DatasetCache, files: Iterable[DataFile], folder: Path, *, writable: bool = False) -> Path:
    """Make ``folder`` of contents that the worker has."""
    if not writable:
        cache.link(files, folder)
        return folder
    make_private_folder(folder)
    for file in files:
        make_private_folder((folder / file.name).parent)
        shutil.copyfile(cache.blob(file.sha256), folder / file.name)
    return folder


def _has(blob: Path, size: int) -> bool:
    try:
        return blob.stat().st_size == size
    except OSError:
        return False


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
