"""Run folders on this machine; this file finds the one that a person means, reads it, and says whether it is in use."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from autokaggle.config import Settings
from autokaggle.errors import AutoKaggleError, UsageError
from autokaggle.records.candidate import Candidate
from autokaggle.records.outcome import Metrics
from autokaggle.records.run import Run, RunStatus
from autokaggle.storage.artifacts import RunFolder
from autokaggle.storage.records_file import PRIVATE_FILE, read_record

NAMES_SHOWN = 5
AT_WORK = ("running", "waiting")
SECONDS_TO_ASK = 0.4


def find_run(reference: str, settings: Settings, *, elsewhere: bool = True) -> RunFolder:
    """Find a run by its folder, its id, an unambiguous prefix of the id, or ``latest``.

    ``settings.runs_dir`` is looked into first, then, where ``elsewhere`` allows it, the index of runs made elsewhere.

    Raises:
        UsageError: no run, or more than one, fits.
    """
    given = RunFolder(Path(reference).expanduser().absolute())
    if reference and given.record.is_file():
        return given
    here = _names(settings.runs_dir.absolute())
    if reference == "latest" and (latest := next(filter(_is_run, reversed(here)), None)):
        return RunFolder(latest)
    fitting = [path for path in here if reference and path.name.startswith(reference) and _is_run(path)]
    exact = [path for path in fitting if path.name == reference]
    if len(exact or fitting) == 1:
        return RunFolder((exact or fitting)[0])
    if fitting:
        names = ", ".join(path.name for path in fitting[-NAMES_SHOWN:])
        raise UsageError(f"{reference!r} fits {len(fitting)} runs: {names}.", "Give more of the run's id.")
    if elsewhere and (found := _find_elsewhere(reference, settings)):
        return found
    if reference == "latest":
        raise UsageError(f"There is no run yet in {settings.runs_dir}.", "Start one: autokaggle run TARGET")
    raise UsageError(
        f"There is no run {reference!r} in {settings.runs_dir}.",
        "`autokaggle runs` lists the runs; --runs-dir looks elsewhere.",
    )


def is_at_work(folder: RunFolder) -> bool:
    """Say whether a process holds the run's lock; the system frees it when the process ends in any way."""
    try:
        descriptor = os.open(folder.lock, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def read_run(folder: RunFolder) -> Run:
    """Read the run's record; a run that says it is at work while no process is was interrupted, its stage included.
    One that was left to workers waits for the next.

    Raises:
        AutoKaggleError: the record is damaged, or was written by a newer AutoKaggle.
    """
    run = _read(folder)
    if run.status not in AT_WORK or is_at_work(folder):
        return run
    # The process may have finished since the first look: it writes the record before it lets the lock go.
    run = _read(folder)
    return _interrupted(run) if run.status in AT_WORK else run


def read_candidates(folder: RunFolder) -> list[Candidate]:
    """Read the records of all candidates that have one, in the order in which they were made.

    Raises:
        AutoKaggleError: a record is damaged, or was written by a newer AutoKaggle.
    """
    records = [candidate.record for candidate in folder.all_candidates()]
    return [read_record(record, Candidate) for record in records if record.is_file()]


def read_metrics(folder: RunFolder) -> Metrics | None:
    """Read what the run came to; None before it has come to anything.

    Raises:
        AutoKaggleError: the record is damaged, or was written by a newer AutoKaggle.
    """
    return read_record(folder.metrics, Metrics) if folder.metrics.is_file() else None


def read_pages(folder: RunFolder) -> dict[str, str]:
    """Read the competition's pages, by their names without an ending."""
    return {path.stem: path.read_text("utf-8") for path in sorted(folder.pages.glob("*.md"))}


@contextmanager
def hold_run(folder: RunFolder) -> Iterator[None]:
    """Hold the run against other processes; the system frees the lock when the process ends in any way.

    Raises:
        UsageError: another process is at work on the run.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(folder.lock, mode=PRIVATE_FILE)
    try:
        # Whoever asks `is_at_work` holds it too, for less than a millisecond; a process at work does not let go.
        lock.acquire(timeout=SECONDS_TO_ASK, poll_interval=SECONDS_TO_ASK / 20)
    except Timeout as error:
        raise UsageError(
            f"Another process is at work on run {folder.id}.",
            f"Watch it with: autokaggle status {folder.id} --watch",
        ) from error
    try:
        _remove_parts(folder)
        yield
    finally:
        lock.release()


def refuse_at_work(folder: RunFolder) -> None:
    """Raises:
    UsageError: a process is at work on the run.
    """
    if is_at_work(folder):
        raise UsageError(f"Run {folder.id} is still at work.", f"Wait for it: autokaggle status {folder.id} --watch")


def refuse_cancelled(run: Run) -> None:
    """Raises:
    UsageError: the run was cancelled.
    """
    if run.status == "cancelled":
        raise UsageError(
            f"Run {run.id} was cancelled, which ends it for good.", f"Start anew: autokaggle run {run.target}"
        )


def files_of(folder: RunFolder) -> Iterator[Path]:
    """Yield every file of a run but its data, which are links and may be many, and its environment."""
    for parent, folders, names in os.walk(folder.path):
        folders[:] = [name for name in folders if Path(parent, name) not in (folder.data, folder.venv)]
        yield from (Path(parent, name) for name in names)


def _remove_parts(folder: RunFolder) -> None:
    """Remove what a killed process had begun to write."""
    for path in files_of(folder):
        if path.name.startswith(".") and path.name.endswith(".part"):
            path.unlink(missing_ok=True)


def _interrupted(run: Run) -> Run:
    cut_short = (
        msgspec.structs.replace(stage, status="failed", message="interrupted") if stage.status == "running" else stage
        for stage in run.stages
    )
    status: RunStatus = "queued" if run.options.detach else "interrupted"
    return msgspec.structs.replace(run, status=status, stages=tuple(cut_short))


def _read(folder: RunFolder) -> Run:
    try:
        return read_record(folder.record, Run)
    except OSError as error:
        raise AutoKaggleError(f"Cannot read {folder.record}: {error.strerror}.") from error


def _names(runs_dir: Path) -> list[Path]:
    """List what lies in the folder of runs, oldest run first; which of it are runs is asked of few, for speed."""
    try:
        names = os.listdir(runs_dir)  # noqa: PTH208 - a thousand names are sorted before any becomes a path
    except OSError:
        return []
    # A run's id ends with date, time and four hex digits; the slug before them must not decide the order.
    return [runs_dir / name for name in sorted(names, key=lambda name: (name[-20:-5], name))]


def _is_run(path: Path) -> bool:
    return RunFolder(path).record.is_file()


def _find_elsewhere(reference: str, settings: Settings) -> RunFolder | None:
    if not settings.state.is_file():
        return None
    from autokaggle.storage.state_store import StateStore

    try:
        with StateStore(settings.state) as store:
            row = store.find(reference)
    except UsageError:
        raise
    except AutoKaggleError:
        # Without the index only what lies in runs_dir can be found, which is what the caller then says.
        return None
    return RunFolder(row.folder) if row and RunFolder(row.folder).record.is_file() else None
