"""What a run of one competition needs; this file asks Kaggle, or looks into a local folder, and fetches no data."""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Iterable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from autokaggle.cli.checks import existing_folder, guarded
from autokaggle.config import Settings
from autokaggle.errors import AutoKaggleError
from autokaggle.records.competition import Competition
from autokaggle.records.event import Finding

if TYPE_CHECKING:
    from autokaggle.skills.competition.kaggle_client import KaggleClient
    from autokaggle.skills.competition.notices import Notice

# A run holds the data as it came, as tables, and in the cache where that lies on another disk.
DISK_PER_DATA_BYTE = 3
# Peaks of LightGBM candidates: 220 MB for tables of 5 MB, 380 MB and 520 MB for one of 8 MB with many categories.
MEMORY_BASE_BYTES, MEMORY_PER_TABLE_BYTE = 200_000_000, 20


def check_competition(target: str, settings: Settings, *, offline: bool) -> Iterator[Finding]:
    """Look at what a run of this competition needs; ``offline`` does not ask Kaggle."""
    from autokaggle.orchestrator.kaggle_account import open_kaggle
    from autokaggle.skills.competition.address import parse_target

    parsed = parse_target(target)
    if parsed.folder is not None:
        yield from _check_folder(parsed.folder, settings)
        return
    if offline:
        yield Finding("competition", "warn", "not looked at", "Leave out --offline to ask Kaggle.")
        return
    try:
        client = open_kaggle(settings)
    except AutoKaggleError as error:
        yield Finding("competition", "fail", error.message, error.next_step)
        return
    with closing(client):
        yield from _check_on_kaggle(client, parsed.slug, settings)


def _check_folder(folder: Path, settings: Settings) -> Iterator[Finding]:
    sizes = {str(path): path.stat().st_size for path in folder.rglob("*") if path.is_file()}
    if not sizes:
        yield Finding("data", "fail", f"{folder} holds no files.", "Put train.csv and test.csv into it.")
        return
    yield guarded("data", partial(_disk, len(sizes), sum(sizes.values()), settings))
    yield _memory(sizes.items(), settings)


def _check_on_kaggle(client: KaggleClient, slug: str, settings: Settings) -> Iterator[Finding]:
    from autokaggle.skills.competition.notices import obstacles

    try:
        competition = client.competition(slug)
    except AutoKaggleError as error:
        yield Finding("competition", "fail", error.message, error.next_step)
        return
    yield Finding("competition", "ok", f"{competition.title} ({competition.url})")
    yield guarded("signed in", partial(_signed_in, client))
    known = {notice.topic: notice for notice in obstacles(competition, dt.datetime.now(dt.UTC))}
    yield _entered(known.get("rules"))
    yield _deadline(competition, known.get("deadline"))
    yield guarded("submissions", partial(_submissions, client, competition, known.get("submissions")))
    yield from _rules(client, competition)
    yield guarded("data", partial(_data, client, slug, settings))
    yield guarded("memory", partial(_memory_for, client, slug, settings))


def _signed_in(client: KaggleClient) -> Finding:
    from autokaggle.cli.text import harmless

    account = client.account()
    return Finding("signed in", "ok", f"as {harmless(account)}" if account else "Kaggle does not say as whom")


def _entered(obstacle: Notice | None) -> Finding:
    if obstacle:
        return Finding("rules", "fail", obstacle.text, obstacle.next_step)
    return Finding("rules", "ok", "accepted")


def _deadline(competition: Competition, obstacle: Notice | None) -> Finding:
    from autokaggle.skills.competition.notices import deadline

    if obstacle:
        return Finding("deadline", "warn", obstacle.text, obstacle.next_step)
    end = deadline(competition)
    return Finding("deadline", "ok", f"{end:%Y-%m-%d %H:%M} UTC" if end else "none is stated")


def _submissions(client: KaggleClient, competition: Competition, obstacle: Notice | None) -> Finding:
    if obstacle:
        return Finding("submissions", "warn", obstacle.text, obstacle.next_step)
    limits = client.limits(competition.slug)
    if limits.left_today == 0:
        return Finding("submissions", "warn", "none is left today", "The limit resets at 00:00 UTC.")
    of = f" of {limits.daily}" if limits.daily else ""
    return Finding("submissions", "ok", f"{limits.left_today}{of} left today")


def _rules(client: KaggleClient, competition: Competition) -> Iterator[Finding]:
    """Show each rule that was understood, with its sentence: nothing but the reader can judge it."""
    from autokaggle.skills.competition.notices import rules
    from autokaggle.skills.competition.rules import compile_rules, merge_gates

    try:
        texts = {page.file: page.text for page in client.pages(competition.slug)}
    except AutoKaggleError as error:
        yield Finding("pages", "fail", error.message, error.next_step)
        return
    gates = merge_gates(competition.gates, compile_rules(texts))
    for notice in rules(msgspec.structs.replace(competition, gates=gates)):
        yield Finding(notice.topic, "ok", notice.text)


def _data(client: KaggleClient, slug: str, settings: Settings) -> Finding:
    count, size = client.data_size(slug)
    return _disk(count, size, settings)


def _disk(count: int, size: int, settings: Settings) -> Finding:
    free = shutil.disk_usage(existing_folder(settings.runs_dir)).free
    detail = f"{count} files, {size / 1e6:,.1f} MB"
    if size * DISK_PER_DATA_BYTE > free:
        return Finding("data", "fail", f"{detail}; only {free / 1e9:.1f} GB of disk are free", "Free disk space.")
    return Finding("data", "ok", detail)


def _memory_for(client: KaggleClient, slug: str, settings: Settings) -> Finding:
    from autokaggle.skills.competition.transfer import MOST_LISTED_FILES

    return _memory(((file.name, file.bytes) for file in client.files(slug, MOST_LISTED_FILES)), settings)


def _memory(sizes: Iterable[tuple[str, int]], settings: Settings) -> Finding:
    """Estimate what a candidate takes; packed tables and those in archives count as they lie there."""
    from autokaggle.skills.dataset.tables import is_table_name
    from autokaggle.skills.sandbox.limits import default_limits

    tables = sum(size for name, size in sizes if is_table_name(name) or name.lower().endswith(".zip"))
    needed = MEMORY_BASE_BYTES + MEMORY_PER_TABLE_BYTE * tables
    most = default_limits(settings=settings).memory_bytes
    detail = (
        f"about {needed / 1e9:.1f} GB for a candidate ({MEMORY_PER_TABLE_BYTE} times the tables' "
        f"{tables / 1e6:,.1f} MB, and {MEMORY_BASE_BYTES / 1e9:.1f} GB); it may take {most / 1e9:.1f} GB here"
    )
    if needed > most:
        return Finding(
            "memory", "warn", detail, "Candidates may be ended by their limit: use a machine with more memory."
        )
    return Finding("memory", "ok", detail)
