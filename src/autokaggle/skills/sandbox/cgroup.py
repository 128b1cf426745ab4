"""A control group around a step, where this machine lets us make one; this file makes and tries them.

It bounds exactly what sampling only sees in glimpses: memory of every kind, and the number of processes. Where none
can be made, the supervisor's samples are all there is. Source: Documentation/admin-guide/cgroup-v2.rst of the Linux
kernel (and cgroup-v1/memory.rst).
"""

from __future__ import annotations

import contextlib
import functools
import os
import secrets
import shutil
import subprocess
import sys
import time
from pathlib import Path

from autokaggle.skills.sandbox.group_account import ROOT, groups_of, remove, write_setting
from autokaggle.skills.sandbox.limits import Limits

BUS_VARIABLES = ("XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS")
# A little above the limit forks fail, however late the next sample comes; a tree that stands between the two is seen by
# a sample, which ends the whole step.
PROCESS_HEADROOM = 1.25
PROBE_BYTES = 64 << 20
PROBE_SECONDS = 5.0
STALE_SECONDS = 3600.0
_NAME = "autokaggle-"
# What a group of each version is told; the kernel kills at the memory limit, forks fail at the other.
_SETTINGS = {
    "memory.max": "memory",
    "memory.swap.max": "zero",
    "memory.oom.group": "one",
    "memory.limit_in_bytes": "memory",
    "memory.memsw.limit_in_bytes": "memory",
    "pids.max": "processes",
}


def process_ceiling(processes: int) -> int:
    """Return how many processes the kernel lets a step have whose limit is ``processes``."""
    return int(processes * PROCESS_HEADROOM) + 1


def make_cgroup(limits: Limits) -> list[str]:
    """Make a group with these limits; return its folders (one a hierarchy), none where that is not possible."""
    return _make(f"{_NAME}{secrets.token_hex(8)}", limits.memory_bytes, limits.processes)


def scope_command(limits: Limits) -> list[str]:
    """Return what goes before a command to run it in a group of the user's own systemd, empty if that fails here."""
    return _scope_command(limits.memory_bytes, limits.processes) if scope_holds() else []


@functools.cache
def can_make_cgroup() -> bool:
    """Try to make a group with a memory limit; remove those that killed programs left before."""
    for parent in groups_of(os.getpid()):
        for left in Path(parent).glob(f"{_NAME}*"):
            if time.time() - left.stat().st_mtime > STALE_SECONDS:
                remove([str(left)])  # which the kernel refuses for a group in use
    folders = _make(f"{_NAME}{secrets.token_hex(8)}", PROBE_BYTES, 16)
    remove(folders)
    return bool(folders)


@functools.cache
def scope_holds() -> bool:
    """Run a command in a scope of the user's systemd and read its memory limit from the kernel."""
    if not shutil.which("systemd-run") or not os.environ.get("XDG_RUNTIME_DIR"):
        return False
    read_limit = f'cat "{ROOT}$(sed -n "s/^0:://p" /proc/self/cgroup)/memory.max"'
    line = [*_scope_command(PROBE_BYTES, 16), "/bin/sh", "-c", read_limit]
    try:
        done = subprocess.run(line, capture_output=True, text=True, timeout=PROBE_SECONDS, check=False)
    except (OSError, subprocess.SubprocessError):
        return False
    return done.returncode == 0 and done.stdout.strip() == str(PROBE_BYTES)


def _scope_command(memory_bytes: int, processes: int) -> list[str]:
    settings = [f"MemoryMax={memory_bytes}", "MemorySwapMax=0", f"TasksMax={process_ceiling(processes)}"]
    properties = [part for setting in settings for part in ("-p", setting)]
    program = shutil.which("systemd-run") or "/usr/bin/systemd-run"
    return [program, "--user", "--scope", "--quiet", "--collect", *properties, "--"]


def _make(name: str, memory_bytes: int, processes: int) -> list[str]:
    if not sys.platform.startswith("linux"):
        return []
    values = {"memory": memory_bytes, "zero": 0, "one": 1, "processes": process_ceiling(processes)}
    made: list[str] = []
    is_bounded = False
    try:
        for parent in groups_of(os.getpid()):
            folder = Path(parent, name)
            folder.mkdir()
            made.append(str(folder))
            for setting, value in _SETTINGS.items():
                with contextlib.suppress(FileNotFoundError):
                    write_setting(f"{folder}/{setting}", str(values[value]))
                    is_bounded |= value == "memory"
    except OSError:
        is_bounded = False
    if is_bounded:
        return made
    remove(made)
    return []
