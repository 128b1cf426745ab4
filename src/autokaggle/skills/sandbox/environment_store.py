"""The folder of built environments; this file names, checks and prunes them.

An environment's folder is a virtual environment with a marker. It appears whole under its key, by a rename, and is
never written again.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
import sys
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from filelock import FileLock, Timeout

from autokaggle.errors import UsageError
from autokaggle.skills.sandbox.sweep import measure, remove_tree
from autokaggle.storage.records_file import make_private_folder, write_atomically

MARKER = "autokaggle.json"
FORMAT = 1
BUILDING = ".building-"
RESOLUTIONS = "resolutions"
DAY_SECONDS = 86_400.0
STALE_BUILD_SECONDS = DAY_SECONDS


@dataclass(frozen=True)
class PrunedEnvironments:
    """How many environments were removed, and how much room that made."""

    environments: int
    bytes: int


def environment_key(lock: str, version: str) -> str:
    """Name an environment by all that decides its content: lock, Python, platform."""
    parts = [str(FORMAT), lock, version, sys.implementation.name, platform.system(), platform.machine()]
    return hashlib.sha256("\n".join([*parts, *platform.libc_ver()]).encode()).hexdigest()[:32]


def environment_lock(store: Path, key: str) -> FileLock:
    """Return the lock that a build, a repair or a removal of one environment holds."""
    return FileLock(make_private_folder(store) / f"{key}.lock")


def mark_as_built(folder: Path, version: str) -> None:
    """Write down what a whole environment consists of; the last thing that a build does."""
    records = sorted(folder.glob("lib/python*/site-packages/*.dist-info/RECORD"))
    packages = {str(record.relative_to(folder)): _digest(record) for record in records}
    write_atomically(folder / MARKER, json.dumps({"version": FORMAT, "python": version, "packages": packages}))


def mark_as_used(folder: Path) -> None:
    """Note the date of last use, which pruning goes by."""
    os.utime(folder / MARKER)


def check_environment(folder: Path) -> str:
    """Say in one phrase why ``folder`` cannot be used, "" when it can.

    Compares the list of files that each package installed, not the files: reading half a gigabyte would cost more than
    the whole step, and sandboxes at levels strong and partial cannot write there.
    """
    try:
        marker = json.loads((folder / MARKER).read_bytes())
        python = folder / "bin" / "python"
        if not os.access(python, os.X_OK):
            return "its Python was removed"
        if python_version(python.resolve()) != marker["python"]:
            return "its Python has another version now"
        for name, digest in marker["packages"].items():
            if _digest(folder / name) != digest:
                return f"{Path(name).parent.name} was changed"
    except FileNotFoundError as error:
        return "it is not built" if str(error.filename).endswith(MARKER) else "a package was removed"
    except (OSError, ValueError, KeyError, AttributeError, UsageError):
        return "it is damaged"
    return ""


def prune_environments(store: Path, unused_days: float) -> PrunedEnvironments:
    """Remove environments that no run used for ``unused_days``, and what builds left behind that were killed.

    A run in progress marked its environment at its start; ask for at least a day.
    """
    count = freed = 0
    now = time.time()
    for folder in sorted(store.iterdir()) if store.is_dir() else []:
        if not folder.is_dir() or folder.is_symlink() or folder.name == RESOLUTIONS:
            continue
        is_part = folder.name.startswith(BUILDING)
        marker = folder if is_part else folder / MARKER
        used = marker.stat().st_mtime if marker.exists() else 0.0
        if now - used < (STALE_BUILD_SECONDS if is_part else unused_days * DAY_SECONDS):
            continue
        lock = environment_lock(store, folder.name)
        try:
            with lock.acquire(blocking=False):
                freed += measure([str(folder)], sys.maxsize)[0]
                count += 1
                remove_tree(folder)
        except Timeout:  # somebody builds it right now
            continue
    return PrunedEnvironments(count, freed)


@cache
def python_version(python: Path) -> str:
    """Ask a base interpreter for its version, without any of its packages.

    Raises:
        UsageError: it cannot be run.
    """
    if python == Path(sys.executable).resolve():
        return platform.python_version()
    line = [str(python), "-I", "-S", "-c", "import platform; print(platform.python_version())"]
    try:
        return subprocess.run(line, capture_output=True, text=True, check=True, timeout=30).stdout.strip()
    except (OSError, subprocess.SubprocessError) as error:
        raise UsageError(f"{python} cannot be run as Python.", "Name a Python interpreter.") from error


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
