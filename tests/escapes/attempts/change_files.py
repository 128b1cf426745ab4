"""Attempts to write where nothing may be written, and to move the walls themselves."""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path
from typing import Any

from tests.escapes.attempts.arena import LIBC, attempt, system_call

NEW_USER, NEW_MOUNTS = 0x10000000, 0x00020000
BIND, REMOUNT = 4096, 32


def plant(path: Path) -> str:
    with path.open("a") as stream:
        stream.write("# planted\n")
    return f"wrote to {path}"


@attempt
def shell_profile(targets: dict[str, Any]) -> object:
    return plant(Path(targets["home"], ".bashrc"))


@attempt
def code_of_the_project(targets: dict[str, Any]) -> object:
    return plant(Path(targets["project"], "conftest.py"))


@attempt
def file_for_the_machines_temporary_folder(targets: dict[str, Any]) -> object:
    plant(Path(targets["temporary_mark"]))  # inside, a temporary folder of one's own is fine
    return None


@attempt
def file_in_shared_memory(targets: dict[str, Any]) -> object:
    plant(Path("/dev/shm", targets["tag"]))
    return None


@attempt
def own_input(targets: dict[str, Any]) -> object:
    return plant(Path(os.environ["AUTOKAGGLE_INPUT"], "train.csv"))


@attempt
def new_file_in_the_input(targets: dict[str, Any]) -> object:
    return plant(Path(os.environ["AUTOKAGGLE_INPUT"], "planted.csv"))


@attempt
def own_code(targets: dict[str, Any]) -> object:
    return plant(Path(__file__))


@attempt
def bytecode_beside_the_code(targets: dict[str, Any]) -> object:
    folder = Path(__file__).parent / "__pycache__"
    folder.mkdir(exist_ok=True)
    return plant(folder / f"arena.{sys.implementation.cache_tag}.pyc")


@attempt
def module_of_the_environment(targets: dict[str, Any]) -> object:
    return plant(Path(os.environ["VIRTUAL_ENV"], "package.py"))


@attempt
def start_file_of_the_environment(targets: dict[str, Any]) -> object:
    return plant(Path(os.environ["VIRTUAL_ENV"], "planted.pth"))


@attempt
def library_of_the_base_python(targets: dict[str, Any]) -> object:
    descriptor = os.open(os.__file__, os.O_WRONLY)
    os.close(descriptor)
    return os.__file__


@attempt
def program_of_the_system(targets: dict[str, Any]) -> object:
    path = f"/usr/local/{targets['tag']}"
    Path(path).write_text("x")
    Path(path).unlink()
    return path


@attempt
def root_folder(targets: dict[str, Any]) -> object:
    path = Path("/", targets["tag"])
    path.write_text("x")
    path.unlink()
    return "the root folder can be written"


@attempt
def root_folder_mounted_again(targets: dict[str, Any]) -> object:
    return LIBC.mount(None, b"/", None, REMOUNT | BIND, None) == 0


@attempt
def mount_over_the_work_folder(targets: dict[str, Any]) -> object:
    LIBC.unshare(NEW_MOUNTS)
    return LIBC.mount(b"none", bytes(Path.cwd()), b"tmpfs", 0, None) == 0


@attempt
def mount_by_the_new_interface(targets: dict[str, Any]) -> object:
    name = ctypes.create_string_buffer(b"tmpfs")
    return system_call(430, ctypes.addressof(name), 0) >= 0


@attempt
def new_user_namespace(targets: dict[str, Any]) -> object:
    return LIBC.unshare(NEW_USER) == 0


@attempt
def new_user_namespace_by_clone(targets: dict[str, Any]) -> object:
    child = system_call(56, NEW_USER | 17, 0, 0, 0, 0)
    if child == 0:
        os._exit(0)
    return child > 0


@attempt
def new_user_namespace_by_clone3(targets: dict[str, Any]) -> object:
    arguments = (ctypes.c_uint64 * 8)(NEW_USER, 0, 0, 0, 17, 0, 0, 0)
    child = system_call(435, ctypes.addressof(arguments), 64)
    if child == 0:
        os._exit(0)
    return child > 0


@attempt
def another_root_folder(targets: dict[str, Any]) -> object:
    os.chroot(Path.cwd())
    return "chroot"


@attempt
def program_for_crashes(targets: dict[str, Any]) -> object:
    return os.open("/proc/sys/kernel/core_pattern", os.O_WRONLY)


@attempt
def emergency_switch_of_the_kernel(targets: dict[str, Any]) -> object:
    return os.open("/proc/sysrq-trigger", os.O_WRONLY)


@attempt
def limits_of_the_control_group(targets: dict[str, Any]) -> object:
    for folder in ("/sys/fs/cgroup", "/sys/fs/cgroup/memory", "/sys/fs/cgroup/unified"):
        try:
            return os.open(f"{folder}/cgroup.procs", os.O_WRONLY)
        except OSError:
            continue
    return None


@attempt
def being_spared_when_memory_runs_out(targets: dict[str, Any]) -> object:
    Path("/proc/self/oom_score_adj").write_text("-1000")
    return "oom_score_adj is -1000"


@attempt
def mode_of_a_file_in_the_home(targets: dict[str, Any]) -> object:
    path = Path(targets["home"], ".ssh/id_ed25519")
    path.chmod(0o666)
    return None  # a call that does nothing is as good as one that is refused


@attempt
def time_of_a_file_in_the_home(targets: dict[str, Any]) -> object:
    os.utime(Path(targets["home"], ".bashrc"), (1, 1))
    return None


@attempt
def removal_of_a_file_in_the_home(targets: dict[str, Any]) -> object:
    Path(targets["home"], ".bashrc").unlink()
    return "removed"


@attempt
def device_of_ones_own(targets: dict[str, Any]) -> object:
    os.mknod("zero", 0o20666, os.makedev(1, 5))
    with Path("zero").open("rb") as stream:
        return stream.read(4)
