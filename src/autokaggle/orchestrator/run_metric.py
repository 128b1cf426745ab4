"""The metric that a run is scored by, when it does not ship; this file keeps a user's file and registers what it means.

A user's code runs in the sandbox alone, in the run's environment. The file is copied into the run's input, so that a
run that is resumed elsewhere, or later, is scored as it began.
"""

from __future__ import annotations

from pathlib import Path

from autokaggle.errors import UsageError
from autokaggle.orchestrator.context import RunContext
from autokaggle.orchestrator.run_environment import prepare_environment
from autokaggle.skills.sandbox.job import Job
from autokaggle.skills.scoring import metrics
from autokaggle.skills.scoring.custom_metric import (
    SCRIPT,
    custom_metric,
    is_reference,
    metric_id,
    read_metric,
    split_reference,
)
from autokaggle.storage.artifacts import RunFolder
from autokaggle.storage.records_file import make_private_folder, write_atomically

MOST_SECONDS = 120.0


def check_metric(metric: str | None) -> None:
    """Refuse a metric that there is not, before anything is begun.

    Raises:
        UsageError: no metric has this id, or the file does not say what is needed.
    """
    if metric is None:
        return
    if is_reference(metric):
        read_metric(metric)
    else:
        metrics.find_metric(metric)


def keep_metric(metric: str | None, folder: RunFolder) -> str | None:
    """Copy the file of ``FILE.py:function`` into the run, and return the metric's id."""
    if metric is None or not is_reference(metric):
        return metric
    path, function = split_reference(metric)
    write_atomically(make_private_folder(folder.metric) / path.name, path.read_bytes())
    return metric_id(path, function)


def register_metrics(context: RunContext) -> None:
    """Make the run's own metric known by its id, where it has one.

    Raises:
        UsageError: the file in the run's folder was damaged.
    """
    for path in sorted(context.folder.metric.glob("*.py")):
        function = str(context.run.options.metric).removeprefix(f"{path.stem}.")
        scratch = make_private_folder(context.folder.path / ".metric")
        metrics.register(custom_metric(f"{path}:{function}", MetricRun(context), scratch))


class MetricRun:
    """Run the scorer of a user's metric in the sandbox."""

    def __init__(self, context: RunContext) -> None:
        self._context = context

    def __call__(self, code: Path, given: Path, output: Path, function: str) -> None:
        """Raises:
        UsageError: it ended without success; the message has its last words.
        """
        from autokaggle.orchestrator.code_run import failure_of

        log = output.with_name("log")
        job = Job(
            scripts=(SCRIPT,),
            code=code,
            input=given,
            output=output,
            log=log,
            environment=self._environment(),
            limits=self._context.limits(MOST_SECONDS, output),
            arguments=(function,),
        )
        if problem := failure_of(self._context.run_job(job), log):
            raise UsageError(f"The metric {function} failed: {problem}.", "Correct the file, then start a new run.")

    def _environment(self) -> Path:
        """Return the run's environment; it is built when nothing needed it before."""
        context = self._context
        if context.folder.venv.exists():
            return context.folder.venv.resolve()
        return prepare_environment(context, context.plugins.template(context.plan.template).requirements).folder
