"""Data files on their way from Kaggle into the cache; this file chooses between one archive and single files."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import unquote, urlsplit

import msgspec

from autokaggle.errors import CompetitionUnusable, OutsideWorldError
from autokaggle.records import DataFile, Progress
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
        ActionNeeded: rules not accepted, or not enough disk space.
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

    def bring(file: RemoteFile) -> DataFile:
        target = downloads / f"{fingerprint[:16]}-{hashlib.sha256(file.name.encode()).hexdigest()[:16]}"
        brought = _download_file(client, slug, file, target, cache)
        meter.add(file.bytes)
        return brought

    with ThreadPoolExecutor(PARALLEL_DOWNLOADS) as pool:
        return tuple(pool.map(bring, remote))


def _download_file(client: KaggleClient, slug: str, file: RemoteFile, target: Path, cache: DatasetCache) -> DataFile:
    """Bring one file; Kaggle keeps some in a zip wrapper of their own, which only the signed address tells."""
    wrapped = False

    def sign_address() -> str:
        nonlocal wrapped
        address = client.file_address(slug, file.name)
        path = unquote(urlsplit(address).path)
        wrapped = path.endswith(".zip") and not file.name.endswith(".zip")
        return address

    client.download(
        sign_address,
        target,
        label=f"Downloading {file.name}",
        require_space=cache.require_space,
        on_progress=_ignore,
    )
    try:
        if not wrapped:
            with target.open("rb") as stream:
                return cache.add(file.name, stream)
        inside = extract_archive(target, file.name, cache, _ignore)
        if len(inside) != 1:
            raise OutsideWorldError(
                f"{file.name} came in an archive of {len(inside)} files instead of one.", "Try again later."
            )
        return msgspec.structs.replace(inside[0], name=file.name)
    finally:
        discard(target)


def _ignore(progress: Progress) -> None:
    """The files together report once; each alone would only flicker."""
