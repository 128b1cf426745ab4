"""Zip files among the data; this file copies the tables inside to names of our own, never to a path of the archive."""

from __future__ import annotations

import re
import shutil
import zipfile
from pathlib import Path

from autokaggle.skills.dataset.tables import is_table_name

LARGEST_MEMBER_BYTES = 50 << 30
LARGEST_RATIO = 200
KEPT_FREE_BYTES = 1 << 30


def unpack_tables(archive: Path, name: str, scratch: Path) -> tuple[list[tuple[str, Path]], list[str]]:
    """Copy the tables inside a zip file to files of our own naming in ``scratch``.

    Returns pairs of (name for people, path) and the reasons why members were left out. No path of the archive is ever
    used for writing, so an entry such as ``../x`` cannot escape.
    """
    found: list[tuple[str, Path]] = []
    refused: list[str] = []
    try:
        with zipfile.ZipFile(archive) as content:
            for member in content.infolist():
                if reason := _refusal(member, shutil.disk_usage(scratch).free):
                    refused.append(f"{name}: entry {member.filename!r} was left out, {reason}")
                elif not member.is_dir() and is_table_name(member.filename) and "__MACOSX" not in member.filename:
                    target = scratch / f"member-{len(list(scratch.iterdir()))}{_suffix(member.filename)}"
                    with content.open(member) as source, target.open("wb") as copy:
                        shutil.copyfileobj(source, copy, 1 << 20)
                    found.append((f"{name}/{member.filename}", target))
    except (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        refused.append(f"{name} cannot be unpacked ({error})")
    return found, refused


def _suffix(name: str) -> str:
    """Return what tells the kind of table, for instance ``.csv.gz``."""
    found = re.search(r"\.\w+(\.(gz|bz2|xz))?$", name.lower())
    return found.group() if found else ""


def _refusal(member: zipfile.ZipInfo, free_bytes: int) -> str:
    if (member.external_attr >> 16) & 0o170000 == 0o120000:
        return "a link"
    parts = member.filename.replace("\\", "/").split("/")
    if ".." in parts or member.filename.startswith(("/", "\\")) or ":" in parts[0]:
        return "its path leads outside"
    if member.file_size > LARGEST_MEMBER_BYTES or member.file_size > LARGEST_RATIO * max(member.compress_size, 1 << 16):
        return "it would grow too large"
    if member.file_size > free_bytes - KEPT_FREE_BYTES:
        return "the disk has no room for it"
    return ""
