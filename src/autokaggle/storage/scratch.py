"""Folders for the length of one step; this file makes and removes them, also those that killed processes left.

A process holds the lock of its folder, which the system frees when the process ends in any way.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

# What mkdtemp appends. ``parent`` may hold a person's own folders: none of theirs has such a name.
RANDOM_PART = "[a-z0-9_]" * 8


@contextmanager
def scratch_folder(parent: Path, step: str) -> Iterator[Path]:
    """Yield a new folder in ``parent`` and remove it at the end; those that this ``step`` left are removed first."""
    prefix = f".autokaggle-{step}-"
    # Between its making and its locking a folder looks abandoned: one process at a time is here.
    with _locked(parent):
        for path in parent.glob(prefix + RANDOM_PART):
            _remove_abandoned(path)
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _remove_abandoned(folder: Path) -> None:
    with suppress(OSError):  # in use, removed just now, or no folder
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(descriptor)
