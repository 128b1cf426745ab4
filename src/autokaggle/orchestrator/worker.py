"""A worker; this file takes runs from the queue and carries each out in a process of its own, on a part of the machine.

The worker only watches: a run that crashes takes nobody with it, and a worker that dies takes its runs' processes with
it, whose leases then run out, so that another worker goes on with them.
"""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import msgspec
import psutil

from autokaggle.config import Settings
from autokaggle.errors import AutoKaggleError, RunInterrupted
from autokaggle.orchestrator.journal import utc_now
from autokaggle.orchestrator.standing import end_run
from autokaggle.records.run import OVER
from autokaggle.skills.sandbox.limits import MEMORY_VARIABLE, available_cores, machine_memory_bytes
from autokaggle.storage.artifacts import RunFolder
from autokaggle.storage.run_folders import is_at_work, read_run
from autokaggle.storage.run_queue import LEASE_SECONDS, Claim, RunQueue, Share, WorkerRow

Until = Literal["stopped", "drained", "once"]

SECONDS_BETWEEN_LOOKS = 0.2
SIGN_SECONDS = LEASE_SECONDS / 6
PAUSE_SECONDS = 30.0
# Python ends by the signal itself where the interrupt came while a library ran Python code of its own.
INTERRUPTED = (RunInterrupted.exit_code, -signal.SIGINT)
MOST_ATTEMPTS = 3
STOP_SECONDS = 30.0
# With less of the machine's memory free, whoever else uses it comes first.
LEAST_FREE_SHARE = 0.1


@dataclass(frozen=True)
class Ended:
    """One run that this worker carried out, and how it stands now."""

    run_id: str
    status: str
    seconds: float


@dataclass(frozen=True)
class _AtWork:
    claim: Claim
    process: subprocess.Popen[bytes]
    began: float


@dataclass
class Worker:
    """Carry out queued runs, ``slots`` at a time; ``tell`` hears a line on each beginning and end."""

    queue: RunQueue
    settings: Settings
    slots: int
    per_competition: int | None
    tell: Callable[[str], None]
    id: str = field(default_factory=lambda: f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(2)}")
    ended: list[Ended] = field(default_factory=list)
    _at_work: list[_AtWork] = field(default_factory=list)
    _signed: float = -SIGN_SECONDS
    _has_complained: bool = False

    def run(self, until: Until) -> list[Ended]:
        """Work until the queue is empty ("drained"), one run has ended ("once"), or a signal ("stopped").

        Raises:
            RunInterrupted: Ctrl-C or SIGTERM; the runs at work are back in the queue, with what they had finished.
        """
        row = WorkerRow(self.id, socket.gethostname(), os.getpid(), self.slots, utc_now())
        share = self.share()
        try:
            while True:
                if time.monotonic() - self._signed >= SIGN_SECONDS:
                    self._sign(row)
                self._collect()
                started = len(self.ended) + len(self._at_work)
                if until == "once" and started:
                    if not self._at_work:
                        break
                elif not self._take(share) and not self._at_work and until != "stopped" and self._has_nothing_to_do():
                    break
                time.sleep(SECONDS_BETWEEN_LOOKS)
        except KeyboardInterrupt as interrupt:
            raise RunInterrupted(
                f"The worker was stopped; runs that are back in the queue: {len(self._at_work)}.",
                "Go on with: autokaggle worker",
            ) from interrupt
        finally:
            self._stop()
            self.queue.leave(self.id)
        return self.ended

    def share(self) -> Share:
        """Return what each slot gets: an equal part of the processors and of the memory."""
        processors = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else range(available_cores())
        memory = machine_memory_bytes()
        return Share(
            host=socket.gethostname(),
            count=max(1, len(processors) // self.slots),
            processors=tuple(processors),
            memory_bytes=memory // self.slots,
            host_memory_bytes=memory,
        )

    def _sign(self, row: WorkerRow) -> None:
        """Give a sign of life; of this machine's other workers, dead ones are seen before their leases run out."""
        self.queue.sign(row)
        self._signed = time.monotonic()
        for other in self.queue.workers():
            if other.host == row.host and not psutil.pid_exists(other.pid):
                self.queue.leave(other.id)

    def _take(self, share: Share) -> bool:
        """Begin with the next run if there is a free slot, room on the machine, and a run."""
        if len(self._at_work) >= self.slots or not self._has_memory():
            return False
        claim = self.queue.claim(self.id, share, self.per_competition)
        if claim is None:
            return False
        folder = RunFolder(claim.folder)
        if not folder.record.is_file():
            self.queue.remove(claim.run_id)
            self.tell(f"{claim.run_id}: its folder is gone")
        elif is_at_work(folder):
            self.queue.release(claim.run_id, self.id, was_tried=False, pause_seconds=PAUSE_SECONDS)
        else:
            self._at_work.append(_AtWork(claim, _start(claim, share.memory_bytes), time.monotonic()))
            listed = ", ".join(map(str, claim.processors))
            self.tell(f"{claim.run_id}: started on processors {listed}")
        return True

    def _has_memory(self) -> bool:
        memory = psutil.virtual_memory()
        is_enough = bool(memory.available >= memory.total * LEAST_FREE_SHARE)
        if not is_enough and not self._has_complained:
            self.tell(f"only {memory.available / 1e9:.1f} GB of memory are free: no run is started until there is more")
        self._has_complained = not is_enough
        return is_enough

    def _has_nothing_to_do(self) -> bool:
        """Say whether every run in the queue is with some worker that lives."""
        return all(entry.worker for entry in self.queue.entries())

    def _collect(self) -> None:
        """Settle the runs whose process has ended."""
        for one in [one for one in self._at_work if one.process.poll() is not None]:
            self._at_work.remove(one)
            status = self._settle(one.claim, one.process)
            seconds = round(time.monotonic() - one.began, 3)
            self.ended.append(Ended(one.claim.run_id, status, seconds))
            self.tell(f"{one.claim.run_id}: {status} after {seconds:.0f} s")

    def _settle(self, claim: Claim, process: subprocess.Popen[bytes]) -> str:
        """Take a run that has come to its end out of the queue; put any other back, but not for ever."""
        said, _ = process.communicate()
        folder = RunFolder(claim.folder)
        try:
            status = read_run(folder).status
            if status in OVER:
                self.queue.remove(claim.run_id)
                return status
            if process.returncode in INTERRUPTED or is_at_work(folder):
                self.queue.release(claim.run_id, self.id, was_tried=False, pause_seconds=PAUSE_SECONDS)
                return "queued"
            if process.returncode < 0 and claim.attempts < MOST_ATTEMPTS:
                self.queue.release(claim.run_id, self.id)
                return "queued"
            status = end_run(folder, self.settings, "failed", _reason(said, process.returncode, claim.attempts))
        except AutoKaggleError as error:
            status = "failed"
            self.tell(f"{claim.run_id}: {error.message}")
        self.queue.remove(claim.run_id)
        return status

    def _stop(self) -> None:
        """Interrupt every run at work, and wait until each has written down how far it came."""
        for one in self._at_work:
            one.process.terminate()
        end = time.monotonic() + STOP_SECONDS
        for one in self._at_work:
            try:
                one.process.communicate(timeout=max(0.1, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                one.process.kill()
                one.process.communicate()


def _start(claim: Claim, memory_bytes: int) -> subprocess.Popen[bytes]:
    """Start the process of one run, bound to its processors; our death closes its standard input, which ends it."""
    command = [sys.executable, "-m", "autokaggle", "resume", str(claim.folder), "--as-worker", "--json", "--quiet"]
    environment = {**os.environ, MEMORY_VARIABLE: str(memory_bytes)}
    folder = RunFolder(claim.folder)
    before = os.sched_getaffinity(0) if hasattr(os, "sched_setaffinity") else None
    if before is not None:
        os.sched_setaffinity(0, claim.processors)  # a child has its parent's from its first moment
    try:
        with folder.worker_log.open("ab") as log:
            return subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,  # Ctrl-C is the worker's to answer
            )
    finally:
        if before is not None:
            os.sched_setaffinity(0, before)


def _reason(said: bytes, exit_code: int, attempts: int) -> str:
    """Say why a run cannot go on: in its process's own words, if it had any."""
    if exit_code < 0:
        return f"Its process was killed by signal {-exit_code}, {attempts} times."
    try:
        error = msgspec.json.decode(said)["error"]
        return str(error["message"])
    except (msgspec.MsgspecError, KeyError, TypeError):
        return f"Its process ended with exit code {exit_code}."
