"""A control group around a step, where this machine lets us make one; this file makes, enters, reads and removes it.

It bounds exactly what sampling only sees in glimpses: memory of every kind, and the number of processes. Where none
can be made, the supervisor's samples are all there is. Source: Documentation/admin-guide/cgroup-v2.rst of the Linux
kernel (and cgroup-v1/memory.rst).
"""

# The os module, not pathlib: the supervisor imports this file at every step, and should start fast.
# ruff: noqa: PTH102, PTH106, PTH118, PTH123

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from autokaggle.skills.sandbox.limits import Limits

ROOT = "/sys/fs/cgroup"
BUS_VARIABLES = ("XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS")
PROCESS_HEADROOM = 4  # the samples see the limit first, and end the whole step
PROBE_BYTES = 64 << 20
PROBE_SECONDS = 5.0
# What a group of each version is told; the kernel kills at the memory limit, forks fail at the other.
_SETTINGS = {
    "memory.max": "memory",
    "memory.swap.max": "zero",
    "memory.oom.group": "one",
    "memory.limit_in_bytes": "memory",
    "memory.memsw.limit_in_bytes": "memory",
    "pids.max": "processes",
}


def make_cgroup(limits: Limits) -> list[str]:
    """Make a group with these limits; return its folders (one a hierarchy), none where that is not possible."""
    name = f"autokaggle-{os.urandom(8).hex()}"
    return _make(name, limits.memory_bytes, limits.processes)


def scope_command(limits: Limits) -> list[str]:
    """Return what goes before a command to run it in a group of the user's own systemd, empty if that fails here."""
    return _scope_command(limits.memory_bytes, limits.processes) if scope_holds() else []


def groups_of(process: int) -> list[str]:
    """List the folders of the groups that ``process`` is in and this process is not."""
    return [folder for folder in _groups(process) if folder not in _groups(os.getpid())]


def enter(folders: list[str]) -> None:
    """Move this process into the group."""
    for folder in folders:
        _write(f"{folder}/cgroup.procs", "0")


def ran_out_of_memory(folders: list[str]) -> bool:
    """Say whether the kernel killed for want of memory in the group."""
    return _counts(folders, ("memory.events", "memory.oom_control"), "oom_kill")


def was_refused_processes(folders: list[str]) -> bool:
    """Say whether a fork failed at the group's number of processes."""
    return _counts(folders, ("pids.events",), "max")


def remove(folders: list[str]) -> None:
    """Remove the group once its processes are gone."""
    for folder in folders:
        with contextlib.suppress(OSError):
            os.rmdir(folder)


@functools.cache
def can_make_cgroup() -> bool:
    """Try to make a group with a memory limit."""
    folders = _make(f"autokaggle-probe-{os.urandom(8).hex()}", PROBE_BYTES, 16)
    remove(folders)
    return bool(folders)


@functools.cache
def scope_holds() -> bool:
    """Run a command in a scope of the user's systemd and read its memory limit from the kernel."""
    if not shutil.which("systemd-run") or not os.environ.get("XDG_RUNTIME_DIR"):
        return False
    read_limit = f'cat "{ROOT}$(sed -n "s/^0:://p" /proc/self/cgroup)/memory.max"'
    line = [*_scope_command(PROBE_BYTES, 16), "sh", "-c", read_limit]
    try:
        done = subprocess.run(line, capture_output=True, text=True, timeout=PROBE_SECONDS, check=False)
    except (OSError, subprocess.SubprocessError):
        return False
    return done.returncode == 0 and done.stdout.strip() == str(PROBE_BYTES)


def _scope_command(memory_bytes: int, processes: int) -> list[str]:
    settings = [f"MemoryMax={memory_bytes}", "MemorySwapMax=0", f"TasksMax={PROCESS_HEADROOM * processes}"]
    properties = [part for setting in settings for part in ("-p", setting)]
    program = shutil.which("systemd-run") or "systemd-run"
    return [program, "--user", "--scope", "--quiet", "--collect", *properties, "--"]


def _make(name: str, memory_bytes: int, processes: int) -> list[str]:
    if not sys.platform.startswith("linux"):
        return []
    values = {"memory": str(memory_bytes), "zero": "0", "one": "1", "processes": str(PROCESS_HEADROOM * processes)}
    made: list[str] = []
    is_bounded = False
    try:
        for parent in _groups(os.getpid()):
            folder = os.path.join(parent, name)
            os.mkdir(folder)
            made.append(folder)
            for setting, value in _SETTINGS.items():
                with contextlib.suppress(FileNotFoundError):
                    _write(f"{folder}/{setting}", values[value])
                    is_bounded |= value == "memory"
    except OSError:
        is_bounded = False
    if is_bounded:
        return made
    remove(made)
    return []


def _groups(process: int) -> list[str]:
    """List a process's groups in the hierarchies that bound memory and processes."""
    lines = []
    with contextlib.suppress(OSError), open(f"/proc/{process}/cgroup") as stream:
        lines = [line.rstrip("\n").split(":", 2) for line in stream]
    groups = []
    for _, controllers, path in lines:
        if controllers in ("memory", "pids"):
            groups.append(f"{ROOT}/{controllers}{path}")
        elif not controllers and os.path.exists(f"{ROOT}/cgroup.controllers"):  # noqa: PTH110
            groups.append(f"{ROOT}{path}")
    return groups


def _counts(folders: list[str], names: tuple[str, ...], event: str) -> bool:
    for folder in folders:
        for name in names:
            with contextlib.suppress(OSError, ValueError), open(f"{folder}/{name}") as stream:
                counts = dict(line.split() for line in stream)
                if int(counts.get(event, 0)):
                    return True
    return False


def _write(path: str, value: str) -> None:
    # No O_CREAT: a setting that this kernel lacks must not be tried as a new file.
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, value.encode())
    finally:
        os.close(descriptor)
