"""Isolation by Landlock; this file asks the kernel for it and confines the calling process for good.

It needs no privilege and no program, but shares the host's processes and file system view: see docs/security.md.
Source: Documentation/userspace-api/landlock.rst of the Linux kernel.
"""

from __future__ import annotations

import ctypes
import os
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:  # the supervisor imports this file at every step, and should start fast
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from autokaggle.skills.sandbox.interpreter import Interpreter
    from autokaggle.skills.sandbox.job import Layout

LEAST_ABI = 4  # the first that can refuse TCP
SIGNAL_ABI = 6  # the first that can keep signals and abstract sockets inside

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION_FLAG, _RULE_PATH_BENEATH = 1, 1
_SET_NO_NEW_PRIVILEGES, _SET_SECCOMP, _SECCOMP_FILTER = 38, 22, 2

_DROP_FROM_BOUNDING_SET, _AMBIENT, _CLEAR_AMBIENT = 24, 47, 4
_CAPABILITY_VERSION, _MOST_CAPABILITIES = 0x20080522, 64

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_FOLDER = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_REMOVE_FOLDER, _REMOVE_FILE, _MAKE_FOLDER, _MAKE_FILE = 1 << 4, 1 << 5, 1 << 7, 1 << 8
_TRUNCATE, _IOCTL_DEVICE = 1 << 14, 1 << 15
_ALL_FILE_ACCESS = {4: (1 << 15) - 1, 5: (1 << 16) - 1}
_TCP_BIND_AND_CONNECT = 0b11
_SCOPE_ABSTRACT_SOCKETS_AND_SIGNALS = 0b11

READ = _EXECUTE | _READ_FILE | _READ_FOLDER
DEVICE = _READ_FILE | _WRITE_FILE
# Links, pipes, sockets and devices are not among what may be made.
WRITE = READ | _WRITE_FILE | _REMOVE_FOLDER | _REMOVE_FILE | _MAKE_FOLDER | _MAKE_FILE | _TRUNCATE
GPU = DEVICE | _TRUNCATE | _IOCTL_DEVICE
ACCESS = {"read": READ, "write": WRITE, "device": DEVICE, "gpu": GPU}
SYSTEM_READ = (
    *("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/nix/store", "/etc/ld.so.cache", "/etc/alternatives"),
    *("/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/self", "/sys/devices/system/cpu"),
    *("/dev/urandom", "/dev/random"),
)
SYSTEM_DEVICES = ("/dev/null", "/dev/zero", "/dev/full")
# The driver's settings, and which memory lies near which core.
READ_BY_CUDA = ("/proc/driver/nvidia", "/proc/driver/nvidia-uvm", "/proc/devices", "/sys/devices/system/node")
# Where CUDA writes the names of its threads; this means the process that the job begins with, and no other.
OWN_THREADS = "/proc/self/task"
_FOR_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEVICE


def landlock_abi() -> int:
    """Return the version of Landlock that the kernel offers, 0 when it offers none."""
    version: int = _libc().syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _VERSION_FLAG)
    return max(version, 0)


def rules(layout: Layout, interpreter: Interpreter, devices: Sequence[Path] = ()) -> dict[str, list[str]]:
    """List what a job may reach: its folders, its Python, the system's libraries; not /tmp, /dev/shm or /proc.

    ``devices`` are files of a GPU: with them come what CUDA reads of its driver, and names of threads.
    """
    read = [layout.code, layout.driver, layout.input, interpreter.environment, *interpreter.homes]
    return {
        "read": [*SYSTEM_READ, *(READ_BY_CUDA if devices else ()), *(str(folder) for folder in read if folder)],
        "write": [str(layout.output), str(layout.work)],
        "device": list(SYSTEM_DEVICES),
        "gpu": [*map(str, devices), OWN_THREADS] if devices else [],
    }


def restrict(rules: Mapping[str, Sequence[str]]) -> None:
    """Confine this process and its children to ``rules``: access ("read", "write", "device", "gpu") to paths.

    Paths that do not exist are left out. TCP is refused, and so are signals and abstract sockets to the outside
    where the kernel can (version 6).

    Raises:
        OSError: the kernel refused.
    """
    libc, abi = _libc(), landlock_abi()
    handled = _ALL_FILE_ACCESS[min(max(abi, 4), 5)]
    scoped = _SCOPE_ABSTRACT_SOCKETS_AND_SIGNALS if abi >= SIGNAL_ABI else 0
    attributes = struct.pack("=QQQ", handled, _TCP_BIND_AND_CONNECT, scoped)[: 24 if abi >= SIGNAL_ABI else 16]
    ruleset = _checked(libc.syscall(_CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), 0))
    for access, paths in rules.items():
        for path in paths:
            _allow(libc, ruleset, path, ACCESS[access] & handled)
    _checked(libc.prctl(_SET_NO_NEW_PRIVILEGES, 1, 0, 0, 0))
    _checked(libc.syscall(_RESTRICT_SELF, ruleset, 0))
    os.close(ruleset)


def drop_capabilities() -> None:
    """Take from this process and its children what root may do beyond an ordinary user; files it owns stay its own."""
    libc = _libc()
    for capability in range(_MOST_CAPABILITIES):
        libc.prctl(_DROP_FROM_BOUNDING_SET, capability, 0, 0, 0)  # fails beyond the last one that the kernel knows
    libc.prctl(_AMBIENT, _CLEAR_AMBIENT, 0, 0, 0)
    _checked(libc.capset(struct.pack("=Ii", _CAPABILITY_VERSION, 0), bytes(24)))


def load_filter(program: bytes) -> None:
    """Put this process and its children under a seccomp program, for good.

    Raises:
        OSError: the kernel refused.
    """
    libc = _libc()
    instructions = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(instructions))
    _checked(libc.prctl(_SET_NO_NEW_PRIVILEGES, 1, 0, 0, 0))
    _checked(libc.prctl(_SET_SECCOMP, _SECCOMP_FILTER, header, 0, 0))


def _allow(libc: ctypes.CDLL, ruleset: int, path: str, access: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        if not os.path.isdir(path):  # noqa: PTH112
            access &= _FOR_FILES
        rule = struct.pack("=Qi", access, descriptor)
        _checked(libc.syscall(_ADD_RULE, ruleset, _RULE_PATH_BENEATH, rule, 0))
    finally:
        os.close(descriptor)


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
