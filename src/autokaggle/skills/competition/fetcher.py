"""From a slug to ``input/``; this file brings facts, page texts and data files together, downloading only what changed.

The caller writes ``competition.json``. Which metric the wording means, and which columns are ids and targets, later
stages decide.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import unquote, urlsplit

import msgspec

from autokaggle.errors import AutoKaggleError, CompetitionUnusable, OutsideWorldError
from autokaggle.records import Competition, DataFile, Progress, SubmissionLimits
from autokaggle.skills.competition.archive import DamagedArchive, extract_archive, name_problem
from autokaggle.skills.competition.download import discard
from autokaggle.skills.competition.kaggle_client import KaggleClient, RemoteFile, origin_of
from autokaggle.skills.competition.pages import Page, find_metric
from autokaggle.skills.competition.refusals import NotFound
from autokaggle.skills.competition.rules import compile_rules, merge_gates
from autokaggle.storage.artifacts import RunFolder
from autokaggle.storage.dataset_cache import DatasetCache, Manifest
from autokaggle.storage.records_file import make_private_folder, write_atomically

MOST_LISTED_FILES = 1000
PARALLEL_DOWNLOADS = 4
DAMAGED_ARCHIVES = 2

OnProgress = Callable[[Progress], None]


def fetch_competition(
    client: KaggleClient, slug: str, folder: RunFolder, cache: DatasetCache, on_progress: OnProgress
) -> Competition:
    """Write ``input/pages`` and ``input/data`` and return what is known of the competition.

    A second fetch of unchanged data downloads nothing.

    Raises:
        ActionNeeded: credentials, rules to accept, or disk space; says what to do.
        CompetitionUnusable: no such competition, no data, or an archive that would do harm.
        OutsideWorldError: Kaggle failed after retries.
    """
    on_progress(Progress(text=f"Reading {slug}"))
    facts = client.competition(slug)
    with ThreadPoolExecutor(3) as pool:
        listing = pool.submit(client.files, slug, MOST_LISTED_FILES)
        limits = pool.submit(_limits, client, facts)
        pages = client.pages(slug)
        remote = listing.result()
        facts = msgspec.structs.replace(facts, limits=limits.result())
    if not remote:
        raise CompetitionUnusable(f"{slug} has no data files.", "Choose a competition with data to download.")
    competition = _with_pages(facts, pages)
    with cache.locked(client.origin, slug, lambda: on_progress(Progress(text=f"Another run is fetching {slug}"))):
        fingerprint = _fingerprint(remote, lambda: client.data_size(slug))
        manifest = cache.manifest(client.origin, slug)
        if manifest is not None and manifest.fingerprint == fingerprint:
            files = manifest.files
            on_progress(Progress(text=f"{len(files)} data files come from the cache: nothing to download"))
        else:
            files = _download(client, slug, remote, fingerprint, cache, on_progress)
        competition = msgspec.structs.replace(competition, files=files)
        manifest = Manifest(
            slug=slug,
            origin=client.origin,
            fetched=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
            fingerprint=fingerprint,
            files=files,
            competition=competition,
            pages={page.file: page.text for page in pages},
        )
        cache.save(manifest)
        return _lay_out(manifest, folder, cache)


def fetch_offline(
    slug: str, folder: RunFolder, cache: DatasetCache, on_progress: OnProgress, kaggle_url: str | None = None
) -> Competition:
    """Write ``input/pages`` and ``input/data`` from the cache alone.

    Raises:
        CompetitionUnusable: the cache does not hold the competition.
    """
    origin = origin_of(kaggle_url)
    with cache.locked(origin, slug):
        manifest = cache.manifest(origin, slug)
        if manifest is None or manifest.competition is None:
            raise CompetitionUnusable(
                f"The cache does not hold {slug}, so it cannot be used offline.",
                "Run it once without --offline; `autokaggle cache list` shows what is there.",
            )
        on_progress(Progress(text=f"{slug} comes from the cache, as fetched at {manifest.fetched}"))
        return _lay_out(manifest, folder, cache)


def _limits(client: KaggleClient, facts: Competition) -> SubmissionLimits:
    """How many submissions are left today is good to know, but nothing that a fetch may fail for."""
    try:
        left = client.limits(facts.slug).left_today
    except AutoKaggleError:
        return facts.limits
    return msgspec.structs.replace(facts.limits, left_today=left)


def _with_pages(facts: Competition, pages: Sequence[Page]) -> Competition:
    texts = {page.file: page.text for page in pages}
    return msgspec.structs.replace(
        facts,
        metric=find_metric(facts.metric.wording, texts),
        pages=tuple(texts),
        gates=merge_gates(facts.gates, compile_rules(texts)),
        sources={f"pages/{page.file}": f"Kaggle page “{page.name}”" for page in pages},
    )


def _fingerprint(remote: Sequence[RemoteFile], total: Callable[[], tuple[int, int]]) -> str:
    """Names, sizes and dates of the files; of more than can be listed politely, their number and size besides."""
    facts: list[object] = [[file.name, file.bytes, file.created] for file in remote]
    if len(remote) >= MOST_LISTED_FILES:
        facts.append(total())
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _download(
    client: KaggleClient,
    slug: str,
    remote: Sequence[RemoteFile],
    fingerprint: str,
    cache: DatasetCache,
    on_progress: OnProgress,
) -> tuple[DataFile, ...]:
    """Prefer one archive: Kaggle limits downloads by number. Parts of an older state of the data are dropped."""
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
            files = extract_archive(archive, cache, on_progress)
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
            raise CompetitionUnusable(f"{slug} lists a file {file.name[:200]!r}, which {problem}.")
    cache.require_space(sum(file.bytes for file in remote))
    downloads = cache.downloads(client.origin, slug)

    def bring(file: RemoteFile) -> DataFile:
        target = downloads / f"{fingerprint[:16]}-{hashlib.sha256(file.name.encode()).hexdigest()[:16]}"
        return _download_file(client, slug, file, target, cache, on_progress)

    with ThreadPoolExecutor(PARALLEL_DOWNLOADS) as pool:
        return tuple(pool.map(bring, remote))


def _download_file(
    client: KaggleClient, slug: str, file: RemoteFile, target: Path, cache: DatasetCache, on_progress: OnProgress
) -> DataFile:
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
        on_progress=on_progress,
    )
    try:
        if not wrapped:
            with target.open("rb") as stream:
                return cache.add(file.name, stream)
        inside = extract_archive(target, cache, on_progress)
        if len(inside) != 1:
            raise OutsideWorldError(f"{file.name} came in an archive of {len(inside)} files instead of one.")
        return msgspec.structs.replace(inside[0], name=file.name)
    finally:
        discard(target)


def _lay_out(manifest: Manifest, folder: RunFolder, cache: DatasetCache) -> Competition:
    assert manifest.competition is not None
    cache.link(manifest.files, folder.data)
    write_pages(folder, manifest.pages)
    return manifest.competition


def write_pages(folder: RunFolder, pages: dict[str, str]) -> None:
    """Give ``input/pages`` exactly these files."""
    make_private_folder(folder.pages)
    for stale in folder.pages.glob("*.md"):
        if stale.name not in pages:
            stale.unlink()
    for name, text in pages.items():
        write_atomically(folder.pages / name, text)
