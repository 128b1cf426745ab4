"""Downloaded competition files; this file keeps each content once, named by its SHA-256, and shared by all runs.

    cache/blobs/ab/abcdef...            0400, never changed
    cache/competitions/ORIGIN/SLUG.json which names of a competition are which contents
    cache/downloads/ORIGIN/SLUG/        what is being downloaded, resumed after a kill
    cache/locks/ORIGIN/SLUG.lock        held by the process that downloads

Files are hard-linked into run folders (copied across file systems), so removing a content never harms a run.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import msgspec

from autokaggle.errors import ActionNeeded, AutoKaggleError, DiskTrouble, OutsideWorldError
from autokaggle.records.base import Record
from autokaggle.records.competition import Competition, DataFile
from autokaggle.storage.records_file import make_private_folder, read_record, write_record

CHUNK_BYTES = 1 << 20
READ_ONLY = 0o400
# Every blob gets this time when it is sealed; another one shows that somebody wrote to it.
SEALED_TIME_NS = 946_684_800 * 10**9
SPARE_BYTES = 256 << 20
PARTS = "blobs/.*.part"


class Manifest(Record, frozen=True, kw_only=True):
    """What is known of one competition's data: ``fingerprint`` changes when the data at their origin change.

    ``notes`` say of single files why they are not as a reader would expect.
    """

    version: int = 1
    slug: str
    origin: str
    fetched: str
    fingerprint: str = ""
    files: tuple[DataFile, ...]
    notes: dict[str, str] = msgspec.field(default_factory=dict)
    competition: Competition | None = None
    pages: dict[str, str] = msgspec.field(default_factory=dict)


@dataclass(frozen=True)
class Pruned:
    """What ``prune`` removed."""

    competitions: int
    blobs: int
    bytes: int


class DatasetCache:
    """The cache in ``folder``; made on first use, readable by the user alone."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    # ---- one competition

    @contextlib.contextmanager
    def locked(self, origin: str, slug: str, on_wait: Callable[[], None] | None = None) -> Iterator[None]:
        """Hold the competition against other processes; ``on_wait`` is called once when another one holds it."""
        from filelock import FileLock, Timeout

        path = make_private_folder(self.folder / "locks" / origin) / f"{slug}.lock"
        with self._in_use():
            lock = FileLock(path, mode=0o600)
            try:
                lock.acquire(timeout=0)
            except Timeout:
                if on_wait is not None:
                    on_wait()
                lock.acquire()
            try:
                yield
            finally:
                lock.release()

    def downloads(self, origin: str, slug: str) -> Path:
        """The folder for parts of downloads of this competition."""
        return make_private_folder(self.folder / "downloads" / origin / slug)

    def manifest(self, origin: str, slug: str) -> Manifest | None:
        """Return what is cached, None when there is nothing, or not all contents are there and whole."""
        path = self._manifest_path(origin, slug)
        found = _read(path)
        return found if found is not None and all(self._is_whole(file) for file in found.files) else None

    def save(self, manifest: Manifest) -> None:
        path = self._manifest_path(manifest.origin, manifest.slug)
        make_private_folder(path.parent)
        write_record(path, manifest)

    def manifests(self) -> tuple[Manifest, ...]:
        """Return all competitions in the cache, ordered by origin and slug."""
        found = (_read(path) for path in sorted(self.folder.glob("competitions/*/*.json")))
        return tuple(manifest for manifest in found if manifest is not None)

    # ---- contents

    def add(self, name: str, stream: IO[bytes], limit: int | None = None) -> DataFile:
        """Store what ``stream`` gives as a content, and return it as file ``name``.

        Raises:
            ValueError: the stream gives more than ``limit`` bytes.
            DiskTrouble: the disk is full.
        """
        digest, size = hashlib.sha256(), 0
        with full_disk_explained(self.folder), self._in_use():
            part = make_private_folder(self.folder / "blobs") / f".{os.getpid()}-{secrets.token_hex(6)}.part"
            try:
                with _new_read_only(part) as target:
                    while chunk := stream.read(CHUNK_BYTES):
                        size += len(chunk)
                        if limit is not None and size > limit:
                            raise ValueError(f"{name} is longer than the {limit:,} bytes that were declared")
                        digest.update(chunk)
                        target.write(chunk)
                file = DataFile(name=name, bytes=size, sha256=digest.hexdigest())
                self._seal(part, file)
            except BaseException:
                part.unlink(missing_ok=True)
                raise
        return file

    def add_file(self, name: str, path: Path) -> DataFile:
        """Store the content of the file at ``path`` as file ``name``; what is there already is only read."""
        with path.open("rb") as stream:
            sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
            known = DataFile(name=name, bytes=stream.tell(), sha256=sha256)
            if self._is_whole(known):
                return known
            stream.seek(0)
            return self.add(name, stream)

    def blob(self, sha256: str) -> Path:
        return self.folder / f"blobs/{sha256[:2]}/{sha256}"

    def link(self, files: Iterable[DataFile], folder: Path) -> None:
        """Give ``folder`` exactly these files, read-only; sub-folders are made as the names ask.

        Raises:
            OutsideWorldError: a content is not there.
        """
        if folder.exists():
            shutil.rmtree(folder)
        make_private_folder(folder)
        for file in files:
            target = folder / file.name
            make_private_folder(target.parent)
            self._link(self.blob(file.sha256), target)

    def require_space(self, needed_bytes: int) -> None:
        """Refuse before harm when the disk cannot take ``needed_bytes`` more.

        Raises:
            DiskTrouble: says how much is missing and where.
        """
        free = shutil.disk_usage(make_private_folder(self.folder)).free
        if needed_bytes + SPARE_BYTES > free:
            raise DiskTrouble(
                f"The data need {needed_bytes / 1e9:.1f} GB, but {self.folder} has only {free / 1e9:.1f} GB free.",
                "Free disk space (`autokaggle cache prune`), or set AUTOKAGGLE_HOME to a larger disk.",
            )

    # ---- the whole cache

    def prune(self, slugs: Iterable[str] | None = None) -> Pruned:
        """Forget competitions (all when ``slugs`` is None), unfinished downloads and contents nobody names.

        Raises:
            ActionNeeded: a run is downloading right now.
        """
        wanted = None if slugs is None else set(slugs)
        with self._in_use(alone=True):
            removed = [
                path for path in self.folder.glob("competitions/*/*.json") if wanted is None or path.stem in wanted
            ]
            for path in removed:
                path.unlink()
            for folder in self.folder.glob("downloads/*/*"):
                if wanted is None or folder.name in wanted:
                    shutil.rmtree(folder)
            named = {file.sha256 for manifest in self.manifests() for file in manifest.files}
            orphans = [path for path in self.folder.glob("blobs/*/*") if path.name not in named]
            orphans += self.folder.glob(PARTS)
            freed = sum(path.stat().st_size for path in orphans)
            for path in orphans:
                path.unlink()
        return Pruned(len(removed), len(orphans), freed)

    def _manifest_path(self, origin: str, slug: str) -> Path:
        return self.folder / "competitions" / origin / f"{slug}.json"

    def _is_whole(self, file: DataFile) -> bool:
        """Size and time are enough for a blob that nobody wrote to; any other is read and compared."""
        path = self.blob(file.sha256)
        try:
            facts = path.stat()
        except OSError:
            return False
        if facts.st_size != file.bytes:
            return False
        if facts.st_mtime_ns == SEALED_TIME_NS:
            return True
        with path.open("rb") as stream:
            whole = hashlib.file_digest(stream, "sha256").hexdigest() == file.sha256
        if whole:
            os.utime(path, ns=(SEALED_TIME_NS, SEALED_TIME_NS))
        else:
            path.unlink()
        return whole

    def _seal(self, part: Path, file: DataFile) -> None:
        if self._is_whole(file):
            part.unlink()
            return
        os.utime(part, ns=(SEALED_TIME_NS, SEALED_TIME_NS))
        path = self.blob(file.sha256)
        make_private_folder(path.parent)
        part.replace(path)

    def _link(self, blob: Path, target: Path) -> None:
        try:
            os.link(blob, target)
        except FileNotFoundError as error:
            raise OutsideWorldError(
                f"{target.name} vanished from the cache {self.folder} while it was used.", "Run the same again."
            ) from error
        except OSError as error:
            if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP):
                raise
            with full_disk_explained(target.parent):
                shutil.copyfile(blob, target)
            target.chmod(READ_ONLY)

    @contextlib.contextmanager
    def _in_use(self, *, alone: bool = False) -> Iterator[None]:
        """Adding shares the cache; pruning needs it alone. Who finds it unused removes what killed processes left."""
        import fcntl

        descriptor = os.open(make_private_folder(self.folder) / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                for part in self.folder.glob(PARTS):
                    part.unlink(missing_ok=True)
            except BlockingIOError as error:
                if alone:
                    raise ActionNeeded("A run is downloading into the cache.", "Prune when it has finished.") from error
            if not alone:
                fcntl.flock(descriptor, fcntl.LOCK_SH)
            yield
        finally:
            os.close(descriptor)


def _new_read_only(path: Path) -> IO[bytes]:
    """Open a file that only this descriptor may write, ever."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, READ_ONLY), "wb", buffering=0)


def _read(path: Path) -> Manifest | None:
    """A manifest that is damaged, or of a newer AutoKaggle, is as good as none: the data are fetched again."""
    try:
        return read_record(path, Manifest)
    except (FileNotFoundError, AutoKaggleError):
        return None


@contextlib.contextmanager
def full_disk_explained(folder: Path) -> Iterator[None]:
    """Turn "no space left on device" into an error that says what to do.

    Raises:
        DiskTrouble: the disk or the quota is full.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise DiskTrouble(
            f"The disk of {folder} is full.",
            "Free disk space (`autokaggle cache prune`), or set AUTOKAGGLE_HOME to a larger disk; "
            "what was downloaded is kept.",
        ) from error
