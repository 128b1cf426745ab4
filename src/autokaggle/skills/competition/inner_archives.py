"""Zip archives among the data files; this file puts their content beside them, as far as that is safe.

Hosts pack image folders and large tables into archives of their own. One level is unpacked; an archive that would do
harm, is damaged, or would overwrite another file stays as it is, with the reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

import msgspec

from autokaggle.records.competition import DataFile
from autokaggle.skills.competition.archive import DamagedArchive, UnsafeArchive, extract_archive
from autokaggle.skills.competition.meter import OnProgress
from autokaggle.storage.dataset_cache import DatasetCache

JUNK_FOLDERS = frozenset({"__MACOSX"})
JUNK_FILES = frozenset({".DS_Store", "Thumbs.db"})


def unpack_inner_archives(
    files: Sequence[DataFile], cache: DatasetCache, on_progress: OnProgress
) -> tuple[tuple[DataFile, ...], dict[str, str]]:
    """Return the files with inner archives replaced by their content, and why others stayed, by name."""
    by_name = {file.name: file for file in files}
    kept: dict[str, str] = {}
    for archive in files:
        if not archive.name.lower().endswith(".zip"):
            continue
        try:
            inside = extract_archive(cache.blob(archive.sha256), archive.name, cache, on_progress)
        except (UnsafeArchive, DamagedArchive) as error:
            kept[archive.name] = error.message
            continue
        placed = _placed(archive.name, inside)
        if clash := _clash(placed, by_name):
            kept[archive.name] = f"{archive.name} stays packed: {clash!r} in it is among the data already, and differs."
            continue
        del by_name[archive.name]
        by_name |= {file.name: file for file in placed}
    return tuple(by_name.values()), kept


def _placed(archive_name: str, inside: Sequence[DataFile]) -> list[DataFile]:
    """``a/train.csv.zip`` gives ``a/train.csv``; ``a/images.zip`` gives ``a/images/...``, never ``a/images/images``."""
    path = PurePosixPath(archive_name)
    useful = [file for file in inside if not _is_junk(PurePosixPath(file.name))]
    has_own_folder = all(PurePosixPath(file.name).parts[0] == path.stem for file in useful)
    folder = path.parent if has_own_folder or len(useful) == 1 else path.parent / path.stem
    return [msgspec.structs.replace(file, name=str(folder / file.name)) for file in useful]


def _is_junk(path: PurePosixPath) -> bool:
    return path.name in JUNK_FILES or not JUNK_FOLDERS.isdisjoint(path.parts)


def _clash(placed: Sequence[DataFile], present: dict[str, DataFile]) -> str | None:
    """A copy of what is there already is no clash; a file where a folder must be is one."""
    for file in placed:
        other = present.get(file.name)
        if other is not None and other.sha256 != file.sha256:
            return file.name
        if any(str(parent) in present for parent in PurePosixPath(file.name).parents):
            return file.name
    folders = {str(parent) for name in present for parent in PurePosixPath(name).parents}
    return next((file.name for file in placed if file.name in folders), None)
