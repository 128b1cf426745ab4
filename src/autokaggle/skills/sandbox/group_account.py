"""A control group from within and at its end; this file enters, reads and removes one that ``cgroup.py`` made.

The supervisor imports it at every step, so it should start fast.
"""

# ruff: noqa: PTH106, PTH110, PTH123

from __future__ import annotations

import os

ROOT = "/sys/fs/cgroup"


def enter(folders: list[str]) -> None:
    """Move this process into the group."""
    for folder in folders:
        write_setting(f"{folder}/cgroup.procs", "0")


def ran_out_of_memory(folders: list[str]) -> bool:
    """Say whether the kernel killed for want of memory in the group."""
    return _happened(folders, ("memory.events", "memory.oom_control"), "oom_kill")


def was_refused_processes(folders: list[str]) -> bool:
    """Say whether a fork failed at the group's number of processes."""
    return _happened(folders, ("pids.events",), "max")


def remove(folders: list[str]) -> None:
    """Remove the group once its processes are gone."""
    for folder in folders:
        try:
            os.rmdir(folder)
        except OSError:  # systemd may have been quicker
            continue


def groups_of(process: int) -> list[str]:
    """List the folders of a process's groups in the hierarchies that bound memory and processes."""
    try:
        with open(f"/proc/{process}/cgroup") as stream:
            lines = [line.rstrip("\n").split(":", 2) for line in stream]
    except OSError:  # it ended
        return []
    groups = []
    for _, controllers, path in lines:
        if controllers in ("memory", "pids"):
            groups.append(f"{ROOT}/{controllers}{path}")
        elif not controllers and os.path.exists(f"{ROOT}/cgroup.controllers"):
            groups.append(f"{ROOT}{path}")
    return groups


def write_setting(path: str, value: str) -> None:
    """Write one file of a group; raises FileNotFoundError where this kernel lacks it."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)  # no O_CREAT: that is no way to get a setting
    try:
        os.write(descriptor, value.encode())
    finally:
        os.close(descriptor)


def _happened(folders: list[str], names: tuple[str, ...], event: str) -> bool:
    for folder in folders:
        for name in names:
            try:
                with open(f"{folder}/{name}") as stream:
                    counts = dict(line.split() for line in stream)
            except (OSError, ValueError):
                continue
            if int(counts.get(event, 0)):
                return True
    return False
