"""Data files on their way from Kaggle into the cache; this file chooses between one archive and single files."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from pathlib import Path
from urllib.parse import unquote, urlsplit

import msgspec

from autokaggle.errors import CompetitionUnusable, OutsideWorldError
from autokaggle.records.competition import DataFile
from autokaggle.records.event import Progress
from autokaggle.skills.competition.archive import DamagedArchive, extract_archive, name_problem
from autokaggle.skills.competition.download import discard
from autokaggle.skills.competition.kaggle_client import KaggleClient, RemoteFile
from autokaggle.skills.competition.meter import Meter, OnProgress
from autokaggle.skills.competition.refusals import NotFound
from autokaggle.storage.dataset_cache import DatasetCache

MOST_LISTED_FILES = 1000  # five calls; image competitions have a hundred thousand files
PARALLEL_DOWNLOADS = 4
DAMAGED_ARCHIVES = 2


def bring_data(
    client: KaggleClient,
    slug: str,
    remote: Sequence[RemoteFile],
    fingerprint: str,
    cache: DatasetCache,
    on_progress: OnProgress,
) -> tuple[DataFile, ...]:
    """Store all data files in the cache and return them by their names at Kaggle.

    One archive is preferred, because Kaggle limits downloads by number. ``fingerprint`` names the state of the data:
    parts of the same state are continued, those of another are dropped.

    Raises:
        ActionNeeded: rules not accepted.
        DiskTrouble: not enough disk space.
        CompetitionUnusable: an archive or a file name would do harm.
        OutsideWorldError: downloads failed after retries.
    """
    downloads = cache.downloads(client.origin, slug)
    archive = downloads / f"{fingerprint[:16]}.zip"
    for stale in downloads.iterdir():
        if not stale.name.startswith(fingerprint[:16]):
            stale.unlink()
    listed = sum(file.bytes for file in remote)
    for damaged in range(1, DAMAGED_ARCHIVES + 1):
        try:
            client.download(
                lambda: client.archive_address(slug),
                archive,
                label=f"Downloading the data of {slug}",
                require_space=lambda size: cache.require_space(size + listed),
                on_progress=on_progress,
            )
            files = extract_archive(archive, f"the archive of {slug}", cache, on_progress)
        except NotFound:
            return _download_files(client, slug, remote, fingerprint, cache, on_progress)
        except DamagedArchive:
            discard(archive)
            if damaged == DAMAGED_ARCHIVES:
                raise
        else:
            discard(archive)
            return files
    raise AssertionError("unreachable")


def _download_files(
    client: KaggleClient,
    slug: str,
    remote: Sequence[RemoteFile],
    fingerprint: str,
    cache: DatasetCache,
    on_progress: OnProgress,
) -> tuple[DataFile, ...]:
    """Where there is no archive, bring the files one by one, some at a time."""
    remote = client.files(slug) if len(remote) >= MOST_LISTED_FILES else remote
    for file in remote:
        if problem := name_problem(file.name):
            raise CompetitionUnusable(
                f"{slug} lists a file {file.name[:200]!r}, which {problem}.",
                "Report it on the competition's discussion page.",
            )
    total = sum(file.bytes for file in remote)
    cache.require_space(total)
    meter = Meter(f"Downloading the files of {slug}", on_progress, total)
    downloads = cache.downloads(client.origin, slug)
    cancelled = threading.Event()

    def check(progress: Progress | None = None) -> None:
        # The files together report once; each alone only hears that it is not wanted any more.
        if cancelled.is_set():
            raise CancelledError

    def bring(file: RemoteFile) -> DataFile:
        target = downloads / f"{fingerprint[:16]}-{hashlib.sha256(file.name.encode()).hexdigest()[:16]}"
        brought = _download_file(client, slug, file, target, cache, check)
        meter.add(file.bytes)
        return brought

    with ThreadPoolExecutor(PARALLEL_DOWNLOADS) as pool:
        try:
            return tuple(pool.map(bring, remote))
        except BaseException:
            # Leaving the pool waits for the files under way.
            cancelled.set()
            raise


def _download_file(
    client: KaggleClient,
    slug: str,
    file: RemoteFile,
    target: Path,
    cache: DatasetCache,
    check: Callable[[Progress | None], None],
) -> DataFile:
    """Bring one file; Kaggle keeps some in a zip wrapper of their own, which only the signed address tells.

    A wrapped one is downloaded under a name with ``.zip``, so that no other process takes it for the file itself.
    """
    check(None)
    address = client.file_address(slug, file.name)
    if wrapped := _is_wrapped(address, file):
        target = target.with_name(target.name + ".zip")
    unused = [address]

    def sign_address() -> str:
        check(None)
        return unused.pop() if unused else client.file_address(slug, file.name)

    client.download(
        sign_address,
        target,
        label=f"Downloading {file.name}",
        require_space=cache.require_space,
        on_progress=check,
    )
    try:
        if not wrapped:
            with target.open("rb") as stream:
                return cache.add(file.name, stream)
        inside = extract_archive(target, file.name, cache, check)
        if len(inside) != 1:
            raise OutsideWorldError(
                f"{file.name} came in an archive of {len(inside)} files instead of one.", "Try again later."
            )
        return msgspec.structs.replace(inside[0], name=file.name)
    finally:
        discard(target)


def _is_wrapped(address: str, file: RemoteFile) -> bool:
    return unquote(urlsplit(address).path).endswith(".zip") and not file.name.endswith(".zip")
