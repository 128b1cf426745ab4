"""The small process between this program and one sandbox; this file starts the sandbox, watches it and ends it.

It is a process of its own so that limits hold while the program is busy, and so that nothing outlives the program:
when the program dies, however it dies, the pipe between them closes and the whole tree is killed. It reads an
``Order`` as one line of JSON and answers with an ``Outcome``. It imports the standard library and siblings only.
"""

from __future__ import annotations

import base64
import contextlib
import ctypes
import dataclasses
import json
import os
import resource
import select
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autokaggle.skills.sandbox import landlock
from autokaggle.skills.sandbox.process_tree import IS_LINUX, Usage, descendants, sample, written_bytes
from autokaggle.skills.sandbox.sweep import measure

TICK_SECONDS = 0.05
DISK_CHECK_SECONDS = 0.25
DISK_CHECK_SHARE = 0.05
KILL_SECONDS = 5.0
PUMP_BYTES = 1 << 20
FILTER_PLACE, STATUS_PLACE = "{filter}", "{status}"

_SET_PARENT_DEATH_SIGNAL, _SET_CHILD_SUBREAPER = 1, 36


@dataclass(frozen=True, kw_only=True)
class Order:
    """What to run and within which bounds; see ``Limits`` for their meaning.

    ``filter`` is a seccomp program in base64: where ``command`` names FILTER_PLACE it is handed over as an open file,
    else it is loaded right before the start, as are the Landlock ``rules``. Where ``command`` names STATUS_PLACE, the
    command is bubblewrap and reports there how it went. ``temporary_folders`` lie in memory, inside.
    """

    command: list[str]
    variables: dict[str, str]
    folder: str
    log: str
    watched_folders: list[str]
    limits: dict[str, Any]
    filter: str = ""
    rules: dict[str, list[str]] | None = None
    temporary_folders: list[str] = field(default_factory=list)


@dataclass(kw_only=True)
class Outcome:
    """``exit_code`` is None when a limit ended the step; ``started`` is False when the walls could not be built."""

    exit_code: int | None = None
    limit: str | None = None
    started: bool = True
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_memory_bytes: int = 0
    written_bytes: int = 0


def main() -> None:
    """Serve one order from standard input."""
    order = Order(**json.loads(sys.stdin.buffer.readline()))
    outcome = _Supervision(order).run()
    sys.stdout.write(json.dumps(dataclasses.asdict(outcome)))


class _Supervision:
    def __init__(self, order: Order) -> None:
        self.order = order
        self.outcome = Outcome()
        self.usage = Usage()
        self.orphaned = False
        self.log_bytes = 0
        self.next_disk_check = 0.0

    def run(self) -> Outcome:
        waker = self._listen_to_signals()
        output, writer = os.pipe()
        os.set_blocking(output, False)
        status, status_writer = os.pipe()
        with Path(self.order.log).open("wb", buffering=0) as log:
            began = time.monotonic()
            child = self._start(writer, status_writer)
            os.close(writer)
            os.close(status_writer)
            exit_status = self._watch(child, output, waker, log.fileno(), began)
            self.outcome.seconds = time.monotonic() - began
            self._kill_all()
            while self._pump(output, log.fileno()):
                pass
            self._final_checks()
            if self.outcome.limit:
                log.write(f"\n[stopped: limit {self.outcome.limit}]\n".encode())
        if exit_status is not None and not self.outcome.limit:
            self.outcome.exit_code = exit_status if exit_status >= 0 else 128 - exit_status
        if STATUS_PLACE in self.order.command:
            report = os.read(status, 1 << 16)
            self.outcome.started = b"exit-code" in report or self.outcome.limit is not None
        return self.outcome

    def _listen_to_signals(self) -> int:
        """Return a descriptor that wakes the loop when a child ended or the parent died."""
        waker, writer = os.pipe()
        os.set_blocking(waker, False)
        os.set_blocking(writer, False)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._on_orphaned)
        if IS_LINUX:
            libc = ctypes.CDLL(None)
            libc.prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
            libc.prctl(_SET_PARENT_DEATH_SIGNAL, int(signal.SIGTERM), 0, 0, 0)
        return waker

    def _on_orphaned(self, *_: object) -> None:
        self.orphaned = True

    def _start(self, writer: int, status: int) -> int:
        """Start the command with nothing of ours but its output pipe and, for bubblewrap, two descriptors."""
        command, inherited = list(self.order.command), [status]
        program = base64.b64decode(self.order.filter)
        if FILTER_PLACE in command:
            inherited.append(descriptor := os.memfd_create("filter"))
            os.write(descriptor, program)
            os.lseek(descriptor, 0, os.SEEK_SET)
            command[command.index(FILTER_PLACE)] = str(descriptor)
        if STATUS_PLACE in command:
            command[command.index(STATUS_PLACE)] = str(status)
        else:
            inherited.remove(status)
        process = subprocess.Popen(
            command,
            env=self.order.variables,
            cwd=self.order.folder,
            stdin=subprocess.DEVNULL,
            stdout=writer,
            stderr=writer,
            start_new_session=True,
            pass_fds=inherited,
            preexec_fn=lambda: self._confine(program if len(inherited) < 2 else b""),  # noqa: PLW1509 - no threads here
        )
        process.returncode = 0  # the loop below reaps it, along with orphans
        return process.pid

    def _confine(self, program: bytes) -> None:
        """Bound this process, which is about to become the command."""
        limits = self.order.limits
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (limits["file_bytes"],) * 2)
        if limits["cpu_seconds"]:
            seconds = int(limits["cpu_seconds"]) + 2
            resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        if IS_LINUX:
            # When the machine runs out of memory, the sandbox goes first.
            with contextlib.suppress(OSError):
                Path("/proc/self/oom_score_adj").write_text("1000")
            ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, int(signal.SIGKILL), 0, 0, 0)
        if self.order.rules is not None:
            landlock.restrict(self.order.rules)
        if program:
            landlock.load_filter(program)

    def _watch(self, child: int, output: int, waker: int, log: int, began: float) -> int | None:
        """Follow the command to its end or to a limit; return its exit status, None when it still runs."""
        poller = select.poll()
        for descriptor in (output, waker, sys.stdin.fileno()):
            poller.register(descriptor, select.POLLIN)
        deadline = began + float(self.order.limits["wall_seconds"])
        next_tick = began + TICK_SECONDS
        while True:
            now = time.monotonic()
            ready = {descriptor for descriptor, _ in poller.poll(1000 * max(0.0, min(next_tick, deadline) - now))}
            if output in ready and not self._pump(output, log):
                poller.unregister(output)
            if waker in ready:
                os.read(waker, 512)
                if (ended := _reap(child)) is not None:
                    return ended
            now = time.monotonic()
            if self.orphaned or sys.stdin.fileno() in ready:
                self.outcome.limit = "cancelled"
            elif now >= deadline:
                self.outcome.limit = "wall"
            elif now >= next_tick and not self.outcome.limit:
                self._check_usage(now)
                next_tick = time.monotonic() + TICK_SECONDS
            if self.outcome.limit:
                return None

    def _pump(self, output: int, log: int) -> bool:
        """Copy what was printed into the log, up to its cap; return False at the end of the stream."""
        room = int(self.order.limits["log_bytes"])
        try:
            data = os.read(output, PUMP_BYTES)
        except BlockingIOError:
            return False
        os.write(log, data[: max(0, room - self.log_bytes)])
        self.log_bytes += len(data)
        if self.log_bytes > room and not self.outcome.limit:
            self.outcome.limit = "log"
        return bool(data) and not self.outcome.limit

    def _check_usage(self, now: float) -> None:
        limits = self.order.limits
        usage = sample(os.getpid(), self.order.temporary_folders)
        self._remember(usage)
        if usage.memory_bytes > limits["memory_bytes"]:
            self.outcome.limit = "memory"
        elif usage.threads > limits["processes"]:
            self.outcome.limit = "processes"
        elif limits["cpu_seconds"] and usage.cpu_seconds > limits["cpu_seconds"]:
            self.outcome.limit = "cpu"
        elif now >= self.next_disk_check:
            self._check_disk()
            spent = time.monotonic() - now
            self.next_disk_check = now + max(DISK_CHECK_SECONDS, spent / DISK_CHECK_SHARE)

    def _remember(self, usage: Usage) -> None:
        self.outcome.cpu_seconds = max(self.outcome.cpu_seconds, usage.cpu_seconds)
        self.outcome.peak_memory_bytes = max(self.outcome.peak_memory_bytes, usage.memory_bytes)
        self.outcome.written_bytes = max(self.outcome.written_bytes, usage.written_bytes)

    def _check_disk(self) -> None:
        size, entries = measure(self.order.watched_folders, self.order.limits["inodes"])
        if size > self.order.limits["disk_bytes"]:
            self.outcome.limit = "disk"
        elif entries > self.order.limits["inodes"]:
            self.outcome.limit = "inodes"

    def _kill_all(self) -> None:
        """Kill every descendant and wait until none is left; a subreaper cannot lose one."""
        give_up = time.monotonic() + KILL_SECONDS
        while time.monotonic() < give_up:
            for process in descendants(os.getpid()):
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(process, signal.SIGKILL)
            try:
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
            except ChildProcessError:
                return
            time.sleep(0.002)

    def _final_checks(self) -> None:
        """Add what the last sample missed: the kernel's account of everything that was reaped."""
        if not self.outcome.limit:
            self._check_disk()
        reaped = resource.getrusage(resource.RUSAGE_CHILDREN)
        usage = Usage(cpu_seconds=reaped.ru_utime + reaped.ru_stime)
        usage.memory_bytes = reaped.ru_maxrss * (1024 if IS_LINUX else 1)
        if IS_LINUX:
            own = f"/proc/self/task/{os.getpid()}/io"
            usage.written_bytes = written_bytes("/proc/self/io") - written_bytes(own)
        self._remember(usage)


def _reap(child: int) -> int | None:
    """Reap all that ended; return the exit status of ``child`` if it was among them, negative for a signal."""
    ended = None
    with contextlib.suppress(ChildProcessError):
        while True:
            process, status = os.waitpid(-1, os.WNOHANG)
            if not process:
                break
            if process == child:
                ended = os.waitstatus_to_exitcode(status)
    return ended


if __name__ == "__main__":
    main()
