"""How a run stands while nobody works on it; this file leaves it to a worker, takes it back, and ends it for good.

Each change is made under the run's lock, so that it never meets a process at work.
"""

from __future__ import annotations

import contextlib
from typing import Any

import msgspec

from autokaggle.config import Settings
from autokaggle.errors import AutoKaggleError
from autokaggle.orchestrator.journal import Journal, utc_now
from autokaggle.records.run import OVER, Run, RunStatus
from autokaggle.storage.artifacts import RunFolder
from autokaggle.storage.records_file import read_record, write_record
from autokaggle.storage.run_folders import hold_run, refuse_cancelled
from autokaggle.storage.state_store import StateStore, open_state_store


def leave_to_worker(folder: RunFolder, settings: Settings) -> Run:
    """Put a run into the queue; a worker goes on with what is left of it.

    Raises:
        UsageError: another process is at work on it, or it was cancelled.
        OutsideWorldError: the index of runs, which holds the queue, cannot be written.
    """
    journal = Journal(folder)
    with (
        hold_run(folder),
        open_state_store(settings.state, settings.runs_dir.absolute(), journal.warn),
        StateStore(settings.state) as store,
    ):
        run = read_record(folder.record, Run)
        refuse_cancelled(run)
        run = changed(run, status="queued", error="", options=msgspec.structs.replace(run.options, detach=True))
        write_record(folder.record, run)
        store.record_run(run, folder.path)
        journal.tell("run_queued", "Waits for a worker.", priority=run.options.priority)
    return run


def take_from_queue(folder: RunFolder, settings: Settings) -> None:
    """Keep workers away from a run that somebody carries out by hand.

    Raises:
        UsageError: a process is at work on it.
    """
    with hold_run(folder):
        run = read_record(folder.record, Run)
        if run.options.detach:
            save(folder, settings, changed(run, options=msgspec.structs.replace(run.options, detach=False)))


def end_run(folder: RunFolder, settings: Settings, status: RunStatus, message: str) -> RunStatus:
    """End a run for good, unless it has come to an end before; return how it stands.

    Raises:
        UsageError: a process is at work on it.
    """
    with hold_run(folder):
        run = read_record(folder.record, Run)
        if run.status not in OVER:
            run = changed(run, status=status, error=message if status == "failed" else "")
            save(folder, settings, run)
            Journal(folder).tell("run_finished", message, status=status, submission="")
    return run.status


def changed(run: Run, **changes: Any) -> Run:
    """Return the record with changes made now."""
    return msgspec.structs.replace(run, updated=utc_now(), **changes)


def save(folder: RunFolder, settings: Settings, run: Run) -> None:
    """Replace the record of a run that nobody works on."""
    write_record(folder.record, run)
    # The index is made again from the folders when it is lost; the folder is what counts.
    with contextlib.suppress(AutoKaggleError), StateStore(settings.state) as store:
        store.record_run(run, folder.path)
