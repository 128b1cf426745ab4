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

import msgspec

from autokaggle.errors import AutoKaggleError, CompetitionUnusable, OutsideWorldError
from autokaggle.records.competition import Competition, DataFile, SubmissionLimits
from autokaggle.records.event import Progress
from autokaggle.skills.competition.inner_archives import unpack_inner_archives
from autokaggle.skills.competition.kaggle_client import KaggleClient, RemoteFile, origin_of
from autokaggle.skills.competition.meter import OnProgress
from autokaggle.skills.competition.pages import Page, find_metric
from autokaggle.skills.competition.rules import compile_rules, merge_gates
from autokaggle.skills.competition.transfer import MOST_LISTED_FILES, bring_data
from autokaggle.storage.artifacts import RunFolder
from autokaggle.storage.dataset_cache import DatasetCache, Manifest
from autokaggle.storage.records_file import make_private_folder, write_atomically


def fetch_competition(
    client: KaggleClient, slug: str, folder: RunFolder, cache: DatasetCache, on_progress: OnProgress
) -> Competition:
    """Write ``input/pages`` and ``input/data`` and return what is known of the competition.

    A second fetch of unchanged data downloads nothing.

    Raises:
        ActionNeeded: credentials, or rules to accept; says what to do.
        DiskTrouble: not enough disk space.
        CompetitionUnusable: no such competition, no data, or an archive that would do harm.
        OutsideWorldError: Kaggle failed after retries.
    """
    on_progress(Progress(text=f"Reading {slug}"))
    try:
        competition, pages, remote = _read(client, slug)
    except OutsideWorldError as error:
        raise _with_offline_hint(error, client.origin, slug, cache) from error
    with cache.locked(client.origin, slug, lambda: on_progress(Progress(text=f"Another run is fetching {slug}"))):
        fingerprint = _fingerprint(remote, lambda: client.data_size(slug))
        known = cache.manifest(client.origin, slug)
        if known is not None and known.fingerprint == fingerprint:
            files, notes = known.files, known.notes
            on_progress(Progress(text=f"{len(files)} data files come from the cache: nothing to download"))
        else:
            brought = bring_data(client, slug, remote, fingerprint, cache, on_progress)
            files, notes = unpack_inner_archives(brought, cache, on_progress)
        manifest = Manifest(
            slug=slug,
            origin=client.origin,
            fetched=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
            fingerprint=fingerprint,
            files=files,
            notes=notes,
            competition=_with_files(competition, files, notes),
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


def _read(client: KaggleClient, slug: str) -> tuple[Competition, tuple[Page, ...], tuple[RemoteFile, ...]]:
    """Ask for the facts first: their refusal says most; the rest can be asked for at once."""
    facts = client.competition(slug)
    with ThreadPoolExecutor(3) as pool:
        listing = pool.submit(client.files, slug, MOST_LISTED_FILES)
        limits = pool.submit(_limits, client, facts)
        pages = client.pages(slug)
        remote = listing.result()
        facts = msgspec.structs.replace(facts, limits=limits.result())
    if not remote:
        raise CompetitionUnusable(f"{slug} has no data files.", "Choose a competition with data to download.")
    return _with_pages(facts, pages), pages, remote


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


def _with_files(competition: Competition, files: tuple[DataFile, ...], notes: dict[str, str]) -> Competition:
    sources = competition.sources | {f"data/{name}": note for name, note in notes.items()}
    return msgspec.structs.replace(competition, files=files, sources=sources)


def _with_offline_hint(error: OutsideWorldError, origin: str, slug: str, cache: DatasetCache) -> OutsideWorldError:
    known = cache.manifest(origin, slug)
    if known is None:
        return error
    hint = f" Or add --offline: the cache has {slug} as fetched at {known.fetched}."
    return OutsideWorldError(error.message, error.next_step + hint)


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
