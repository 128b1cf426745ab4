"""The submission once more; this file runs a run's published code on the same data in an environment built anew.

Nothing of the run is changed. What it needs from the network is the packages of the lock, by their hashes.
"""

from __future__ import annotations

import hashlib
import platform
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from autokaggle.config import Settings
from autokaggle.errors import AutoKaggleError, CompetitionUnusable, UsageError
from autokaggle.orchestrator.code_run import SCRIPTS
from autokaggle.orchestrator.context import RunContext
from autokaggle.orchestrator.reopening import need_published_code, reopen_run
from autokaggle.records.competition import Competition
from autokaggle.records.event import Progress
from autokaggle.records.outcome import Metrics
from autokaggle.records.run import Run
from autokaggle.records.sandbox import StepResult
from autokaggle.skills.sandbox.environment import Environment, build_environment
from autokaggle.skills.sandbox.job import Job
from autokaggle.skills.sandbox.limits import available_cores
from autokaggle.skills.submission.comparison import Comparison, compare_submissions
from autokaggle.storage.artifacts import RunFolder
from autokaggle.storage.records_file import make_private_folder, read_record
from autokaggle.storage.scratch import scratch_folder

OnProgress = Callable[[Progress], None]

# Fits are as long as they were; a slower machine may take this many times as long, and ten minutes at least.
PATIENCE = 10.0
SHORTEST_LIMIT_SECONDS = 600.0
LOG_TAIL_BYTES = 2_000


@dataclass(frozen=True)
class Replay:
    """What came of running the code again; ``reasons`` say what is not as it was and may explain a difference."""

    comparison: Comparison
    seconds: float
    environment_seconds: float
    python: str
    reasons: tuple[str, ...] = field(default=())


def reproduce(
    folder: RunFolder,
    settings: Settings,
    *,
    output: Path | None = None,
    is_environment_reused: bool = False,
    on_progress: OnProgress = lambda progress: None,
) -> Replay:
    """Rebuild the run's submission and compare it; ``output`` keeps what the code writes.

    The environment is built anew beside the store, unless ``is_environment_reused``.

    Raises:
        UsageError: the run has no published code that made its submission.
        CompetitionUnusable: its data are gone or have changed.
        OutsideWorldError: the packages cannot be fetched.
        AutoKaggleError: the published code failed.
    """
    context = reopen_run(folder, settings)
    metrics = _check_run(context.run, folder)
    on_progress(Progress(text="checking the data"))
    check_data(folder)
    with _environment(context, is_environment_reused, on_progress) as (environment, environment_seconds):
        on_progress(Progress(text="running the published code"))
        with _places(output) as (written, log):
            step = _run(context, environment, written, log)
            comparison = compare_submissions(folder.submission, written / folder.submission.name)
    reasons = tuple(_reasons(context, environment.python_version, comparison, metrics))
    return Replay(comparison, step.seconds, environment_seconds, environment.python_version, reasons)


def check_data(folder: RunFolder) -> None:
    """Compare the run's data with the hashes that it recorded.

    Raises:
        CompetitionUnusable: a file is missing or has another content.
    """
    for file in read_record(folder.competition, Competition).files:
        path = folder.data / file.name
        if not path.is_file():
            raise CompetitionUnusable(
                f"{path} is not there any more.", "Fetch the competition again (autokaggle run), then copy its data."
            )
        with path.open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
        if file.sha256 and found != file.sha256:
            raise CompetitionUnusable(
                f"{path} has changed since the run: its sha256 is {found[:16]}, not {file.sha256[:16]}.",
                "Bring back the file that the run used; its submission cannot be rebuilt from another.",
            )


def _check_run(run: Run, folder: RunFolder) -> Metrics:
    metrics = need_published_code(run, folder)
    if not folder.submission.is_file():
        raise UsageError(f"{folder.submission} is missing.", "Bring it back: there is nothing to compare with.")
    if not folder.requirements_lock.is_file():
        raise UsageError(f"{folder.requirements_lock} is missing.", "Without the lock there is no same environment.")
    return metrics


@contextmanager
def _environment(context: RunContext, is_reused: bool, on_progress: OnProgress) -> Iterator[tuple[Environment, float]]:
    """Build the environment of the lock, in a store of its own that is removed afterwards."""
    folder, settings = context.folder, context.settings
    store = make_private_folder(settings.environments)
    # Beside the shared store, so that files can be linked from uv's cache where the file systems are the same.
    with nullcontext(store) if is_reused else scratch_folder(store.parent, "replay") as place:
        started = time.monotonic()
        environment = build_environment(
            folder.requirements.read_text("utf-8").splitlines(),
            place,
            lock=folder.requirements_lock.read_text("utf-8"),
            offline=context.run.options.offline,
            on_progress=on_progress,
        )
        yield environment, time.monotonic() - started


@contextmanager
def _places(output: Path | None) -> Iterator[tuple[Path, Path]]:
    """Yield where output and log go; the log not beside a folder that was chosen, where a file may have its name."""
    with tempfile.TemporaryDirectory(prefix="autokaggle-replay-") as name:
        yield make_private_folder((output or Path(name) / "output").absolute()), Path(name) / "log"


def _run(context: RunContext, environment: Environment, output: Path, log: Path) -> StepResult:
    budget = context.run.options.time_budget_seconds
    wall = max(SHORTEST_LIMIT_SECONDS, PATIENCE * budget)
    limits = context.limits(wall, output)
    step = context.run_job(
        Job(
            scripts=SCRIPTS,
            code=context.folder.code,
            input=context.folder.input,
            output=output,
            log=log,
            environment=environment.folder,
            limits=limits,
            variables={"AUTOKAGGLE_THREADS": str(limits.threads)},
            wants_gpu=bool(context.gpu_members),
        )
    )
    if step.exit_code != 0:
        ended = f"was stopped at the {step.limit} limit" if step.limit else f"failed with exit code {step.exit_code}"
        tail = log.read_bytes()[-LOG_TAIL_BYTES:].decode("utf-8", "replace").strip()
        raise AutoKaggleError(
            f"The published code of run {context.run.id} {ended} after {step.seconds:.0f} s.", f"It said last:\n{tail}"
        )
    return step


def _reasons(context: RunContext, python: str, comparison: Comparison, metrics: Metrics) -> Iterator[str]:
    """Yield what is not as it was, most telling first; nothing for a submission that is the same."""
    run = context.run
    if comparison.verdict == "identical":
        return
    if comparison.expected_sha256 != metrics.submission.sha256:
        yield "output/submission.csv is not the file that the run left: it was changed or replaced."
    if run.python and python != run.python:
        yield f"Python is {python}; it was {run.python}."
    if members := context.gpu_members:
        yield (
            f"Set to use a GPU: {', '.join(members)}. Sums of floats come in another order there, in training each "
            "time, and in another one on the processor."
        )
    cores = available_cores()
    if run.host.get("cores") not in (None, cores):
        yield f"There are {cores} cores; there were {run.host['cores']}, and sums over threads depend on their number."
    if run.host.get("system") not in (None, platform.platform()):
        yield f"The system is {platform.platform()}; it was {run.host['system']}."
    if comparison.verdict == "close":
        yield "The values differ in their last digits alone, as sums of floats in another order do."
