"""Attempts on whoever looks at what is left: links, pipes, names, trees, logs, pickles. Judged from outside."""

from __future__ import annotations

import os
import pickle
import socket
import sys
from pathlib import Path
from typing import Any

from tests.escapes.attempts.arena import attempt

OUTPUT = Path(os.environ["AUTOKAGGLE_OUTPUT"])


@attempt
def link_to_a_secret(targets: dict[str, Any]) -> object:
    (OUTPUT / "submission.csv").symlink_to(Path(targets["home"], ".ssh/id_ed25519"))
    return None


@attempt
def link_to_a_folder(targets: dict[str, Any]) -> object:
    (OUTPUT / "folder").symlink_to(targets["home"])
    return None


@attempt
def hard_link_to_the_input(targets: dict[str, Any]) -> object:
    (OUTPUT / "linked.csv").hardlink_to(Path(os.environ["AUTOKAGGLE_INPUT"], "train.csv"))
    return None


@attempt
def hard_link_to_a_secret(targets: dict[str, Any]) -> object:
    (OUTPUT / "linked.csv").hardlink_to(Path(targets["home"], ".ssh/id_ed25519"))
    return None


@attempt
def named_pipe(targets: dict[str, Any]) -> object:
    os.mkfifo(OUTPUT / "metrics.json")
    return None


@attempt
def socket_file(targets: dict[str, Any]) -> object:
    with socket.socket(socket.AF_UNIX) as server:
        os.chdir(OUTPUT)
        server.bind("oof.parquet")
    return None


@attempt
def device_file(targets: dict[str, Any]) -> object:
    os.mknod(OUTPUT / "device", 0o20666, os.makedev(1, 5))
    return None


@attempt
def program_with_the_users_rights(targets: dict[str, Any]) -> object:
    path = OUTPUT / "program"
    path.write_text("#!/bin/sh\n")
    path.chmod(0o4755)
    return None


@attempt
def file_of_a_terabyte_without_content(targets: dict[str, Any]) -> object:
    with (OUTPUT / "oof.parquet").open("wb") as stream:
        stream.truncate(1 << 40)
    return None


@attempt
def name_that_steers_a_terminal(targets: dict[str, Any]) -> object:
    (OUTPUT / "a\x1b[2J\nb").write_text("x")
    return None


@attempt
def tree_without_a_bottom(targets: dict[str, Any]) -> object:
    os.chdir(OUTPUT)
    for _ in range(300):
        Path("d").mkdir()
        os.chdir("d")
    return None


@attempt
def path_too_long_to_open(targets: dict[str, Any]) -> object:
    os.chdir(OUTPUT)
    for _ in range(25):
        Path("d" * 200).mkdir()
        os.chdir("d" * 200)
    Path("hidden").write_text("x")
    return None


@attempt
def folder_that_cannot_be_read(targets: dict[str, Any]) -> object:
    (OUTPUT / "closed").mkdir()
    (OUTPUT / "closed" / "x").write_text("x")
    (OUTPUT / "closed").chmod(0)
    return None


@attempt
def output_folder_swapped(targets: dict[str, Any]) -> object:
    OUTPUT.rename(OUTPUT.with_name("moved"))
    OUTPUT.symlink_to(targets["home"])
    return None


@attempt
def module_for_the_next_step(targets: dict[str, Any]) -> object:
    if targets["step"] == 2:
        import colorsys

        return getattr(colorsys, "PLANTED", None)
    library = Path(os.environ["HOME"], ".local/lib/python{}.{}/site-packages".format(*sys.version_info))
    library.mkdir(parents=True)
    for path in (Path("colorsys.py"), Path("sitecustomize.py"), library / "colorsys.py", library / "usercustomize.py"):
        path.write_text("PLANTED = 'planted by the step before'\n")
    return None


class Payload:
    """Runs a shell command when it is unpickled."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (os.system, (f"touch {self.path}",))


@attempt
def pickle_that_runs_code(targets: dict[str, Any]) -> object:
    (OUTPUT / "model.joblib").write_bytes(pickle.dumps(Payload(targets["pickle_mark"])))
    return None


@attempt
def log_that_steers_a_terminal(targets: dict[str, Any]) -> object:
    os.write(1, b"\x1b]0;owned\x07\x1b[2J\x1b[31mscore 0.999\r\x9b1m\n")
    return None
