"""The small process between this program and one sandbox; this file starts the sandbox, watches it and ends it.

It is a process of its own so that limits hold while the program is busy, and so that nothing outlives the program:
when the program dies, however it dies, the pipe between them closes and the whole tree is killed. It reads an
``Order`` from its standard input and answers with an ``Outcome``. It imports little, because it starts at every step.
"""

# Modules that take long to import are left out on purpose: subprocess, json, contextlib, typing, pathlib.
# ruff: noqa: PTH123, SIM105

from __future__ import annotations

import ctypes
import marshal
import os
import resource
import select
import signal
import sys
import time

from autokaggle.skills.sandbox import group_account, landlock
from autokaggle.skills.sandbox.process_tree import (
    IS_LINUX,
    Usage,
    descendants,
    exact_memory_bytes,
    removed_but_open_bytes,
    sample,
    written_bytes,
)
from autokaggle.skills.sandbox.sweep import measure, remove_tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from autokaggle.skills.sandbox.order import Order, Outcome

TICK_SECONDS = 0.05
DISK_CHECK_SECONDS = 0.25
DISK_CHECK_SHARE = 0.05
KILL_SECONDS = 5.0
PUMP_BYTES = 1 << 20
CANNOT_START = 127
# In a command, these are replaced by the numbers of open files.
FILTER_PLACE, STATUS_PLACE = "{filter}", "{status}"

_SET_PARENT_DEATH_SIGNAL, _SET_CHILD_SUBREAPER = 1, 36


def main() -> None:
    """Serve one order from standard input."""
    # Both ends are this program, in the same version: nothing else can write to the pipe.
    order: Order = marshal.load(sys.stdin.buffer)  # noqa: S302
    sys.stdout.write(repr(_Supervision(order).run()))


class _Supervision:
    def __init__(self, order: Order) -> None:
        self.order = order
        self.limits = order["limits"]
        self.limit: str | None = None
        self.peak = Usage()
        self.seen: list[int] = []
        self.child = 0
        self.is_orphaned = False
        self.log_bytes = 0
        self.next_disk_check = 0.0

    def run(self) -> Outcome:
        waker = self._listen_to_signals()
        output, writer = os.pipe()
        os.set_blocking(output, False)
        report, report_writer = os.pipe()
        with open(self.order["log"], "wb", buffering=0) as log:
            began = time.monotonic()
            self.child = self._start(writer, report_writer)
            self._leave_mark()
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
        return {
            "exit_code": None if self.limit or status is None else status if status >= 0 else 128 - status,
            "limit": self.limit,
            "trouble": "" if self.limit else self._trouble(os.read(report, 1 << 16)),
            "seconds": seconds,
            "cpu_seconds": self.peak.cpu_seconds,
            "peak_memory_bytes": self.peak.memory_bytes,
            "written_bytes": self.peak.written_bytes,
        }

    def _leave_mark(self) -> None:
        """Write down which session the tree is in, for whoever has to end it when this process was killed."""
        try:
            with open(self.order["mark"], "w") as mark:
                mark.write(f"{self.child} {time.time():.3f}\n")
        except OSError:  # a full disk: an orphan could then be found by its environment only
            pass

    def _listen_to_signals(self) -> int:
        """Return a descriptor that wakes the loop when a child ended or the parent died."""
        waker, writer = os.pipe()
        os.set_blocking(waker, False)
        os.set_blocking(writer, False)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, self._on_orphaned)
        if IS_LINUX:
            libc = ctypes.CDLL(None)
            libc.prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
            libc.prctl(_SET_PARENT_DEATH_SIGNAL, int(signal.SIGTERM), 0, 0, 0)
        return waker

    def _on_orphaned(self, *_: object) -> None:
        self.is_orphaned = True

    def _start(self, writer: int, report: int) -> int:
        """Start the command with nothing of ours but its output pipe and, for bubblewrap, two descriptors."""
        child = os.fork()
        if child == 0:
            try:
                self._become_command(writer, report)
            except OSError as error:
                os.write(report, f"cannot start: {error}".encode())
            finally:
                os._exit(CANNOT_START)
        return child

    def _become_command(self, writer: int, report: int) -> NoReturn:
        os.setsid()
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(writer, 1)
        os.dup2(writer, 2)
        os.chdir(self.order["folder"])
        for number in (signal.SIGPIPE, signal.SIGXFSZ):  # which Python ignores
            signal.signal(number, signal.SIG_DFL)
        program = self.order.get("filter", b"")
        places = {STATUS_PLACE: report}
        if FILTER_PLACE in self.order["command"]:
            places[FILTER_PLACE] = os.memfd_create("filter")
            os.write(places[FILTER_PLACE], program)
            os.lseek(places[FILTER_PLACE], 0, os.SEEK_SET)
            program = b""
        for place, descriptor in places.items():
            os.set_inheritable(descriptor, place in self.order["command"])
        command = [str(places[part]) if part in places else part for part in self.order["command"]]
        self._confine(program)
        os.execve(command[0], command, self.order["variables"])  # noqa: S606

    def _confine(self, program: bytes) -> None:
        """Bound this process, which is about to become the command."""
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (self.limits["file_bytes"],) * 2)
        if self.limits["cpu_seconds"]:
            seconds = int(self.limits["cpu_seconds"]) + 2
            resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        group_account.enter(self.order.get("groups", []))
        if IS_LINUX:
            # When the machine runs out of memory, the sandbox goes first.
            with open("/proc/self/oom_score_adj", "w") as stream:
                stream.write("1000")
            ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, int(signal.SIGKILL), 0, 0, 0)
        if "rules" in self.order:
            landlock.drop_capabilities()
            landlock.restrict(self.order["rules"])
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
        usage = sample(os.getpid(), self.order.get("temporary_folders", []))
        if usage.memory_bytes > self.limits["memory_bytes"] and len(usage.processes) > 1 and IS_LINUX:
            usage.memory_bytes = exact_memory_bytes(usage)
        self._remember(usage)
        self.seen = usage.processes
        groups = self._groups()
        if usage.memory_bytes > self.limits["memory_bytes"] or group_account.ran_out_of_memory(groups):
            self.limit = "memory"
        elif usage.threads > self.limits["processes"] or group_account.was_refused_processes(groups):
            self.limit = "processes"
        elif self.limits["cpu_seconds"] and usage.cpu_seconds > self.limits["cpu_seconds"]:
            self.limit = "cpu"
        elif began >= self.next_disk_check:
            self._check_disk()
            spent = time.monotonic() - began
            self.next_disk_check = began + max(DISK_CHECK_SECONDS, spent / DISK_CHECK_SHARE)

    def _groups(self) -> list[str]:
        """List the groups that bound the step alone: those made for it, or those of the scope once it is entered."""
        if not self.order.get("is_in_scope"):
            return self.order.get("groups", [])
        own = group_account.groups_of(os.getpid())
        return [group for group in group_account.groups_of(self.child) if group not in own]

    def _check_disk(self) -> None:
        folders = self.order["watched_folders"]
        size, entries = measure(folders, self.limits["inodes"])
        if IS_LINUX:
            size += removed_but_open_bytes(self.seen, folders)
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
        known = [] if IS_LINUX else [-self.child, *self.seen]  # elsewhere an orphan is nobody's child
        while time.monotonic() < give_up:
            for process in [*known, *descendants(os.getpid())]:
                try:
                    os.kill(process, signal.SIGKILL)
                except (ProcessLookupError, PermissionError):
                    pass
            try:
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
            except ChildProcessError:
                return
            time.sleep(0.002)

    def _final_checks(self, status: int | None) -> None:
        """Add what the last sample missed, from the kernel's account of everything that was reaped."""
        groups = self._groups()
        # A scope is gone, with its account, as soon as its last process is.
        was_killed = self.order.get("is_in_scope") and status in (-signal.SIGKILL, 128 + signal.SIGKILL)
        if not self.limit and (was_killed or group_account.ran_out_of_memory(groups)):
            self.limit = "memory"
        if not self.limit and group_account.was_refused_processes(groups):
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
        group_account.remove(self.order.get("groups", []))
        try:
            os.unlink(self.order["mark"])  # noqa: PTH108
        except OSError:
            pass
        if "scratch" in self.order:  # here, because the program may have been killed
            remove_tree(self.order["scratch"])

    def _trouble(self, report: bytes) -> str:
        """Say why the command was never reached: our own words, or bubblewrap's first line in the log."""
        if report.startswith(b"cannot start"):
            return report.decode("utf-8", "replace")
        if STATUS_PLACE not in self.order["command"] or b"exit-code" in report:
            return ""
        with open(self.order["log"], encoding="utf-8", errors="replace") as log:
            return log.readline(500).strip() or "bubblewrap gave no reason."


def _reap(child: int) -> int | None:
    """Reap all that ended; return the exit status of ``child`` if it was among them, negative for a signal."""
    ended = None
    try:
        while True:
            process, status = os.waitpid(-1, os.WNOHANG)
            if not process:
                break
            if process == child:
                ended = os.waitstatus_to_exitcode(status)
    except ChildProcessError:
        pass
    return ended
