"""Attempts to read what is not the job's: files, environments, memory, descriptors, the machine itself."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Any

from tests.escapes.attempts.arena import attempt, system_call


def processes() -> list[str]:
    return [path.name for path in Path("/proc").glob("[0-9]*") if path.name != str(os.getpid())]


@attempt
def ssh_key_in_the_home(targets: dict[str, Any]) -> object:
    return Path(targets["home"], ".ssh/id_ed25519").read_text()


@attempt
def kaggle_token_in_the_home(targets: dict[str, Any]) -> object:
    return Path(targets["home"], ".kaggle/kaggle.json").read_text()


@attempt
def settings_of_the_project(targets: dict[str, Any]) -> object:
    return Path(targets["project"], ".env").read_text()


@attempt
def output_of_another_run(targets: dict[str, Any]) -> object:
    return Path(targets["other_run"], "submission.csv").read_text()


@attempt
def vault_of_the_program(targets: dict[str, Any]) -> object:
    return Path(targets["home"], ".local/share/autokaggle/vault").read_text()


@attempt
def neighbours_of_the_own_code(targets: dict[str, Any]) -> object:
    code = Path(__file__).parent
    return [path.name for path in code.parent.iterdir() if path.name == "log"]


@attempt
def listing_of_the_home(targets: dict[str, Any]) -> object:
    return [path.name for path in Path(targets["home"]).iterdir()]


@attempt
def existence_of_a_secret(targets: dict[str, Any]) -> object:
    return Path(targets["home"], ".ssh/id_ed25519").stat().st_size


@attempt
def accounts_of_the_machine(targets: dict[str, Any]) -> object:
    return Path("/etc/passwd").read_text().count(":") > 6


@attempt
def file_in_the_temporary_folder(targets: dict[str, Any]) -> object:
    return Path(targets["temporary_secret"]).read_text()


@attempt
def link_that_the_input_holds(targets: dict[str, Any]) -> object:
    return Path(os.environ["AUTOKAGGLE_INPUT"], "link").read_text()


@attempt
def own_environment(targets: dict[str, Any]) -> object:
    return [name for name, value in os.environ.items() if targets["secret"] in value]


@attempt
def environment_of_every_process(targets: dict[str, Any]) -> object:
    found = []
    for name in processes():
        try:
            if targets["secret"].encode() in Path("/proc", name, "environ").read_bytes():
                found.append(name)
        except OSError:
            continue
    return found


@attempt
def arguments_of_every_process(targets: dict[str, Any]) -> object:
    found = []
    for name in processes():
        try:
            if Path("/proc", name, "cmdline").read_bytes().endswith(targets["argument_secret"].encode() + b"\0"):
                found.append(name)
        except OSError:
            continue
    return found


@attempt
def inherited_descriptors(targets: dict[str, Any]) -> object:
    for descriptor in range(3, 256):
        try:
            if targets["secret"].encode() in os.pread(descriptor, 4096, 0):
                return f"descriptor {descriptor}"
        except OSError:
            continue
    return None


@attempt
def memory_of_another_process(targets: dict[str, Any]) -> object:
    folder = Path("/proc", str(targets["prey"]))
    first = folder.joinpath("maps").read_text().split("-", 1)[0]
    with folder.joinpath("mem").open("rb", buffering=0) as stream:
        stream.seek(int(first, 16))
        return len(stream.read(64))


@attempt
def memory_of_the_parent(targets: dict[str, Any]) -> object:
    with Path("/proc", str(os.getppid()), "mem").open("r+b", buffering=0) as stream:
        return f"descriptor {stream.fileno()}"


@attempt
def folder_of_another_process(targets: dict[str, Any]) -> object:
    return [path.name for path in Path("/proc", str(targets["prey"]), "cwd").iterdir()]


@attempt
def kernel_log(targets: dict[str, Any]) -> object:
    return system_call(103, 10, 0, 0) > 0 or os.open("/dev/kmsg", os.O_RDONLY)


@attempt
def raw_disk(targets: dict[str, Any]) -> object:
    names = [line.split()[3] for line in Path("/proc/partitions").read_text().splitlines()[2:]]
    for name in names:
        try:
            with Path("/dev", name).open("rb") as stream:
                return len(stream.read(512))
        except OSError:
            continue
    return None


@attempt
def files_by_handle(targets: dict[str, Any]) -> object:
    import ctypes

    handle = ctypes.create_string_buffer(struct.pack("II", 128, 0) + bytes(128))
    mount = ctypes.c_int()
    path = ctypes.create_string_buffer(b"/")
    arguments = (-100, ctypes.addressof(path), ctypes.addressof(handle), ctypes.addressof(mount), 0)
    return "handle" if system_call(303, *arguments) == 0 else None
