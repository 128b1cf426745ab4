"""Records on disk; this file writes them atomically as readable JSON and reads them back with their version checked.

It does not know which record lies where: ``artifacts.py`` does.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from pathlib import Path
from typing import TypeVar

import msgspec

from autokaggle.errors import AutoKaggleError, DiskTrouble
from autokaggle.records.base import Record

R = TypeVar("R", bound=Record)

PRIVATE_FILE = 0o600
PRIVATE_FOLDER = 0o700


def make_private_folder(folder: Path) -> Path:
    """Make ``folder`` and its parents; those made are readable by the user alone."""
    if not folder.is_dir():
        make_private_folder(folder.parent) if not folder.parent.exists() else None
        folder.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)
    return folder


def link_or_copy(source: Path, target: Path) -> None:
    """Put a file there under a second name, or copy it where the file system has no hard links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def write_atomically(path: Path, content: bytes | str) -> Path:
    """Replace ``path`` by ``content`` so that a reader sees the old or the new file, never a part.

    Raises:
        DiskTrouble: the disk is full or the folder cannot be written; the old file is untouched.
    """
    data = content.encode() if isinstance(content, str) else content
    part = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.part")
    try:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise DiskTrouble(
            f"Cannot write {path}: {error.strerror or error}.",
            "Free disk space or make the folder writable, then resume the run.",
        ) from error
    return path


def write_record(path: Path, record: Record) -> Path:
    """Write ``record`` as indented JSON, atomically."""
    return write_atomically(path, msgspec.json.format(msgspec.json.encode(record), indent=1) + b"\n")


def read_record(path: Path, kind: type[R]) -> R:
    """Read the record at ``path``.

    Raises:
        FileNotFoundError: there is no such file.
        AutoKaggleError: the file is damaged, or was written by a newer AutoKaggle.
    """
    data = path.read_bytes()
    try:
        _refuse_newer(path, data, kind)
        record = msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise AutoKaggleError(
            f"{path} is damaged: {error}.", "Restore the file, or start a new run; nothing else was touched."
        ) from error
    return record


class _Versioned(msgspec.Struct):
    version: int = 1


def _refuse_newer(path: Path, data: bytes, kind: type[Record]) -> None:
    """Look at the version before anything else: a newer format may hold values that this program cannot read."""
    newest = next((field.default for field in msgspec.structs.fields(kind) if field.name == "version"), None)
    if newest is not None and (found := msgspec.json.decode(data, type=_Versioned).version) > newest:
        raise AutoKaggleError(
            f"{path} was written by a newer AutoKaggle (format {found}, known: {newest}).",
            "Update AutoKaggle, then try again.",
        )
