"""`cancel`; this file ends a run for good: the process at work on it is told to stop, and the run is marked."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from autokaggle.cli import flags
from autokaggle.cli.program import Program
from autokaggle.errors import AutoKaggleError, UsageError

if TYPE_CHECKING:
    from psutil import Process

    from autokaggle.config import Settings
    from autokaggle.storage.artifacts import RunFolder

SECONDS_TO_STOP = 30.0
SECONDS_BETWEEN_LOOKS = 0.1


@click.command()
@flags.run_reference
@flags.runs_dir
@flags.as_json
@click.pass_obj
def cancel(program: Program, /, run: str, runs_dir: Path | None) -> None:
    """End a run for good.

    What it has made so far stays in its folder.
    """
    from autokaggle.orchestrator.standing import end_run
    from autokaggle.records.run import OVER
    from autokaggle.storage.run_folders import is_at_work, read_run

    folder, settings = program.find_run(run, runs_dir), program.settings(runs_dir)
    known = read_run(folder)
    if known.status in OVER:
        raise UsageError(f"Run {folder.id} is {known.status} already: there is nothing to cancel.")
    if known.options.detach:
        _keep_workers_away(folder, settings)
    if is_at_work(folder):
        _stop(folder)
    outcome = end_run(folder, settings, "cancelled", "Cancelled.")
    program.answer(f"Run {folder.id} is {outcome}.", {"run_id": folder.id, "status": outcome})


def _keep_workers_away(folder: RunFolder, settings: Settings) -> None:
    """Else one takes the run again between its process's end and the mark."""
    from autokaggle.storage.run_queue import RunQueue
    from autokaggle.storage.state_store import StateStore

    with contextlib.suppress(AutoKaggleError), StateStore(settings.state) as store:
        RunQueue(store).postpone(folder.id, 2 * SECONDS_TO_STOP)


def _stop(folder: RunFolder) -> None:
    """Tell the process that holds the run's lock to end, as Ctrl-C would, and wait until it has.

    Raises:
        AutoKaggleError: it is not to be found here, or does not end.
    """
    from autokaggle.storage.run_folders import is_at_work

    for process in _holders(folder):
        process.terminate()
    end = time.monotonic() + SECONDS_TO_STOP
    while is_at_work(folder):
        if time.monotonic() > end:
            raise AutoKaggleError(
                f"The process at work on run {folder.id} did not end within {SECONDS_TO_STOP:.0f} s.",
                "It may belong to another user or machine: stop it there.",
            )
        time.sleep(SECONDS_BETWEEN_LOOKS)


def _holders(folder: RunFolder) -> list[Process]:
    import os

    import psutil

    lock, found = str(folder.lock.resolve()), []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.pid != os.getpid() and any(file.path == lock for file in process.open_files()):
                found.append(process)
    return found
