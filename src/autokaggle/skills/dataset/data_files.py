"""The data folder is listed; this file opens its tables and sums up folders that hold many files of one kind."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from autokaggle.records.data_profile import FileRole
from autokaggle.records.event import Progress
from autokaggle.skills.dataset.archives import unpack_tables
from autokaggle.skills.dataset.tables import Table, UnreadableTable, is_table_name, open_table

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".dcm"})
PROSE_SUFFIXES = frozenset({".txt", ".md", ".html", ".xml"})
# So many tables in one folder are one table per row of train (a signal, a document), not tables to join.
MOST_TABLES = 40

OnProgress = Callable[[Progress], None]


@dataclass(frozen=True)
class Collection:
    """Files of one kind in one folder: ``names`` are sorted and relative to ``folder``, which is relative to data/."""

    folder: str
    role: FileRole
    suffix: str
    names: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True)
class DataFiles:
    """What lies under data/: ``unreadable`` pairs a name with the reason."""

    tables: tuple[Table, ...]
    unreadable: tuple[tuple[str, str], ...]
    collections: tuple[Collection, ...]
    others: tuple[str, ...]
    warnings: tuple[str, ...]


def read_files(connection: duckdb.DuckDBPyConnection, data: Path, scratch: Path, on_progress: OnProgress) -> DataFiles:
    """Open every table under ``data``, also those inside zip files, in the order of their names."""
    files = [path for path in sorted(data.rglob("*")) if path.is_file() and not _is_hidden(path, data)]
    collections, rest = _collections(files, data)
    tables: list[Table] = []
    unreadable: list[tuple[str, str]] = []
    others: list[str] = []
    warnings: list[str] = []
    found: list[tuple[str, Path]] = []
    for path in rest:
        name = path.relative_to(data).as_posix()
        if path.suffix.lower() == ".zip":
            inside, refused = unpack_tables(path, name, scratch)
            found += inside
            warnings += refused
            others.append(name)
        elif is_table_name(path.name):
            found.append((name, path))
        else:
            others.append(name)
    for number, (name, path) in enumerate(found):
        on_progress(Progress(text=f"open {name}", done=number, total=len(found), unit="files"))
        try:
            tables.append(open_table(connection, path, name, scratch))
        except UnreadableTable as error:
            unreadable.append((name, str(error)))
    return DataFiles(tuple(tables), tuple(unreadable), collections, tuple(others), tuple(warnings))


def _is_hidden(path: Path, data: Path) -> bool:
    return any(part.startswith((".", "__MACOSX")) for part in path.relative_to(data).parts)


def _collections(files: list[Path], data: Path) -> tuple[tuple[Collection, ...], list[Path]]:
    by_kind: dict[tuple[Path, str], list[Path]] = defaultdict(list)
    for path in files:
        by_kind[path.parent, path.suffix.lower()].append(path)
    collections: list[Collection] = []
    rest: list[Path] = []
    for (folder, suffix), paths in by_kind.items():
        if suffix in IMAGE_SUFFIXES or len(paths) > MOST_TABLES:
            collections.append(
                Collection(
                    folder="" if folder == data else f"{folder.relative_to(data).as_posix()}/",
                    role="image" if suffix in IMAGE_SUFFIXES else "text" if suffix in PROSE_SUFFIXES else "extra",
                    suffix=suffix,
                    names=tuple(path.name for path in paths),
                )
            )
        else:
            rest += paths
    return tuple(collections), sorted(rest)
