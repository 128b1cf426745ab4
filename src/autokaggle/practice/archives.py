"""Objects that are made on demand; this file zips data files and makes the spoiled copies that faults ask for."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Iterable
from pathlib import Path

ZIP_EPOCH = (2020, 1, 1, 0, 0, 0)
GARBAGE_BYTES = 64
COPY_BYTES = 1024 * 1024


def make_archive(archive: Path, entries: Iterable[tuple[str, Path]]) -> Path:
    """Zip ``entries`` (name inside, file); the same files give the same bytes."""
    with zipfile.ZipFile(archive, "w") as target:
        for name, path in entries:
            entry = zipfile.ZipInfo(name, ZIP_EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.file_size = path.stat().st_size
            with path.open("rb") as source, target.open(entry, "w") as sink:
                shutil.copyfileobj(source, sink, COPY_BYTES)
    return archive


def make_corrupt_copy(original: Path, copy: Path) -> Path:
    """Copy ``original`` with garbage in the middle, at the same size."""
    shutil.copyfile(original, copy)
    size = copy.stat().st_size
    start = max(0, size // 2 - GARBAGE_BYTES // 2)
    with copy.open("r+b") as stream:
        stream.seek(start)
        intact = stream.read(GARBAGE_BYTES)
        stream.seek(start)
        stream.write(bytes(byte ^ 0xFF for byte in intact))
    return copy


def make_replaced_copy(original: Path, copy: Path) -> Path:
    """Copy ``original`` as a later version of it: other bytes, still readable."""
    shutil.copyfile(original, copy)
    if zipfile.is_zipfile(copy):
        with zipfile.ZipFile(copy, "a") as archive:
            archive.comment = b"a later version"
    else:
        with copy.open("ab") as stream:
            stream.write(b"\n")
    return copy


def make_slipping_copy(original: Path, copy: Path, outside: Path) -> Path:
    """Copy a zip archive and add entries that a careless extraction writes beside its folder and to ``outside``."""
    shutil.copyfile(original, copy)
    with zipfile.ZipFile(copy, "a") as archive:
        archive.writestr("../zip-slip.txt", "beside the folder")
        archive.writestr("nested/../../zip-slip.txt", "beside the folder, in disguise")
        archive.writestr(str(outside), "at an absolute path")
    return copy
