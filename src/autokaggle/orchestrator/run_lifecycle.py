"""A run from start to end; this file makes runs, carries out their stages, leaves each resumable."""

from __future__ import annotations

import datetime as dt
import platform
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import msgspec

from autokaggle import __version__
from autokaggle.config import Settings
from autokaggle.errors import ActionNeeded, AutoKaggleError, DiskTrouble, RunInterrupted
from autokaggle.orchestrator.budget import Budget
from autokaggle.orchestrator.context import RunContext
from autokaggle.orchestrator.heartbeat import heartbeat
from autokaggle.orchestrator.journal import Journal, Listener, silent, utc_now
from autokaggle.orchestrator.kaggle_account import open_kaggle
from autokaggle.orchestrator.orphans import end_orphans
from autokaggle.orchestrator.run_metric import check_metric, keep_metric, register_metrics
from autokaggle.orchestrator.signals import is_interrupt, terminate_like_interrupt
from autokaggle.orchestrator.stages import STAGES, Stage
from autokaggle.plugins.manager import Plugins
from autokaggle.records.run import Run, RunOptions, RunStatus, StageRecord
from autokaggle.records.sandbox import Isolation
from autokaggle.storage.artifacts import RunFolder, new_run_id
from autokaggle.storage.disk import disk_trouble
from autokaggle.storage.records_file import make_private_folder, read_record
from autokaggle.storage.run_folders import hold_run, refuse_cancelled
from autokaggle.storage.state_store import StateStore, open_state_store

if TYPE_CHECKING:
    from autokaggle.skills.dialogue.person import Person


def start_run(options: RunOptions, settings: Settings) -> RunFolder:
    """Make the run's folder and record; nothing is fetched or run yet.

    Raises:
        UsageError: the target or an option makes no sense.
        ActionNeeded: there are no Kaggle credentials; or generated code could not be isolated here, and running it
            without isolation was not allowed; or a GPU is to be used, and there is none.
    """
    from autokaggle.skills.competition import address

    target = address.parse_target(options.target)
    plugins = Plugins().put_in_force()
    plugins.template("tabular" if options.template == "auto" else options.template)
    check_metric(options.metric)
    if options.cluster is not None:
        from autokaggle.orchestrator.cluster.client import check_address

        check_address(options.cluster)
    if target.folder is None and not options.offline:
        open_kaggle(settings)  # without credentials nothing is begun
    isolation = _isolation(options, settings)
    gpu = _gpu(options, isolation)
    moment = dt.datetime.now(dt.UTC)
    make_private_folder(settings.runs_dir.absolute())
    folder = RunFolder.create(settings.runs_dir.absolute(), new_run_id(target.slug, moment))
    options = msgspec.structs.replace(options, metric=keep_metric(options.metric, folder))
    if target.folder is not None:  # whoever goes on with the run may stand in another folder
        options = msgspec.structs.replace(options, target=str(target.folder))
    run = Run(
        id=folder.id,
        slug=target.slug,
        target=options.target,
        options=options,
        status="created",
        created=utc_now(),
        seed=options.seed,
        host={**_host(), "gpu": gpu},
        isolation=isolation,
    )
    journal = Journal(folder)
    with _open_state(settings, journal.warn) as state:
        RunContext(folder, settings, run, journal, plugins, Budget(0), state).save()
    return folder


def carry_out(folder: RunFolder, settings: Settings, listener: Listener = silent, person: Person | None = None) -> Run:
    """Carry out every stage that has no finished record; ``person`` is whom a run with a chat talks to.

    Raises:
        UsageError: another process is at work on this run, or it was cancelled.
        RunInterrupted: Ctrl-C or SIGTERM; what was finished is kept.
        AutoKaggleError: a stage could not be carried out; the run's record says which.
    """
    with hold_run(folder), _open_state(settings, Journal(folder, listener).warn) as state:
        run = read_record(folder.record, Run)
        refuse_cancelled(run)
        end_orphans(folder)
        journal = Journal(folder, listener, keep=lambda event: state.add_event(run.id, event) if state else None)
        plugins = Plugins(warn=journal.warn).put_in_force()
        if run.status != "created":
            # Another day, another machine, another level: what the record says of isolation is not believed.
            run = msgspec.structs.replace(run, isolation=_isolation(run.options, settings))
            _warn_without_gpu(run, journal)
        budget = Budget(run.options.time_budget_seconds, run.budget_seconds_used)
        context = RunContext(folder, settings, run, journal, plugins, budget, state, person=person)
        register_metrics(context)
        with terminate_like_interrupt(), _on_cluster(context):
            return _carry_out_stages(context)


def _warn_without_gpu(run: Run, journal: Journal) -> None:
    """Say so where a run was planned with a GPU and goes on without."""
    if run.plan is None or not run.plan.gpu or run.isolation is None or _runs_elsewhere(run.options):
        return
    from autokaggle.skills.sandbox.gpu import find_gpu

    if trouble := find_gpu(run.isolation).trouble:
        journal.warn(f"The plan is to use a GPU; the processor does its work: {trouble}.")


def _carry_out_stages(context: RunContext) -> Run:
    run, journal = context.run, context.journal
    isolation = run.isolation or Isolation(level="none", backend="none")
    try:
        context.save(status="running", error="")
        journal.tell(
            "run_started",
            run_id=run.id,
            slug=run.slug,
            isolation=isolation.level,
            backend=isolation.backend,
            budget_seconds=run.options.time_budget_seconds,
        )
        with heartbeat(context):
            for stage in STAGES:
                _carry_out_stage(context, stage)
    except AutoKaggleError as error:
        _fail(context, error.message)
        raise
    except BaseException as error:
        if is_interrupt(error):
            interrupted: RunStatus = "queued" if run.options.detach else "interrupted"
            _end(context, interrupted, "Interrupted; what was finished is kept.")
            raise RunInterrupted(
                f"Run {run.id} was interrupted; what was finished is kept.", f"Go on with: autokaggle resume {run.id}"
            ) from error
        trouble = disk_trouble(error, then=f"go on with: autokaggle resume {run.id}")
        _fail(context, trouble.message if trouble else repr(error))
        if trouble:
            raise trouble from error
        raise
    _end(context, "done")
    return context.run


def _carry_out_stage(context: RunContext, stage: Stage) -> None:
    done = {record.name for record in context.run.stages if record.status == "done"}
    if stage.name != "fetch":
        context.budget.start()
    if stage.name in done:
        return
    context.journal.tell("stage_started", stage.title, stage=stage.name)
    clock = time.monotonic()
    record = StageRecord(name=stage.name, status="running", started=utc_now())
    _save_stage(context, record)
    try:
        message = stage.carry_out(context)
    except BaseException as error:
        said = str(error) or type(error).__name__
        _save_stage(context, record, status="failed", seconds=time.monotonic() - clock, message=said)
        raise
    seconds = round(time.monotonic() - clock, 3)
    _save_stage(context, record, status="done", seconds=seconds, message=message)
    context.journal.tell("stage_finished", message, stage=stage.name, seconds=seconds)


def _save_stage(context: RunContext, record: StageRecord, **changes: Any) -> None:
    others = tuple(known for known in context.run.stages if known.name != record.name)
    context.save(stages=(*others, msgspec.structs.replace(record, **changes)))


def _end(context: RunContext, status: RunStatus, message: str = "") -> None:
    context.save(status=status, error=message if status == "failed" else "")
    submission = context.folder.submission
    handed_in = str(submission) if status == "done" and submission.is_file() else ""
    context.journal.tell("run_finished", message, status=status, submission=handed_in)


def _fail(context: RunContext, message: str) -> None:
    # Where nothing can be written, the run stands as one that was killed.
    with suppress(DiskTrouble, OSError):
        _end(context, "failed", message)


@contextmanager
def _on_cluster(context: RunContext) -> Iterator[None]:
    """Let the jobs of a run that asks for a cluster run there; one that has nothing left to search needs none."""
    options = context.run.options
    searched = any(stage.name == "search" and stage.status == "done" for stage in context.run.stages)
    if options.cluster is None or searched or not context.is_executed:
        yield
        return
    from autokaggle.orchestrator.cluster.client import open_cluster

    with open_cluster(options.cluster, context.journal.warn, wants_gpu=options.gpu == "on") as jobs:
        context.execute, context.cluster_width = jobs, jobs.width
        yield


def _isolation(options: RunOptions, settings: Settings) -> Isolation | None:
    if options.skip_execution or settings.skip_execution:
        return None
    from autokaggle.skills.sandbox.isolation import probe_isolation

    return probe_isolation(options.allow_unsandboxed)


def _gpu(options: RunOptions, isolation: Isolation | None) -> str:
    """Name the GPU of this machine that the run may use, "" for none; that of other machines is theirs to tell.

    Raises:
        ActionNeeded: there is none, and the options want one.
    """
    if options.gpu == "off" or isolation is None or _runs_elsewhere(options):
        return ""
    from autokaggle.skills.sandbox.gpu import find_gpu

    found = find_gpu(isolation)
    if options.gpu == "on" and not found.name:
        raise ActionNeeded(
            f"No GPU can be used on this machine: {found.trouble}.",
            "`nvidia-smi` must list it, and `autokaggle doctor` find it; or leave out --gpu on.",
        )
    return found.name


def _runs_elsewhere(options: RunOptions) -> bool:
    if options.cluster is None:
        return False
    from autokaggle.orchestrator.cluster.client import is_remote

    return is_remote(options.cluster)


def _host() -> dict[str, object]:
    import psutil

    from autokaggle.skills.sandbox.limits import available_cores

    return {
        "autokaggle": __version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "cores": available_cores(),
        "memory_bytes": psutil.virtual_memory().total,
        "executable": sys.executable,
    }


@contextmanager
def _open_state(settings: Settings, warn: Callable[[str], None]) -> Iterator[StateStore | None]:
    """Open the index of runs; without it the run goes on, since the run folder holds everything."""
    try:
        state = open_state_store(settings.state, settings.runs_dir.absolute(), warn)
    except AutoKaggleError as error:
        warn(f"{error.message} The run goes on without the index of runs.")
        yield None
        return
    with state:
        yield state
