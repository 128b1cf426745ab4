"""The system calls that generated code may not make; this file assembles the BPF program that refuses them.

The program is data: bubblewrap gets it by a file descriptor, the Landlock backend loads it itself. It is a list of
refusals on top of a backend's walls, not a wall of its own.
"""

from __future__ import annotations

import errno
import platform
import socket
import struct

# Name: (number on x86_64, number on aarch64); None where the machine lacks the call.
REFUSED_CALLS: dict[str, tuple[int | None, int | None]] = {
    # other processes' memory and descriptors
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "kcmp": (312, 272),
    "pidfd_getfd": (438, 438),
    "process_madvise": (440, 440),
    "process_mrelease": (448, 448),
    "move_pages": (279, 239),
    "migrate_pages": (256, 238),
    # namespaces, mounts, root folders: a new user namespace opens most of the kernel
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "open_tree_attr": (467, 467),
    "statmount": (457, 457),
    "listmount": (458, 458),
    "listns": (470, 470),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    # work done by the kernel on one's behalf, out of a filter's sight
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    # kernel interfaces that training does not need
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "fanotify_init": (300, 262),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "acct": (163, 89),
    "syslog": (103, 116),
    "personality": (135, 92),
    "lookup_dcookie": (212, 18),
    "memfd_secret": (447, 447),
    "vhangup": (153, 58),
    "modify_ldt": (154, None),
    "iopl": (172, None),
    "ioperm": (173, None),
    "uselib": (134, None),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "reboot": (169, 142),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "clock_adjtime": (305, 266),
    "adjtimex": (159, 171),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    # memory that no process holds, so that sampling cannot see it
    "shmget": (29, 194),
    "msgget": (68, 186),
    "mq_open": (240, 180),
}
SOCKET = (41, 198)
IOCTL = (16, 29)
CLONE = (56, 220)
CLONE3 = (435, 435)
CHMOD = ((90, None), (91, 52), (268, 53), (452, 452))  # chmod, fchmod, fchmodat, fchmodat2
CHMOD_MODE_ARGUMENT = (1, 1, 2, 2)

# Calls that may name another process, and which argument does; 0 is oneself.
OTHER_PROCESS = {
    "prlimit64": ((302, 261), 0),
    "setpriority": ((141, 140), 1),
    "ioprio_set": ((251, 30), 1),
    "sched_setparam": ((142, 118), 0),
    "sched_setscheduler": ((144, 119), 0),
    "sched_setattr": ((314, 274), 0),
}
SCHED_SETAFFINITY = (203, 122)
# What no other wall stops where the code sees the host's files. Times are left alone: a call that sets one and pretends
# would make pathlib take a missing file for an old one.
METADATA = {
    "chmod": (90, None),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "fchmodat2": (452, 452),
    "chown": (92, None),
    "fchown": (93, 55),
    "lchown": (94, None),
    "fchownat": (260, 54),
    "setxattr": (188, 5),
    "lsetxattr": (189, 6),
    "fsetxattr": (190, 7),
    "removexattr": (197, 14),
    "lremovexattr": (198, 15),
    "fremovexattr": (199, 16),
    "setxattrat": (463, 463),
    "removexattrat": (466, 466),
    "file_setattr": (469, 469),
}

# Without a process namespace, what code leaves behind is found again by its session: it stays in the one it was put in.
SETSID = (112, 157)

TERMINAL_REQUESTS = (0x5412, 0x541C)  # TIOCSTI pushes keystrokes, TIOCLINUX pastes the console's selection
NEW_NAMESPACES = 0x7E020080  # every CLONE_NEW* flag that clone(2) takes
SET_ID_BITS = 0o6000
# joblib and multiprocessing talk over unix sockets. IPv4 and IPv6 would reach nobody in a network of one's own, but
# their code in the kernel is large.
LOCAL_FAMILIES = (socket.AF_UNIX,)

_ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7), "arm64": (1, 0xC00000B7)}
_X32_BIT = 0x40000000

_LOAD, _JUMP_EQUAL, _JUMP_AT_LEAST, _JUMP_ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data; arguments are 8 bytes each
_ALLOW, _REFUSE, _KILL = 0x7FFF0000, 0x00050000, 0x80000000

INSTRUCTION_BYTES = 8
Instruction = tuple[int, int, int, int]


def is_supported(machine: str | None = None) -> bool:
    """Say whether the system call numbers of this processor are known here."""
    return (machine or platform.machine()) in _ARCHITECTURES


def assemble(*, has_namespaces: bool, machine: str | None = None) -> bytes:
    """Return the filter as an array of ``struct sock_filter``.

    ``has_namespaces`` says that the code sees mounts and a network of its own: unix sockets are harmless there.
    Without, only ``socketpair`` is left, changes of mode, owner and attributes do nothing (they would reach every file
    of the user), and nor does leaving the session. Other families (internet, vsock, netlink, packet, ...) are refused
    always.

    Source: Documentation/userspace-api/seccomp_filter.rst of the Linux kernel.
    """
    column, architecture = _ARCHITECTURES[machine or platform.machine()]
    program: list[Instruction] = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_JUMP_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
    ]
    if column == 0:
        program += [(_JUMP_AT_LEAST, 0, 1, _X32_BIT), _refuse(errno.ENOSYS)]
    for numbers in REFUSED_CALLS.values():
        if (number := numbers[column]) is not None:
            program += [(_JUMP_EQUAL, 0, 1, number), _refuse(errno.EPERM)]
    # The C library falls back to clone(2), whose flags a filter can read; clone3(2) keeps them in memory.
    program += [(_JUMP_EQUAL, 0, 1, CLONE3[column]), _refuse(errno.ENOSYS)]
    program += _when(CLONE[column], 0, [(_JUMP_ANY_BIT, 0, 1, NEW_NAMESPACES), _refuse(errno.EPERM)])
    if not has_namespaces:
        for numbers in METADATA.values():
            if (number := numbers[column]) is not None:
                program += [(_JUMP_EQUAL, 0, 1, number), _refuse(0)]
        program += [(_JUMP_EQUAL, 0, 1, SETSID[column]), _refuse(0)]
    for numbers, argument in zip(CHMOD, CHMOD_MODE_ARGUMENT, strict=True):
        if (number := numbers[column]) is not None:
            program += _when(number, argument, [(_JUMP_ANY_BIT, 0, 1, SET_ID_BITS), _refuse(errno.EPERM)])
    for request in TERMINAL_REQUESTS:
        program += _when(IOCTL[column], 1, [(_JUMP_EQUAL, 0, 1, request), _refuse(errno.EPERM)])
    calls = list(OTHER_PROCESS.values())
    if not has_namespaces:  # inside namespaces there is nobody else, and threads name each other so
        calls.append((SCHED_SETAFFINITY, 0))
    for numbers, argument in calls:
        program += _when(numbers[column], argument, [(_JUMP_EQUAL, 1, 0, 0), _refuse(errno.EPERM)])
    program += _when(SOCKET[column], 0, _families(LOCAL_FAMILIES if has_namespaces else ()))
    program.append((_RETURN, 0, 0, _ALLOW))
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program)


def _refuse(number: int) -> Instruction:
    return (_RETURN, 0, 0, _REFUSE | number)


def _when(number: int, argument: int, checks: list[Instruction]) -> list[Instruction]:
    """Run ``checks`` on the low half of one argument of one call, then load the call's number again."""
    body = [(_LOAD, 0, 0, _ARGUMENTS + 8 * argument), *checks, (_LOAD, 0, 0, _NUMBER)]
    return [(_JUMP_EQUAL, 0, len(body), number), *body]


def _families(allowed: tuple[int, ...]) -> list[Instruction]:
    checks: list[Instruction] = []
    for position, family in enumerate(allowed):
        checks.append((_JUMP_EQUAL, len(allowed) - position, 0, family))
    return [*checks, _refuse(errno.EAFNOSUPPORT if allowed else errno.EACCES)]
