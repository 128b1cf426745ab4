"""A run that was carried out before, opened to look at it or to run its code again; this file changes nothing of it."""

from __future__ import annotations

import msgspec

from autokaggle.config import Settings
from autokaggle.errors import UsageError
from autokaggle.orchestrator.budget import Budget
from autokaggle.orchestrator.context import RunContext
from autokaggle.orchestrator.journal import Journal, Listener, silent
from autokaggle.plugins.manager import Plugins
from autokaggle.records.outcome import Metrics
from autokaggle.records.run import Run
from autokaggle.skills.sandbox.isolation import probe_isolation
from autokaggle.storage.artifacts import RunFolder
from autokaggle.storage.records_file import read_record


def reopen_run(folder: RunFolder, settings: Settings, listener: Listener = silent) -> RunContext:
    """Return the run's context, with the isolation that this machine has today.

    Raises:
        ActionNeeded: its code cannot be isolated here, and running it without was not allowed.
        AutoKaggleError: the run's record is damaged.
    """
    run = read_record(folder.record, Run)
    journal = Journal(folder, listener)
    plugins = Plugins(warn=journal.warn).put_in_force()
    if run.isolation is not None:
        # Another day, another machine, another level: what the record says is not believed.
        run = msgspec.structs.replace(run, isolation=probe_isolation(run.options.allow_unsandboxed))
    return RunContext(folder, settings, run, journal, plugins, Budget(run.options.time_budget_seconds))


def need_published_code(run: Run, folder: RunFolder) -> Metrics:
    """Return the figures of the run's submission, which its published code made.

    Raises:
        UsageError: there is no such code; says why, and what to do.
    """
    if run.ensemble is not None and folder.metrics.is_file() and (folder.code / "predict.py").is_file():
        return read_record(folder.metrics, Metrics)
    if run.status != "done":
        raise UsageError(
            f"Run {run.id} is {run.status}: it has not come to its submission.",
            f"Finish it first: autokaggle resume {run.id}",
        )
    if not folder.submission.is_file():
        raise UsageError(
            f"Run {run.id} wrote its code but ran none of it, as --skip-execution asks.",
            f"Start a run that does: autokaggle run {run.target}",
        )
    raise UsageError(
        f"Run {run.id} ended with a constant answer: no candidate beat it, so there is no code that made it.",
        f"Give it more time: autokaggle improve {run.id} --time-budget 10m\n"
        f"What its candidates said: autokaggle logs {run.id}",
    )
