"""Trouble with disks; this file tells it from our own faults, and says what to do about it."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

from autokaggle.errors import DiskTrouble

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
CLOSED = (errno.EACCES, errno.EPERM, errno.EROFS)
BROKEN = (errno.EIO, errno.ESTALE)
MAKE_ROOM = "Free disk space (`autokaggle cache prune` helps)"
OPEN_IT = "Make it readable and writable for you, or take another place (--runs-dir, AUTOKAGGLE_HOME)"
ADVICE = {
    **dict.fromkeys(FULL, MAKE_ROOM),
    **dict.fromkeys(CLOSED, OPEN_IT),
    **dict.fromkeys(BROKEN, "Check the disk"),
}
# Whose errors are of kinds of their own.
LIBRARIES = ("duckdb", "_duckdb", "pyarrow")
LEAST_FREE_BYTES = 16 << 20


def disk_trouble(error: BaseException, then: str = "try again") -> DiskTrouble | None:
    """Return what to say of an error that the file system caused, None for any other; ``then`` is what comes after.

    Libraries put the system's words into errors of their own, so these are looked for as well.
    """
    if isinstance(error, OSError) and error.errno in ADVICE:
        place = f": {error.filename}" if error.filename else ""
        return DiskTrouble(f"{os.strerror(error.errno)}{place}.", f"{ADVICE[error.errno]}, then {then}.")
    if isinstance(error, OSError) or type(error).__module__.partition(".")[0] in LIBRARIES:
        for code, advice in ADVICE.items():
            if os.strerror(code) in str(error):
                return DiskTrouble(f"{str(error).splitlines()[0].rstrip('.')}.", f"{advice}, then {then}.")
    return None


def refuse_full_disk(folder: Path, least_bytes: int = LEAST_FREE_BYTES) -> None:
    """Raises:
    DiskTrouble: next to nothing is free on the disk of ``folder``.
    """
    free = shutil.disk_usage(folder).free
    if free < least_bytes:
        raise DiskTrouble(
            f"The disk of {folder} is full: {free / 1e6:.1f} MB are free.",
            f"{MAKE_ROOM}, then resume the run.",
        )
