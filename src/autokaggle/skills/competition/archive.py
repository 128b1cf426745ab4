"""From a zip archive to files in the cache; this file refuses whatever could do harm before a byte is written.

Refused: names that leave the folder, links and devices, encrypted or overlapping entries, declared sizes beyond the
disk or beyond belief, and an entry that holds more than it declared.
"""

from __future__ import annotations

import re
import stat
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from autokaggle.errors import CompetitionUnusable, OutsideWorldError
from autokaggle.records.competition import DataFile
from autokaggle.skills.competition.meter import Meter, OnProgress
from autokaggle.storage.dataset_cache import DatasetCache

MOST_ENTRIES = 2_000_000
HIGHEST_RATIO = 300
RATIO_COUNTS_FROM_BYTES = 1 << 30
ENCRYPTED = 0x1
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
LONGEST_NAME_BYTES, LONGEST_PART_BYTES = 1000, 255
KNOWN_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)


class UnsafeArchive(CompetitionUnusable):
    """The archive would do harm; nothing of it was written."""


class DamagedArchive(OutsideWorldError):
    """The bytes are no whole zip archive."""


def extract_archive(path: Path, label: str, cache: DatasetCache, on_progress: OnProgress) -> tuple[DataFile, ...]:
    """Store every file of the archive in the cache; names are the archive's, in its order.

    ``label`` names the archive in messages.

    Raises:
        UnsafeArchive: an entry would do harm; the message names it.
        DamagedArchive: a checksum, a size or the directory of the archive is wrong.
        DiskTrouble: the disk cannot take the files.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = checked_entries(archive, path.stat().st_size, label)
            total = sum(entry.file_size for entry in entries)
            cache.require_space(total)
            files, meter = [], Meter(f"Unpacking {label}", on_progress, total)
            for entry in entries:
                with archive.open(entry) as stream:
                    files.append(cache.add(_plain(entry), stream, limit=entry.file_size))
                meter.add(entry.file_size)
            return tuple(files)
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError) as error:
        raise DamagedArchive(
            f"{label} is not a whole zip archive: {error}.", "Run the same again to download it afresh."
        ) from error


def checked_entries(archive: zipfile.ZipFile, archive_bytes: int, label: str) -> list[zipfile.ZipInfo]:
    """Return the archive's files after every check that needs no unpacking.

    Raises:
        UnsafeArchive: says which entry, and why.
    """
    listed = archive.infolist()
    if len(listed) > MOST_ENTRIES:
        raise _unsafe(label, f"it lists {len(listed):,} entries")
    entries = [entry for entry in listed if not entry.is_dir()]
    for entry in listed:
        if problem := _entry_problem(entry):
            raise _unsafe(label, f"entry {entry.filename[:200]!r} {problem}")
    if problem := _name_clash([_plain(entry) for entry in entries]):
        raise _unsafe(label, problem)
    declared = sum(entry.file_size for entry in entries)
    packed = sum(entry.compress_size for entry in entries)
    if packed > archive_bytes:
        raise _unsafe(label, "its entries overlap")
    if declared > RATIO_COUNTS_FROM_BYTES and declared > HIGHEST_RATIO * archive_bytes:
        raise _unsafe(label, f"{archive_bytes:,} bytes claim to hold {declared:,}")
    return entries


def name_problem(name: str) -> str:
    """Say what is wrong with a file name from outside, "" when it is a plain path below its folder."""
    parts = PurePosixPath(name).parts
    if not parts or name.startswith(("/", "\\")) or "\\" in name or (len(name) > 1 and name[1] == ":"):
        return "is no relative path"
    if ".." in parts:
        return "leaves its folder"
    if CONTROL.search(name):
        return "holds control characters"
    try:
        encoded = name.encode("utf-8")
    except UnicodeEncodeError:
        return "is no text"
    if len(encoded) > LONGEST_NAME_BYTES or max(len(part) for part in encoded.split(b"/")) > LONGEST_PART_BYTES:
        return "is too long"
    return ""


def _plain(entry: zipfile.ZipInfo) -> str:
    """The name without the ``./`` that some packers write."""
    return str(PurePosixPath(entry.filename))


def _entry_problem(entry: zipfile.ZipInfo) -> str:
    # ZipInfo cuts a name at a NUL byte: what is checked must be what the archive says.
    for name in {entry.orig_filename, entry.filename}:
        if problem := name_problem(name):
            return problem
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is a link or a device, not a file"
    if entry.flag_bits & ENCRYPTED:
        return "is encrypted"
    if entry.compress_type not in KNOWN_METHODS:
        return f"uses compression method {entry.compress_type}, which is not supported"
    return ""


def _name_clash(names: Sequence[str]) -> str:
    seen = set(names)
    if len(seen) != len(names):
        return "two entries have the same name"
    for name in names:
        for parent in PurePosixPath(name).parents:
            if str(parent) in seen:
                return f"{str(parent)[:200]!r} is both a file and a folder"
    return ""


def _unsafe(label: str, reason: str) -> UnsafeArchive:
    return UnsafeArchive(
        f"{label} was refused, and nothing of it was unpacked: {reason}.",
        "No competition of Kaggle ships such an archive; report it on the competition's discussion page.",
    )
