"""Generated code at work; this file runs a code folder's scripts in the sandbox, and reads why they failed."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from pathlib import Path

from autokaggle.orchestrator.context import RunContext
from autokaggle.records.sandbox import StepResult
from autokaggle.skills.dataset.personal_values import LONGEST_LINE
from autokaggle.skills.sandbox.job import Job
from autokaggle.storage.records_file import make_private_folder

SCRIPTS = ("train.py", "validate.py", "predict.py")

# The scripts stop fitting by themselves at the deadline; the sandbox ends whatever goes on for this much longer.
GRACE_SECONDS = 1.0


def run_code(
    context: RunContext,
    environment: Path,
    seconds: float,
    *,
    code: Path,
    output: Path,
    log: Path,
    source: Path | None = None,
    scripts: tuple[str, ...] = SCRIPTS,
    variables: Mapping[str, str] | None = None,
    beside: int = 1,
    cancelled: threading.Event | None = None,
    wants_gpu: bool = False,
) -> StepResult:
    """Run the scripts within ``seconds``; ``source`` is the input folder, the run's own when None.

    ``environment`` is the folder of a virtual environment. ``beside`` is how many such jobs a candidate runs at once:
    each gets its part of cores and memory. One that ``wants_gpu`` sees the machine's.

    Raises:
        AutoKaggleError: the run does not know how generated code is isolated here.
    """
    make_private_folder(output)
    limits = context.limits(seconds + GRACE_SECONDS, output, beside=beside * context.at_once)
    job = Job(
        scripts=scripts,
        code=code,
        input=source or context.folder.input,
        output=output,
        log=log,
        environment=environment,
        limits=limits,
        wants_gpu=wants_gpu,
        variables={
            "AUTOKAGGLE_THREADS": str(limits.threads),
            "AUTOKAGGLE_DEADLINE": f"{time.time() + seconds:.1f}",
            **(variables or {}),
        },
    )
    return context.run_job(job, cancelled)


def failure_of(step: StepResult, log: Path) -> str:
    """Say why a step did not end well, "" when it did."""
    if step.limit:
        return f"stopped at the {step.limit} limit after {step.seconds:.1f} s"
    return f"exit code {step.exit_code}: {last_line(log)}" if step.exit_code != 0 else ""


def last_line(log: Path) -> str:
    """Return what a failed script said last, which for Python is the exception; of a long line its beginning."""
    if not log.is_file():
        return "no log"
    said = log.read_bytes().rstrip()
    lines = said.rpartition(b"\n")[2].decode("utf-8", "replace").splitlines()
    return lines[-1].strip()[:LONGEST_LINE] if lines else "it said nothing"
