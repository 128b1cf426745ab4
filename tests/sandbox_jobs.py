"""Small jobs for tests of the sandbox; this file writes a script into a folder and runs it at a level."""

from __future__ import annotations

import dataclasses
import functools
import sys
import textwrap
import threading
from pathlib import Path
from typing import Any

import pytest

from autokaggle.records.sandbox import Isolation, StepResult
from autokaggle.skills.sandbox.backends import backends
from autokaggle.skills.sandbox.executor import run_job
from autokaggle.skills.sandbox.isolation import try_backend
from autokaggle.skills.sandbox.job import Job
from autokaggle.skills.sandbox.limits import MEBIBYTE, Limits

STRONG = Isolation(level="strong", backend="bubblewrap")
PARTIAL = Isolation(level="partial", backend="landlock")
UNSANDBOXED = Isolation(level="none", backend="none")
LEVELS = [STRONG, PARTIAL, UNSANDBOXED]
EVERY_LEVEL = pytest.mark.parametrize("isolation", LEVELS, ids=lambda isolation: isolation.backend)
WALLED = pytest.mark.parametrize("isolation", [STRONG, PARTIAL], ids=lambda isolation: isolation.backend)

SMALL = Limits(
    wall_seconds=60,
    memory_bytes=300 * MEBIBYTE,
    processes=64,
    file_bytes=32 * MEBIBYTE,
    disk_bytes=48 * MEBIBYTE,
    inodes=400,
    log_bytes=MEBIBYTE,
    temporary_bytes=64 * MEBIBYTE,
)


@functools.cache
def what_is_missing(backend: str) -> str:
    """Say why ``backend`` cannot be tested on this machine, "" when it can."""
    known = {known.name: known for known in backends()}
    if backend == "none":
        return ""
    if backend not in known:
        return "it belongs to another system"
    return known[backend].missing() or try_backend(known[backend])


def need(isolation: Isolation) -> None:
    """Skip the test when this machine cannot build the level's walls."""
    if trouble := what_is_missing(isolation.backend):
        pytest.skip(f"{isolation.backend}: {trouble}")


def make_job(
    folder: Path, *texts: str, limits: Limits = SMALL, bounds: dict[str, Any] | None = None, **kept: Any
) -> Job:
    """Write each text as a script of its own and describe the job; ``bounds`` replaces single limits."""
    code = folder / "code"
    (folder / "input").mkdir(parents=True, exist_ok=True)
    code.mkdir(exist_ok=True)
    scripts = [f"script{number}.py" for number in range(len(texts))]
    for script, text in zip(scripts, texts, strict=True):
        (code / script).write_text(textwrap.dedent(text), "utf-8")
    facts: dict[str, Any] = {
        "scripts": tuple(scripts),
        "code": code,
        "input": folder / "input",
        "output": folder / "output",
        "log": folder / "log",
        "environment": Path(sys.prefix),
        "limits": dataclasses.replace(limits, **(bounds or {})),
        **kept,
    }
    return Job(**facts)


def run(job: Job, isolation: Isolation, cancelled: threading.Event | None = None) -> tuple[StepResult, str]:
    """Run the job and return its record and its log."""
    need(isolation)
    result = run_job(job, isolation, cancelled)
    return result, job.log.read_text("utf-8", "replace")
