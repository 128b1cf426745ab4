"""Isolation by bubblewrap; this file writes the command line that shows a job nothing but what it needs.

It is an allow-list: an empty root, the system's programs and libraries, the job's folders, no network.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from autokaggle.skills.sandbox.cgroup import process_ceiling
from autokaggle.skills.sandbox.gpu import leaves_proc_writable
from autokaggle.skills.sandbox.interpreter import Interpreter
from autokaggle.skills.sandbox.job import Layout
from autokaggle.skills.sandbox.limits import Limits

ENVIRONMENT_INSIDE = Path("/env")
SYSTEM_FOLDERS = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
# joblib and OpenMP count cores in the last one.
SYSTEM_FILES = ("/etc/ld.so.cache", "/etc/alternatives", "/nix/store", "/sys/devices/system/cpu")
# CUDA reads there which memory lies near which core.
MEMORY_NODES = "/sys/devices/system/node"
SYSTEM_SEARCH_PATH = "/usr/bin:/bin:/usr/local/bin:/run/current-system/sw/bin"

NAMESPACES = (
    "--unshare-user",
    "--disable-userns",
    "--unshare-pid",
    "--unshare-net",
    "--unshare-ipc",
    "--unshare-uts",
    "--unshare-cgroup-try",
    "--die-with-parent",
    "--new-session",
)


def find_bubblewrap() -> Path | None:
    """Find the program; the system's comes first, because distributions patch it and let it make namespaces."""
    found = shutil.which("bwrap", path=SYSTEM_SEARCH_PATH) or shutil.which("bwrap")
    return Path(found) if found else None


def wrap(
    program: Path,
    command: list[str],
    *,
    layout: Layout,
    seen: Layout,
    interpreter: Interpreter,
    variables: Mapping[str, str],
    limits: Limits,
    filter_place: str,
    status_place: str,
    devices: Sequence[Path] = (),
) -> list[str]:
    """Put ``command`` behind the walls: folders of ``layout`` appear where ``seen`` says, all else is absent.

    ``devices`` are files of a GPU, which appear in /dev.

    The two places are filled in with the open files of the seccomp program and of bubblewrap's own report. No folder
    is mounted beneath one that can be written: bubblewrap before 0.12 follows links there (CVE-2026-87766).
    """
    line = [str(program), *NAMESPACES, "--cap-drop", "ALL", "--clearenv"]
    for name, value in variables.items():
        line += ["--setenv", name, value]
    line += [*_system(), *_kernel_folders(limits, devices)]
    for home in interpreter.homes:
        line += ["--ro-bind", str(home), str(home)]
    if interpreter.environment:
        line += ["--ro-bind", str(interpreter.environment), str(ENVIRONMENT_INSIDE)]
    if layout.input and seen.input:
        line += ["--ro-bind", str(layout.input), str(seen.input)]
    line += ["--ro-bind", str(layout.code), str(seen.code), "--ro-bind", str(layout.driver), str(seen.driver)]
    line += ["--bind", str(layout.work), str(seen.work), "--bind", str(layout.output), str(seen.output)]
    line += ["--chdir", str(seen.work), "--remount-ro", "/", "--seccomp", filter_place]
    line += ["--json-status-fd", status_place, "--"]
    # Outside, this limit would count the processes of the whole desktop; inside, it counts those of the sandbox.
    if prlimit := shutil.which("prlimit", path=SYSTEM_SEARCH_PATH):
        line += [prlimit, f"--nproc={process_ceiling(limits.processes)}"]
    return [*line, *command]


def _system() -> list[str]:
    """Show /usr, the folders beside it as this distribution has them, and what the dynamic loader reads."""
    line = ["--ro-bind", "/usr", "/usr"]
    for name in SYSTEM_FOLDERS:
        folder = Path("/", name)
        if folder.is_symlink():
            line += ["--symlink", os.readlink(folder), str(folder)]  # noqa: PTH115 - the text, kept relative
        elif folder.is_dir():
            line += ["--ro-bind", str(folder), str(folder)]
    for path in SYSTEM_FILES:
        line += ["--ro-bind-try", path, path]
    return line


def _kernel_folders(limits: Limits, devices: Sequence[Path]) -> list[str]:
    """Give /proc and /dev of its own; root could change the machine through a writable /proc even in there."""
    line = ["--proc", "/proc"]
    # Where it is left writable, nobody but the job's own processes may be in it: not even bubblewrap's first one.
    line += ["--as-pid-1"] if devices and leaves_proc_writable() else ["--remount-ro", "/proc"]
    line += ["--dev", "/dev"]
    for device in devices:
        line += ["--dev-bind", str(device), f"/dev/{device.name}"]
    if devices:  # the driver's part of /proc is in every /proc
        line += ["--ro-bind-try", MEMORY_NODES, MEMORY_NODES]
    size = ["--size", str(limits.temporary_bytes), "--tmpfs"]
    return [*line, *size, "/dev/shm", "--remount-ro", "/dev", *size, "/tmp"]  # noqa: S108
