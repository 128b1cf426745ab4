"""The small process between this program and one sandbox; this file starts the sandbox, watches it and ends it.

It is a process of its own so that limits hold while the program is busy, and so that nothing outlives the program:
when the program dies, however it dies, the pipe between them closes and the whole tree is killed. It reads an
``Order`` as one line of JSON and answers with an ``Outcome``. It imports little, because it starts at every step.
"""

# ruff: noqa: PTH123

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import select
import signal
import subprocess
import sys
import time
from typing import Any, NamedTuple

from autokaggle.skills.sandbox import cgroup, landlock
from autokaggle.skills.sandbox.process_tree import (
    IS_LINUX,
    Usage,
    descendants,
    exact_memory_bytes,
    removed_but_open_bytes,
    sample,
    written_bytes,
)
from autokaggle.skills.sandbox.sweep import measure

TICK_SECONDS = 0.05
DISK_CHECK_SECONDS = 0.25
DISK_CHECK_SHARE = 0.05
KILL_SECONDS = 5.0
PUMP_BYTES = 1 << 20
FILTER_PLACE, STATUS_PLACE = "{filter}", "{status}"

_SET_PARENT_DEATH_SIGNAL, _SET_CHILD_SUBREAPER = 1, 36


class Order(NamedTuple):
    """What to run and within which bounds; see ``Limits`` for their meaning.

    ``filter`` is a seccomp program in hexadecimal: where ``command`` names FILTER_PLACE it is handed over as an open
    file, else it is loaded right before the start, as are the Landlock ``rules``. Where ``command`` names STATUS_PLACE,
    the command is bubblewrap and reports there how it went. ``temporary_folders`` lie in memory, inside. ``groups``
    are the folders of a control group to enter, and to remove at the end; ``is_in_scope`` says that ``command`` makes
    one itself.
    """

    command: list[str]
    variables: dict[str, str]
    folder: str
    log: str
    watched_folders: list[str]
    limits: dict[str, Any]
    filter: str = ""
    rules: dict[str, list[str]] | None = None
    temporary_folders: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    is_in_scope: bool = False


class Outcome(NamedTuple):
    """``exit_code`` is None when a limit ended the step; ``started`` is False when the walls could not be built."""

    exit_code: int | None
    limit: str | None
    started: bool
    seconds: float
    cpu_seconds: float
    peak_memory_bytes: int
    written_bytes: int


def main() -> None:
    """Serve one order from standard input."""
    order = Order(**json.loads(sys.stdin.buffer.readline()))
    outcome = _Supervision(order).run()
    sys.stdout.write(json.dumps(outcome._asdict()))


class _Supervision:
    def __init__(self, order: Order) -> None:
        self.order = order
        self.limits = order.limits
        self.child = 0
        self.limit: str | None = None
        self.peak = Usage()
        self.seen: list[int] = []
        self.is_orphaned = False
        self.log_bytes = 0
        self.next_disk_check = 0.0

    def run(self) -> Outcome:
        waker = self._listen_to_signals()
        output, writer = os.pipe()
        os.set_blocking(output, False)
        report, report_writer = os.pipe()
        with open(self.order.log, "wb", buffering=0) as log:
            began = time.monotonic()
            self.child = self._start(writer, report_writer)
            os.close(writer)
            os.close(report_writer)
            status = self._watch(output, waker, log.fileno(), began)
            seconds = time.monotonic() - began
            self._kill_all()
            while self._pump(output, log.fileno()):
                pass
            self._final_checks(status)
            if self.limit:
                log.write(f"\n[stopped: limit {self.limit}]\n".encode())
        is_reported = STATUS_PLACE not in self.order.command or b"exit-code" in os.read(report, 1 << 16)
        return Outcome(
            exit_code=None if self.limit or status is None else status if status >= 0 else 128 - status,
            limit=self.limit,
            started=is_reported or self.limit is not None,
            seconds=seconds,
            cpu_seconds=self.peak.cpu_seconds,
            peak_memory_bytes=self.peak.memory_bytes,
            written_bytes=self.peak.written_bytes,
        )

    def _listen_to_signals(self) -> int:
        """Return a descriptor that wakes the loop when a child ended or the parent died."""
        waker, writer = os.pipe()
        os.set_blocking(waker, False)
        os.set_blocking(writer, False)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_orphaned)
        # Ctrl-C reaches the whole foreground group; the program decides what it means for a step.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if IS_LINUX:
            libc = ctypes.CDLL(None)
            libc.prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
            libc.prctl(_SET_PARENT_DEATH_SIGNAL, int(signal.SIGTERM), 0, 0, 0)
        return waker

    def _on_orphaned(self, *_: object) -> None:
        self.is_orphaned = True

    def _start(self, writer: int, report: int) -> int:
        """Start the command with nothing of ours but its output pipe and, for bubblewrap, two descriptors."""
        places = {STATUS_PLACE: report}
        program = bytes.fromhex(self.order.filter)
        if FILTER_PLACE in self.order.command:
            places[FILTER_PLACE] = os.memfd_create("filter")
            os.write(places[FILTER_PLACE], program)
            os.lseek(places[FILTER_PLACE], 0, os.SEEK_SET)
            program = b""
        command = [str(places[part]) if part in places else part for part in self.order.command]
        process = subprocess.Popen(
            command,
            env=self.order.variables,
            cwd=self.order.folder,
            stdin=subprocess.DEVNULL,
            stdout=writer,
            stderr=writer,
            start_new_session=True,
            pass_fds=[places[part] for part in self.order.command if part in places],
            preexec_fn=lambda: self._confine(program),  # noqa: PLW1509 - there are no threads in this process
        )
        process.returncode = 0  # the watch reaps it, along with orphans
        return process.pid

    def _confine(self, program: bytes) -> None:
        """Bound this process, which is about to become the command."""
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (self.limits["file_bytes"],) * 2)
        if self.limits["cpu_seconds"]:
            seconds = int(self.limits["cpu_seconds"]) + 2
            resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        cgroup.enter(list(self.order.groups))
        if IS_LINUX:
            # When the machine runs out of memory, the sandbox goes first.
            with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as stream:
                stream.write("1000")
            ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, int(signal.SIGKILL), 0, 0, 0)
        if self.order.rules is not None:
            landlock.drop_capabilities()
            landlock.restrict(self.order.rules)
        if program:
            landlock.load_filter(program)

    def _watch(self, output: int, waker: int, log: int, began: float) -> int | None:
        """Follow the command to its end or to a limit; return its exit status, None when it still runs."""
        control = sys.stdin.fileno()
        poller = select.poll()
        for descriptor in (output, waker, control):
            poller.register(descriptor, select.POLLIN)
        deadline = began + float(self.limits["wall_seconds"])
        next_tick = began + TICK_SECONDS
        while not self.limit:
            patience = max(0.0, min(next_tick, deadline) - time.monotonic())
            ready = {descriptor for descriptor, _ in poller.poll(1000 * patience)}
            if output in ready and not self._pump(output, log):
                poller.unregister(output)
            if waker in ready:
                os.read(waker, 512)
                if (status := _reap(self.child)) is not None:
                    return status
            now = time.monotonic()
            if self.is_orphaned or control in ready:
                self.limit = "cancelled"
            elif now >= deadline:
                self.limit = "wall"
            elif now >= next_tick and not self.limit:
                self._check_usage()
                next_tick = time.monotonic() + TICK_SECONDS
        return None

    def _pump(self, output: int, log: int) -> bool:
        """Copy what was printed into the log, up to its cap; return False when there is no more."""
        try:
            data = os.read(output, PUMP_BYTES)
        except BlockingIOError:
            return False
        room = int(self.limits["log_bytes"]) - self.log_bytes
        os.write(log, data[: max(0, room)])
        self.log_bytes += len(data)
        if len(data) > room and not self.limit:
            self.limit = "log"
        return bool(data) and self.log_bytes <= int(self.limits["log_bytes"])

    def _check_usage(self) -> None:
        began = time.monotonic()
        usage = sample(os.getpid(), self.order.temporary_folders)
        if usage.memory_bytes > self.limits["memory_bytes"] and len(usage.processes) > 1 and IS_LINUX:
            usage.memory_bytes = exact_memory_bytes(usage)
        self._remember(usage)
        self.seen = usage.processes
        if usage.memory_bytes > self.limits["memory_bytes"] or self._ran_out_of_memory():
            self.limit = "memory"
        elif usage.threads > self.limits["processes"] or cgroup.was_refused_processes(self._groups()):
            self.limit = "processes"
        elif self.limits["cpu_seconds"] and usage.cpu_seconds > self.limits["cpu_seconds"]:
            self.limit = "cpu"
        elif began >= self.next_disk_check:
            self._check_disk()
            spent = time.monotonic() - began
            self.next_disk_check = began + max(DISK_CHECK_SECONDS, spent / DISK_CHECK_SHARE)

    def _ran_out_of_memory(self) -> bool:
        return cgroup.ran_out_of_memory(self._groups())

    def _groups(self) -> list[str]:
        return cgroup.groups_of(self.child) if self.order.is_in_scope else list(self.order.groups)

    def _check_disk(self) -> None:
        size, entries = measure(self.order.watched_folders, self.limits["inodes"])
        if IS_LINUX:
            size += removed_but_open_bytes(self.seen, self.order.watched_folders)
        if size > self.limits["disk_bytes"]:
            self.limit = "disk"
        elif entries > self.limits["inodes"]:
            self.limit = "inodes"

    def _remember(self, usage: Usage) -> None:
        self.peak.cpu_seconds = max(self.peak.cpu_seconds, usage.cpu_seconds)
        self.peak.memory_bytes = max(self.peak.memory_bytes, usage.memory_bytes)
        self.peak.written_bytes = max(self.peak.written_bytes, usage.written_bytes)

    def _kill_all(self) -> None:
        """Kill every descendant and wait until none is left; on Linux a subreaper cannot lose one."""
        give_up = time.monotonic() + KILL_SECONDS
        if not IS_LINUX:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.child, signal.SIGKILL)
            for process in self.seen:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(process, signal.SIGKILL)
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

    def _final_checks(self, status: int | None) -> None:
        """Add what the last sample missed, from the kernel's account of everything that was reaped."""
        was_killed = status in (-signal.SIGKILL, 128 + signal.SIGKILL)
        if not self.limit and (self._ran_out_of_memory() or (self.order.is_in_scope and was_killed)):
            self.limit = "memory"  # a scope is gone, with its account, as soon as its last process is
        if not self.limit and cgroup.was_refused_processes(self._groups()):
            self.limit = "processes"
        if not self.limit:
            self._check_disk()
        reaped = resource.getrusage(resource.RUSAGE_CHILDREN)
        usage = Usage()
        usage.cpu_seconds = reaped.ru_utime + reaped.ru_stime
        usage.memory_bytes = reaped.ru_maxrss * (1024 if IS_LINUX else 1)
        if IS_LINUX:
            own = f"/proc/self/task/{os.getpid()}/io"
            usage.written_bytes = written_bytes("/proc/self/io") - written_bytes(own)
        self._remember(usage)
        cgroup.remove(list(self.order.groups))


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
