"""What a tree of processes uses right now; this file reads it from /proc on Linux and through psutil elsewhere.

Sampling sees what lives at that moment: a process that comes and goes between two samples is counted only by its
parent's account of the children that it waited for.
"""

# The os module, not pathlib: /proc is read hundreds of times a second, and the supervisor should start fast.
# ruff: noqa: PTH110, PTH115, PTH116, PTH123, PTH208

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

IS_LINUX = sys.platform.startswith("linux")
_TICKS = os.sysconf("SC_CLK_TCK")
_BLOCK = 512


class Usage:
    """Sums over a tree. ``memory_bytes`` may count a page once for each process that shares it."""

    def __init__(self) -> None:
        self.processes: list[int] = []
        self.threads = 0
        self.cpu_seconds = 0.0
        self.memory_bytes = 0
        self.held_bytes = 0
        self.written_bytes = 0


def sample(root: int, temporary_folders: Iterable[str] = ()) -> Usage:
    """Measure ``root``'s descendants, without ``root`` itself.

    ``temporary_folders`` are file systems in memory that only these processes see.
    """
    if not IS_LINUX:
        return _sample_by_psutil(root)
    usage = Usage()
    usage.processes = descendants(root)
    private = shared = 0
    held: dict[tuple[int, int], int] = {}
    for process in usage.processes:
        try:
            status = _status(process)
            usage.threads += status.get("Threads", 1)
            private += 1024 * status.get("RssAnon", 0)
            shared += 1024 * status.get("RssShmem", 0)
            usage.cpu_seconds += _cpu_seconds(process)
            usage.written_bytes += written_bytes(f"/proc/{process}/io")
            held |= _memory_files(process)
        except (OSError, ValueError, IndexError):  # it ended while being read
            continue
    if usage.processes:
        held |= _temporary_file_systems(usage.processes[-1], temporary_folders)
    usage.held_bytes = sum(held.values())
    # Pages of a file in memory are resident in whoever maps them, so the two sums are never added.
    usage.memory_bytes = private + max(shared, usage.held_bytes)
    return usage


def exact_memory_bytes(usage: Usage) -> int:
    """Measure the memory of the sampled processes with each shared page counted once; takes milliseconds."""
    private = shared = 0
    for process in usage.processes:
        try:
            lines = _read(f"/proc/{process}/smaps_rollup").splitlines()
        except OSError:  # it ended, or the kernel is older than this file
            continue
        sizes = {line.split(":")[0]: 1024 * int(line.split()[1]) for line in lines if line.startswith("Pss_")}
        private += sizes.get("Pss_Anon", 0)
        shared += sizes.get("Pss_Shmem", 0)
    return private + max(shared, usage.held_bytes) if private else usage.memory_bytes


def descendants(root: int) -> list[int]:
    """List the processes below ``root``, parents first."""
    if not IS_LINUX:
        return _descendants_by_psutil(root)
    if not _has_children_files(root):
        return _descendants_by_scan(root)
    found = _children(root)
    for process in found:  # grows while it is walked
        found += _children(process)
    return found


def written_bytes(path: str) -> int:
    """Read from an ``io`` file of /proc how much was written to disks."""
    for line in _read(path).splitlines():
        if line.startswith("write_bytes:"):
            return int(line.split()[1])
    return 0


def _has_children_files(process: int) -> bool:
    return os.path.exists(f"/proc/{process}/task/{process}/children")


def _children(process: int) -> list[int]:
    children: list[int] = []
    try:
        for thread in os.listdir(f"/proc/{process}/task"):
            children += map(int, _read(f"/proc/{process}/task/{thread}/children").split())
    except OSError:  # it ended while being read
        pass
    return children


def _descendants_by_scan(root: int) -> list[int]:
    """Find them by the parent of every process, for kernels without the ``children`` files."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                children.setdefault(int(_stat_fields(int(name))[1]), []).append(int(name))
            except (OSError, ValueError, IndexError):
                continue
    found = list(children.get(root, ()))
    for process in found:
        found += children.get(process, ())
    return found


def _status(process: int) -> dict[str, int]:
    values = {}
    for line in _read(f"/proc/{process}/status").splitlines():
        name, _, value = line.partition(":")
        if name in ("Threads", "RssAnon", "RssShmem"):
            values[name] = int(value.split()[0])
    return values


def _stat_fields(process: int) -> list[str]:
    """Return the fields of /proc/N/stat from ``state`` on; the name before may hold spaces and brackets."""
    return _read(f"/proc/{process}/stat").rpartition(")")[2].split()


def _cpu_seconds(process: int) -> float:
    """Own time and that of children that were waited for, so that each ended process counts once."""
    return sum(map(int, _stat_fields(process)[11:15])) / _TICKS


def _memory_files(process: int) -> dict[tuple[int, int], int]:
    """Measure the nameless files in memory that the process holds open."""
    found = {}
    folder = f"/proc/{process}/fd"
    for name in os.listdir(folder):
        try:
            if os.readlink(f"{folder}/{name}").startswith("/memfd:"):
                facts = os.stat(f"{folder}/{name}")
                found[(facts.st_dev, facts.st_ino)] = facts.st_blocks * _BLOCK
        except OSError:
            continue
    return found


def removed_but_open_bytes(processes: list[int], folders: list[str]) -> int:
    """Measure files on the disks of ``folders`` that have no name any more but are open or mapped by ``processes``."""
    disks = {os.stat(folder).st_dev for folder in folders}
    found: dict[tuple[int, int], int] = {}
    for process in processes:
        try:
            for descriptor in os.listdir(f"/proc/{process}/fd"):
                facts = os.stat(f"/proc/{process}/fd/{descriptor}")
                if facts.st_nlink == 0 and facts.st_dev in disks:
                    found[(facts.st_dev, facts.st_ino)] = facts.st_blocks * _BLOCK
            for key, size in _removed_mappings(process):
                if key[0] in disks:
                    found[key] = max(found.get(key, 0), size)
        except (OSError, ValueError):  # it ended, or closed a file, while being read
            continue
    return sum(found.values())


def _removed_mappings(process: int) -> list[tuple[tuple[int, int], int]]:
    mappings = []
    for line in _read(f"/proc/{process}/maps").splitlines():
        if line.endswith(" (deleted)"):
            addresses, _, offset, device, inode = line.split(None, 5)[:5]
            start, end = (int(address, 16) for address in addresses.split("-"))
            major, minor = (int(part, 16) for part in device.split(":"))
            mappings.append(((os.makedev(major, minor), int(inode)), int(offset, 16) + end - start))
    return mappings


def _temporary_file_systems(process: int, folders: Iterable[str]) -> dict[tuple[int, int], int]:
    found = {}
    for folder in folders:
        inside = f"/proc/{process}/root{folder}"
        try:
            device = os.stat(inside).st_dev
            if device != os.stat(folder).st_dev:  # the same means: the walls do not stand yet
                facts = os.statvfs(inside)
                found[(device, 0)] = (facts.f_blocks - facts.f_bfree) * facts.f_frsize
        except OSError:
            continue
    return found


def _read(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as stream:
        return stream.read()


def _descendants_by_psutil(root: int) -> list[int]:
    import psutil

    try:
        return [process.pid for process in psutil.Process(root).children(recursive=True)]
    except psutil.Error:
        return []


def _sample_by_psutil(root: int) -> Usage:
    import psutil

    usage = Usage()
    usage.processes = _descendants_by_psutil(root)
    for process in usage.processes:
        try:
            facts = psutil.Process(process)
            with facts.oneshot():
                times = facts.cpu_times()
                usage.threads += facts.num_threads()
                usage.memory_bytes += facts.memory_info().rss
                usage.cpu_seconds += times.user + times.system + times.children_user + times.children_system
        except psutil.Error:
            continue
    return usage
