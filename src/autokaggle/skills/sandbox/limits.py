"""What a step may use; this file holds the record of limits and derives defaults from the machine.

Enforcing them is the supervisor's work.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from autokaggle.config import Settings

MEBIBYTE = 1 << 20
GIBIBYTE = 1 << 30

DEFAULT_WALL_SECONDS = 600.0
MEMORY_SHARE = 0.8
# What is written was in memory before; half of it is more than models and predictions take.
DISK_SHARE_OF_MEMORY = 0.5
DISK_SHARE_OF_FREE = 0.5
FILE_SHARE_OF_DISK = 0.5
LARGEST_DISK_BYTES = 20 * GIBIBYTE
LARGEST_FILE_BYTES = 4 * GIBIBYTE
LOG_BYTES = 16 * MEBIBYTE
# What this process may count on, set by whoever runs several such processes on one machine.
MEMORY_VARIABLE = "AUTOKAGGLE_MEMORY_BYTES"
CGROUP_MEMORY_FILES = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The bounds of one step, over all of its processes together.

    ``processes`` counts threads too. ``disk_bytes`` and ``inodes`` are of the work and output folders together,
    ``file_bytes`` is of any one file. ``temporary_bytes`` is what /tmp and /dev/shm hold each, in memory.
    ``threads`` is advice to numeric libraries by environment variables, not a bound.
    """

    wall_seconds: float
    memory_bytes: int
    cpu_seconds: float | None = None
    threads: int = 1
    processes: int = 256
    file_bytes: int = LARGEST_FILE_BYTES
    disk_bytes: int = LARGEST_DISK_BYTES
    inodes: int = 50_000
    log_bytes: int = LOG_BYTES
    temporary_bytes: int = 256 * MEBIBYTE


def default_limits(
    *,
    wall_seconds: float = DEFAULT_WALL_SECONDS,
    settings: Settings | None = None,
    memory_bytes: int | None = None,
    cpu_seconds: float | None = None,
    threads: int | None = None,
    disk_bytes: int | None = None,
    processes: int | None = None,
    folder: Path | None = None,
    beside: int = 1,
) -> Limits:
    """Fill what was not asked for from the settings, then from this machine.

    ``folder`` says on which disk the outputs will lie. ``beside`` is how many such steps run at once: each gets its
    part of the cores, and of the machine's memory as much as was asked for where there is so much for each.
    """
    threads = max(1, (threads or available_cores()) // beside)
    free = shutil.disk_usage(folder or Path.cwd()).free
    bounds = settings or Settings(home=Path(), runs_dir=Path())
    share = int(machine_memory_bytes() * MEMORY_SHARE)
    asked = memory_bytes or bounds.memory_bytes or share
    memory = min(asked, max(asked, share) // beside)  # who asks for more than the share has a reason: a cluster
    shares = int(memory * DISK_SHARE_OF_MEMORY), int(free * DISK_SHARE_OF_FREE)
    disk = disk_bytes or bounds.disk_bytes or min(LARGEST_DISK_BYTES, max(min(shares), MEBIBYTE))
    return Limits(
        wall_seconds=wall_seconds,
        memory_bytes=memory,
        cpu_seconds=cpu_seconds,
        threads=threads,
        # Libraries that ignore the advice open a pool with one thread a core, and a few do so at once.
        processes=processes or bounds.processes or 256 + 16 * (os.cpu_count() or 1),
        file_bytes=min(LARGEST_FILE_BYTES, int(disk * FILE_SHARE_OF_DISK)),
        disk_bytes=disk,
        temporary_bytes=min(256 * MEBIBYTE, memory // 4),
    )


def steps_at_once(most: int, asked_bytes: int | None) -> int:
    """Return how many of ``most`` steps this machine can hold when each has ``asked_bytes`` of memory, at least 1."""
    return max(1, min(most, int(machine_memory_bytes() * MEMORY_SHARE) // asked_bytes)) if asked_bytes else most


def available_cores() -> int:
    """Count the cores that this process may use, at least 1."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def machine_memory_bytes() -> int:
    """Return the memory of the machine, of the container when it has less, or this process's share of it."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if (share := os.environ.get(MEMORY_VARIABLE, "")).isdecimal():
        memory = min(memory, int(share))
    for path in CGROUP_MEMORY_FILES:
        try:
            memory = min(memory, int(path.read_text()))
        except (OSError, ValueError):  # no such cgroup version, or "max"
            continue
    return memory
