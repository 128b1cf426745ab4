"""One job on a worker of a cluster; this file builds its folders and environment there and runs it in a sandbox there.

It runs in the worker's process. What it returns are plain files and facts; nothing that the job wrote is parsed.
"""

from __future__ import annotations

import contextlib
import functools
import os
import platform
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from autokaggle.config import load_settings
from autokaggle.errors import ActionNeeded, OutsideWorldError
from autokaggle.orchestrator.cluster import parcels
from autokaggle.records.competition import DataFile
from autokaggle.records.sandbox import Isolation, IsolationLevel, StepResult
from autokaggle.skills.sandbox.environment import build_environment
from autokaggle.skills.sandbox.executor import run_job
from autokaggle.skills.sandbox.isolation import probe_isolation
from autokaggle.skills.sandbox.job import Job
from autokaggle.skills.sandbox.limits import MEMORY_SHARE, Limits, machine_memory_bytes
from autokaggle.storage.dataset_cache import DatasetCache
from autokaggle.storage.records_file import make_private_folder
from autokaggle.storage.tail import Tail

DEADLINE = "AUTOKAGGLE_DEADLINE"
LEVELS: tuple[IsolationLevel, ...] = ("none", "partial", "strong")
SECONDS_BETWEEN_LOOKS = 0.2
BUILD_SECONDS = 600.0
# What the sandbox allows beyond the moment at which the scripts stop by themselves.
GRACE_SECONDS = 1.0


@dataclass(frozen=True, kw_only=True)
class RemoteJob:
    """A job without paths. ``id`` is its topic for log lines; ``lock`` is that of its environment, None for none."""

    id: str
    scripts: tuple[str, ...]
    arguments: tuple[str, ...]
    variables: Mapping[str, str]
    limits: Limits
    level: IsolationLevel
    code: tuple[DataFile, ...]
    input: tuple[DataFile, ...] | None
    output: tuple[DataFile, ...]
    lock: str | None
    python: str
    wants_gpu: bool = False


@dataclass(frozen=True)
class Missing:
    """Contents that the worker at this address needs first."""

    worker: str
    contents: tuple[str, ...]


@dataclass(frozen=True)
class Outcome:
    """What a job left: its output as contents of files by name, and everything that it printed."""

    worker: str
    result: StepResult
    files: Mapping[str, bytes]
    log: bytes


@dataclass(frozen=True)
class WorkerFacts:
    """What a client wants to know before it sends anything."""

    home: str
    python: str
    moment: float


def facts() -> WorkerFacts:
    """Say how this worker stands; the client compares clocks and Pythons."""
    return WorkerFacts(str(load_settings().home), python_line(), time.time())


def receive(sender: str, sha256: str, chunk: bytes, *, is_first: bool, is_last: bool) -> None:
    """Take one piece of a content."""
    cache = DatasetCache(load_settings().cache)
    parcels.receive(cache, sender, sha256, chunk, is_first=is_first, is_last=is_last)


def carry_out(remote: RemoteJob) -> Missing | Outcome:
    """Run a job here, or say what is missing for that.

    Raises:
        ActionNeeded: this machine's walls are lower than the run's.
        OutsideWorldError: the environment cannot be built here.
    """
    from distributed import get_worker

    settings, worker = load_settings(), get_worker()
    cache = DatasetCache(settings.cache)
    if lacking := parcels.missing(cache, (*remote.code, *(remote.input or ()), *remote.output)):
        return Missing(worker.address, lacking)
    isolation = _isolation(remote.level, worker.address)
    environment = _environment(remote, settings.environments, worker.address)
    jobs = make_private_folder(settings.home / "jobs")
    with tempfile.TemporaryDirectory(prefix="job-", dir=jobs, ignore_cleanup_errors=True) as name:
        job = _unpacked(remote, cache, Path(name), environment)
        with _watching(remote.id, job.log) as cancelled:
            result = run_job(job, isolation, cancelled)
        files = {str(path.relative_to(job.output)): path.read_bytes() for path in _files(job.output)}
        return Outcome(worker.address, result, files, job.log.read_bytes() if job.log.is_file() else b"")


def python_line() -> str:
    """The release line of Python that environments are built for, such as 3.11."""
    return platform.python_version().rpartition(".")[0]


def _unpacked(remote: RemoteJob, cache: DatasetCache, folder: Path, environment: Path | None) -> Job:
    variables, limits = dict(remote.variables), remote.limits
    if DEADLINE in variables:
        left = float(variables[DEADLINE]) - time.time()
        limits = replace(limits, wall_seconds=max(0.1, min(limits.wall_seconds, left + GRACE_SECONDS)))
    limits = replace(limits, memory_bytes=min(limits.memory_bytes, int(machine_memory_bytes() * MEMORY_SHARE)))
    return Job(
        scripts=remote.scripts,
        arguments=remote.arguments,
        variables=variables,
        limits=limits,
        code=parcels.unpack(cache, remote.code, folder / "code"),
        input=None if remote.input is None else parcels.unpack(cache, remote.input, folder / "input"),
        output=parcels.unpack(cache, remote.output, folder / "output", writable=True),
        log=folder / "log",
        environment=environment,
        wants_gpu=remote.wants_gpu,
    )


def _isolation(level: IsolationLevel, address: str) -> Isolation:
    found = _probed(level == "none")
    if LEVELS.index(found.level) < LEVELS.index(level):
        raise ActionNeeded(
            f"The worker {address} can isolate generated code only at level {found.level}; this run is at {level}.",
            "Install bubblewrap on that machine, or take it off the cluster.",
        )
    return found


@functools.cache
def _probed(allow_unsandboxed: bool) -> Isolation:
    return probe_isolation(allow_unsandboxed)


def _environment(remote: RemoteJob, store: Path, address: str) -> Path | None:
    if remote.lock is None:
        return None
    if remote.python != python_line():
        raise OutsideWorldError(
            f"The worker {address} has Python {python_line()}, but this run's environment is for {remote.python}.",
            "Start that worker with the same Python.",
        )
    return build_environment((), store, lock=remote.lock, timeout_seconds=BUILD_SECONDS).folder


@contextlib.contextmanager
def _watching(topic: str, log: Path) -> Iterator[threading.Event]:
    """Send what is added to the log while the block runs; the event is set when nobody wants the job any more."""
    from distributed import get_worker
    from distributed.worker import thread_state

    worker, key = get_worker(), thread_state.key
    cancelled, ended, tail, attempt = threading.Event(), threading.Event(), Tail(log), os.urandom(4).hex()

    def watch() -> None:
        while not ended.wait(SECONDS_BETWEEN_LOOKS):
            task = worker.state.tasks.get(key)
            if task is None or task.state in ("cancelled", "released", "forgotten"):
                cancelled.set()
            if lines := tail.new_lines():
                worker.log_event(topic, {"attempt": attempt, "lines": b"\n".join([*lines, b""])})

    thread = threading.Thread(target=watch, name="watch job", daemon=True)
    thread.start()
    try:
        yield cancelled
    finally:
        ended.set()
        thread.join()


def _files(folder: Path) -> list[Path]:
    """List the plain files that the sandbox left; it removed everything else."""
    return [path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink()]
