"""A cluster as the place where a run's jobs run; this file sends each to a worker, and brings back what it left.

The engine reschedules the job of a worker that is lost. A job that nobody waits for any more, because it was cancelled
or because this process died, is ended by its worker.
"""

from __future__ import annotations

import contextlib
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Literal

from autokaggle.errors import ActionNeeded, AutoKaggleError, OutsideWorldError, UsageError
from autokaggle.orchestrator.cluster import remote_job
from autokaggle.orchestrator.cluster.parcels import Folders
from autokaggle.orchestrator.cluster.remote_job import DEADLINE, Missing, Outcome, RemoteJob
from autokaggle.records.sandbox import Isolation, StepResult
from autokaggle.skills.sandbox.job import Job
from autokaggle.skills.sandbox.limits import GIBIBYTE, available_cores, machine_memory_bytes
from autokaggle.storage.records_file import make_private_folder

if TYPE_CHECKING:
    from distributed import Client, Future

LOCAL = re.compile(r"local:([1-9]\d{0,2})")
REMOTE = re.compile(r"(tcp|tls)://[^/\s]+:\d+")
CONNECT_SECONDS = 15.0
WORKERS_SECONDS = 60.0
CLOCK_SECONDS = 2.0
# Beyond a job's own end: the way there and back. Building an environment for the first time is part of no job's time.
TRAVEL_SECONDS = 15.0
FIRST_BUILD_SECONDS = 600.0
MEMORY_PER_INPUT_BYTE = 4
THREADS_VARIABLE = "AUTOKAGGLE_THREADS"
LOST_EXIT_CODE = 137


def check_address(address: str) -> None:
    """Raises:
    UsageError: it is neither ``local:N`` nor an address of a scheduler, or the cluster extra is not installed.
    """
    if not LOCAL.fullmatch(address) and not REMOTE.fullmatch(address):
        raise UsageError(f"--cluster {address!r} is no cluster.", "Give tcp://HOST:PORT, tls://HOST:PORT, or local:4.")
    try:
        import distributed  # noqa: F401
    except ModuleNotFoundError as error:
        raise UsageError("--cluster needs an extra.", "Install it: pip install 'autokaggle-pilot[cluster]'") from error


def is_remote(address: str) -> bool:
    """Say whether the workers are, or may be, other machines."""
    return not LOCAL.fullmatch(address)


@contextlib.contextmanager
def open_cluster(address: str, tell: Callable[[str], None], *, wants_gpu: bool = False) -> Iterator[ClusterJobs]:
    """Connect to a scheduler, or start workers on this machine; ``tell`` hears warnings.

    A run that ``wants_gpu`` and has its workers elsewhere needs one there that declares it.

    Raises:
        UsageError: the address makes no sense.
        ActionNeeded: a GPU is wanted, and no worker declares one.
        OutsideWorldError: no scheduler answers, or it has no workers.
    """
    check_address(address)
    from distributed import Client

    is_elsewhere = is_remote(address)
    with contextlib.ExitStack() as stack:
        if match := LOCAL.fullmatch(address):
            address = stack.enter_context(_local_workers(int(match.group(1))))
        try:
            client = stack.enter_context(Client(address, timeout=CONNECT_SECONDS, set_as_default=False))
            client.wait_for_workers(1, timeout=WORKERS_SECONDS)
            jobs = ClusterJobs(client, tell)
            jobs.look_at_workers()
        except (OSError, TimeoutError, RuntimeError) as error:
            raise OutsideWorldError(
                f"The cluster at {address} cannot be used: {str(error) or type(error).__name__}.",
                "Start its scheduler and workers (docs/scaling.md), or leave out --cluster.",
            ) from error
        if wants_gpu and is_elsewhere and not jobs.has_gpu:
            raise ActionNeeded(
                f"No worker of the cluster at {address} declares a GPU.",
                'Start those that have one with --resources "gpu=1" (docs/scaling.md), or leave out --gpu on.',
            )
        yield jobs


class ClusterJobs:
    """Run jobs on the workers of a cluster; several threads may call it at once."""

    def __init__(self, client: Client, tell: Callable[[str], None]) -> None:
        self._client = client
        self._tell = tell
        self._folders = Folders()
        self._sending = threading.Lock()

    @property
    def width(self) -> int:
        """How many jobs the cluster can run at the same time."""
        return max(1, sum(int(worker["nthreads"]) for worker in self._workers().values()))

    @property
    def has_gpu(self) -> bool:
        """Say whether a worker declares one."""
        return self._most("gpu") > 0

    def look_at_workers(self) -> None:
        """Compare clocks: a job's deadline is a moment, which both sides read from their own."""
        for worker, found in self._client.run(remote_job.facts).items():
            if abs(off := found.moment - time.time()) > CLOCK_SECONDS:
                self._tell(f"The clock of worker {worker} is off by {off:.0f} s: its candidates end that much off.")

    def __call__(self, job: Job, isolation: Isolation, cancelled: threading.Event | None = None) -> StepResult:
        """Run a job on some worker, wait for its end, and leave its output and log where ``job`` says.

        ``cancelled`` ends it, there too.

        Raises:
            AutoKaggleError: the job cannot be run on this cluster at all.
        """
        from distributed import KilledWorker

        remote = self._packed(job, isolation)
        end = time.monotonic() + job.limits.wall_seconds + TRAVEL_SECONDS
        if DEADLINE not in job.variables:
            end += FIRST_BUILD_SECONDS
        with self._streaming(remote.id, job.log):
            try:
                outcome = self._outcome(remote, end, cancelled or threading.Event())
            except KilledWorker:
                return self._lost(job, "every worker that ran this died")
        if outcome is None:
            is_cancelled = cancelled is not None and cancelled.is_set()
            limit: Literal["wall", "cancelled"] = "cancelled" if is_cancelled else "wall"
            return StepResult(script=" ".join(job.scripts), exit_code=None, limit=limit)
        job.log.write_bytes(outcome.log)
        _write(outcome, job.output)
        return outcome.result

    def _packed(self, job: Job, isolation: Isolation) -> RemoteJob:
        threads = int(min(job.limits.threads, self._most("cores") or job.limits.threads))
        variables = dict(job.variables)
        if THREADS_VARIABLE in variables:
            variables[THREADS_VARIABLE] = str(threads)
        lock = job.environment / "requirements.lock" if job.environment else None
        return RemoteJob(
            id=f"job-{secrets.token_hex(8)}",
            scripts=job.scripts,
            arguments=job.arguments,
            variables=variables,
            limits=replace(job.limits, threads=threads),
            level=isolation.level,
            code=self._folders.list(job.code),
            input=self._folders.list(job.input) if job.input else None,
            output=self._folders.list(job.output) if job.output.is_dir() else (),
            lock=lock.read_text("utf-8") if lock else None,
            python=remote_job.python_line(),
            wants_gpu=job.wants_gpu,
        )

    def _outcome(self, remote: RemoteJob, end: float, cancelled: threading.Event) -> Outcome | None:
        """Ask for the job until a worker has all that it needs; None when time runs out, or it is cancelled, first."""
        while True:
            # Not bound to the worker that has its contents: one that waits for a certain worker waits for ever when
            # that one is lost. A worker that lacks some is sent them, once.
            future = self._client.submit(
                remote_job.carry_out,
                remote,
                key=f"{remote.id}-{secrets.token_hex(4)}",
                resources=self._claims(remote),
                pure=False,
            )
            answer = self._wait(future, end, cancelled)
            if not isinstance(answer, Missing):
                return answer
            self._send(remote, answer)

    def _wait(self, future: Future[Any], end: float, cancelled: threading.Event) -> Missing | Outcome | None:
        from distributed import CancelledError

        done = threading.Event()
        future.add_done_callback(lambda _: done.set())
        try:
            while not done.wait(0.1):
                if time.monotonic() > end or cancelled.is_set():
                    return None
                if self._is_closed():
                    raise OSError("the connection was closed")
            answer = self._result(future)
        except (CancelledError, OSError, TimeoutError) as error:
            raise OutsideWorldError(
                f"The cluster was lost while a candidate ran: {error}.", "Resume the run when the cluster is back."
            ) from error
        finally:
            # Whoever stops waiting, for whatever reason, wants the job to end.
            with contextlib.suppress(Exception):
                future.cancel()
        return answer

    def _result(self, future: Future[Any]) -> Missing | Outcome:
        try:
            answer: Missing | Outcome = future.result()
        except RuntimeError as error:
            # The client, closed by another thread, cancelled the future and has no loop any more to say so with.
            if self._is_closed():
                raise OSError("the connection was closed") from error
            raise
        return answer

    def _is_closed(self) -> bool:
        return self._client.status in ("closing", "closed")

    def _send(self, remote: RemoteJob, wanted: Missing) -> None:
        """Send contents to one worker; two jobs that want the same at once send it once."""
        with self._sending:
            for sha256 in wanted.contents:
                chunks = self._folders.chunks(sha256)
                chunk: bytes | None = next(chunks)
                is_first = True
                while chunk is not None:
                    following = next(chunks, None)
                    self._client.run(
                        remote_job.receive,
                        self._client.id,
                        sha256,
                        chunk,
                        is_first=is_first,
                        is_last=following is None,
                        workers=[wanted.worker],
                        on_error="ignore",  # it died: the job is asked for again, and says so
                    )
                    chunk, is_first = following, False

    @contextlib.contextmanager
    def _streaming(self, topic: str, log: Path) -> Iterator[None]:
        """Write log lines as they come; another worker's attempt starts the log over."""
        attempt = ""

        def on_event(event: tuple[float, dict[str, Any]]) -> None:
            nonlocal attempt
            said = event[1]
            with log.open("ab" if said["attempt"] == attempt else "wb") as stream:
                stream.write(said["lines"])
            attempt = said["attempt"]

        make_private_folder(log.parent)
        log.write_bytes(b"")
        self._client.subscribe_topic(topic, on_event)
        try:
            yield
        finally:
            with contextlib.suppress(Exception):
                self._client.unsubscribe_topic(topic)

    def _claims(self, remote: RemoteJob) -> dict[str, float] | None:
        """Say what a job takes of what workers declare (cores, memory, gpu); what no worker declares is not asked."""
        size = sum(file.bytes for file in remote.input or ())
        needs: dict[str, float] = {"cores": remote.limits.threads, "memory": GIBIBYTE + MEMORY_PER_INPUT_BYTE * size}
        if remote.wants_gpu:
            needs["gpu"] = 1
        claims = {name: min(need, most) for name, need in needs.items() if (most := self._most(name))}
        return claims or None

    def _most(self, resource: str) -> float:
        return max((float(worker["resources"].get(resource, 0)) for worker in self._workers().values()), default=0.0)

    def _workers(self) -> dict[str, Any]:
        workers: dict[str, Any] = self._client.scheduler_info(n_workers=-1)["workers"]
        return workers

    def _lost(self, job: Job, why: str) -> StepResult:
        with job.log.open("a", encoding="utf-8") as log:
            log.write(f"\n[lost: {why}]\n")
        return StepResult(script=" ".join(job.scripts), exit_code=LOST_EXIT_CODE)


@contextlib.contextmanager
def _local_workers(count: int) -> Iterator[str]:
    """Start a scheduler and workers on this machine, which share its cores and memory; yield the address."""
    from distributed import LocalCluster

    cores = max(1, available_cores() // count)
    with LocalCluster(
        n_workers=count,
        threads_per_worker=1,
        processes=True,
        host="127.0.0.1",
        dashboard_address=None,
        silence_logs=50,
        memory_limit=0,  # the sandbox bounds what takes memory
        resources={"cores": cores, "memory": machine_memory_bytes() // count},
    ) as cluster:
        yield str(cluster.scheduler_address)


def _write(outcome: Outcome, folder: Path) -> None:
    make_private_folder(folder)
    for name, content in outcome.files.items():
        parts = PurePosixPath(name)
        if parts.is_absolute() or ".." in parts.parts:
            raise AutoKaggleError(f"The worker {outcome.worker} returned a file named {name!r}.", "Do not trust it.")
        make_private_folder((folder / name).parent)
        (folder / name).write_bytes(content)
