"""What a run needs of this machine and of Kaggle; this file looks at each and says what is missing and what to do.

A check never raises for what it found: that is its finding. Nothing is changed, but for making the program's home.
"""

from __future__ import annotations

import datetime as dt
import platform
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from autokaggle.config import Settings
from autokaggle.errors import AutoKaggleError

if TYPE_CHECKING:
    from autokaggle.records import Competition
    from autokaggle.skills.competition.kaggle_client import KaggleClient

Status = Literal["ok", "warn", "fail"]

MODEL_KEYS = ("GOOGLE_API_KEY", "GEMINI_API_KEY", "OPENAI_API_KEY", "ANTHROPIC_API_KEY")
LITTLE_DISK_BYTES, TOO_LITTLE_DISK_BYTES = 5_000_000_000, 1_000_000_000
LITTLE_MEMORY_BYTES = 2_000_000_000
# A run holds the data as it came, as tables, and in the cache where that lies on another disk.
DISK_PER_DATA_BYTE = 3


@dataclass(frozen=True)
class Finding:
    """One line of `doctor`: ``next_step`` says what to do about a warning or failure."""

    name: str
    status: Status
    detail: str
    next_step: str = ""


def check_machine(settings: Settings, *, offline: bool) -> Iterator[Finding]:
    """Look at everything that a run of any competition needs; ``offline`` asks no package index."""
    from autokaggle.skills.sandbox.diagnose import diagnose

    for fact in diagnose(offline=offline):
        yield Finding(fact.name, fact.status, fact.detail, fact.next_step)
    for name, check in MACHINE_CHECKS.items():
        yield _guarded(name, partial(check, settings))


def check_competition(target: str, settings: Settings, *, offline: bool) -> Iterator[Finding]:
    """Look at what a run of this competition needs; ``offline`` does not ask Kaggle."""
    from autokaggle.orchestrator.kaggle_account import open_kaggle
    from autokaggle.skills.competition.address import parse_target

    parsed = parse_target(target)
    if parsed.folder is not None:
        yield _guarded("data", partial(_local_data, parsed.folder, settings))
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


def _check_on_kaggle(client: KaggleClient, slug: str, settings: Settings) -> Iterator[Finding]:
    try:
        competition = client.competition(slug)
    except AutoKaggleError as error:
        yield Finding("competition", "fail", error.message, error.next_step)
        return
    yield Finding("competition", "ok", f"{competition.title} ({competition.url})")
    yield _entered(competition)
    yield _deadline(competition)
    yield _guarded("submissions", partial(_submissions, client, competition))
    yield _guarded("data", partial(_data_size, client, competition, settings))


def _guarded(name: str, check: Callable[[], Finding]) -> Finding:
    try:
        return check()
    except AutoKaggleError as error:
        return Finding(name, "fail", error.message, error.next_step)
    except OSError as error:
        return Finding(name, "fail", f"{error.strerror or error} ({error.filename}).")


def _machine(settings: Settings) -> Finding:
    from autokaggle.skills.sandbox.limits import available_cores, machine_memory_bytes

    memory = machine_memory_bytes()
    detail = f"Python {platform.python_version()}, {available_cores()} cores, {memory / 1e9:.1f} GB of memory"
    if memory < LITTLE_MEMORY_BYTES:
        return Finding("machine", "warn", detail, "Large competitions need more memory; candidates may be ended by it.")
    return Finding("machine", "ok", detail)


def _disk(settings: Settings) -> Finding:
    from autokaggle.storage.records_file import make_private_folder

    places = {make_private_folder(settings.home), _existing(settings.runs_dir)}
    tightest = min(places, key=lambda place: shutil.disk_usage(place).free)
    free = shutil.disk_usage(tightest).free
    detail = f"{free / 1e9:.1f} GB free at {tightest}"
    if free < LITTLE_DISK_BYTES:
        step = "Free space (`autokaggle cache prune --all`), or point AUTOKAGGLE_HOME and --runs-dir to a larger disk."
        return Finding("disk", "fail" if free < TOO_LITTLE_DISK_BYTES else "warn", detail, step)
    return Finding("disk", "ok", detail)


def _index(settings: Settings) -> Finding:
    from autokaggle.storage.state_store import StateStore

    with StateStore(settings.state) as store:
        store.check()
        return Finding("index of runs", "ok", f"{len(store.runs())} runs in {settings.state}")


def _credentials(settings: Settings) -> Finding:
    from autokaggle.errors import ActionNeeded
    from autokaggle.skills.competition.credentials import find_credentials
    from autokaggle.storage.secrets_vault import SecretsVault

    try:
        found = find_credentials(settings.environment, Path.home(), SecretsVault(settings.home))
    except ActionNeeded as error:
        # Not a failure: the demo and local folders need no account.
        return Finding("Kaggle account", "warn", error.message, error.next_step)
    return Finding("Kaggle account", "ok", f"{found.form} from {found.source}")


def _model(settings: Settings) -> Finding:
    keys = [name for name in MODEL_KEYS if settings.environment.get(name)]
    if keys:
        return Finding("language model", "ok", f"{', '.join(keys)} is set; no model takes part yet")
    return Finding("language model", "ok", "no key is set, and none is needed: the built-in strategist decides")


MACHINE_CHECKS: dict[str, Callable[[Settings], Finding]] = {
    "machine": _machine,
    "disk": _disk,
    "index of runs": _index,
    "Kaggle account": _credentials,
    "language model": _model,
}


def _entered(competition: Competition) -> Finding:
    from autokaggle.skills.competition.refusals import rules_page

    if competition.user_has_entered is False:
        step = f"Join it and accept its rules at {rules_page(competition.slug)}"
        return Finding("rules", "fail", "You have not joined this competition.", step)
    return Finding("rules", "ok", "accepted")


def _deadline(competition: Competition) -> Finding:
    if competition.deadline is None:
        return Finding("deadline", "ok", "none is stated")
    moment = dt.datetime.fromisoformat(competition.deadline)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
    if moment < dt.datetime.now(dt.UTC):
        return Finding("deadline", "warn", f"passed on {moment:%Y-%m-%d}", "Late submissions are scored, not ranked.")
    return Finding("deadline", "ok", f"{moment:%Y-%m-%d %H:%M} UTC")


def _submissions(client: KaggleClient, competition: Competition) -> Finding:
    if competition.is_code_competition:
        return Finding("submissions", "warn", "only from notebooks on Kaggle", "A run makes the code, not the hand-in.")
    if competition.submissions_disabled:
        return Finding("submissions", "warn", "this competition takes none", "A run can still be made and scored here.")
    limits = client.limits(competition.slug)
    if limits.left_today == 0:
        return Finding("submissions", "warn", "none is left today", "The limit resets at 00:00 UTC.")
    of = f" of {limits.daily}" if limits.daily else ""
    return Finding("submissions", "ok", f"{limits.left_today}{of} left today")


def _data_size(client: KaggleClient, competition: Competition, settings: Settings) -> Finding:
    count, size = client.data_size(competition.slug)
    return _fits(f"{count} files", size, settings)


def _local_data(folder: Path, settings: Settings) -> Finding:
    files = [path for path in folder.rglob("*") if path.is_file()]
    if not files:
        return Finding("data", "fail", f"{folder} holds no files.", "Put train.csv and test.csv into it.")
    return _fits(f"{len(files)} files", sum(path.stat().st_size for path in files), settings)


def _fits(what: str, size: int, settings: Settings) -> Finding:
    free = shutil.disk_usage(_existing(settings.runs_dir)).free
    detail = f"{what}, {size / 1e6:,.1f} MB"
    if size * DISK_PER_DATA_BYTE > free:
        return Finding("data", "fail", f"{detail}; only {free / 1e9:.1f} GB of disk are free", "Free disk space.")
    return Finding("data", "ok", detail)


def _existing(folder: Path) -> Path:
    """Return the folder, or the nearest parent that is there."""
    return next(place for place in (folder, *folder.parents) if place.is_dir())
