"""A competition in a folder of the user's; this file reads it into ``input/`` without any network.

A local competition is a folder whose data files lie in ``data/`` or beside each other, with page texts in ``pages/``
if there are any. Folders named ``private`` are never read, and a ``competition.json`` counts only when AutoKaggle
itself wrote it.
"""

from __future__ import annotations

import datetime as dt
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path

import msgspec

from autokaggle.errors import CompetitionUnusable
from autokaggle.records.competition import Competition, DataFile
from autokaggle.skills.competition.address import slug_from
from autokaggle.skills.competition.archive import name_problem
from autokaggle.skills.competition.fetcher import write_pages
from autokaggle.skills.competition.meter import Meter, OnProgress
from autokaggle.skills.competition.pages import find_metric, find_page, make_pages
from autokaggle.skills.competition.rules import compile_rules
from autokaggle.storage.artifacts import RunFolder
from autokaggle.storage.dataset_cache import DatasetCache, Manifest
from autokaggle.storage.records_file import read_record

NEVER_READ = frozenset({"private", "pages"})
NO_DATA_SUFFIXES = frozenset({".md", ".py", ".ipynb", ".html", ".log"})
# A folder with none of these near its top is no competition, however much lies further down.
TABLE_SUFFIXES = (
    ".csv",
    ".tsv",
    ".txt",
    ".json",
    ".jsonl",
    ".parquet",
    ".feather",
    ".xlsx",
    ".zip",
    ".gz",
    ".7z",
    ".tar",
)
MOST_FOLDERS_LOOKED_INTO = 200
RUN_RECORD, ENVIRONMENT_RECORD = "run.json", "pyvenv.cfg"
ORIGIN = "local"


def read_local_folder(path: Path, folder: RunFolder, cache: DatasetCache, on_progress: OnProgress) -> Competition:
    """Copy data and pages into ``input/`` and return what the folder says of the competition.

    Raises:
        CompetitionUnusable: the folder holds no data files, or no table near its top.
        DiskTrouble: the disk cannot take a copy.
    """
    data = path / "data" if (path / "data").is_dir() else path
    if not _has_table_near_top(data):
        raise CompetitionUnusable(
            f"{path} holds no data files in it or one folder below.",
            "Put train and test files in it, or in a folder `data` inside it.",
        )
    sources = list(_data_files(data, is_root=data == path))
    if not sources:
        raise CompetitionUnusable(
            f"{path} holds no data files.", "Put train and test files in it, or in a folder `data` inside it."
        )
    total = sum(source.stat().st_size for _, source in sources)
    slug = slug_from(path.name)
    with cache.locked(ORIGIN, slug):
        cache.require_space(total)
        files = tuple(_add_all(sources, total, cache, on_progress))
        fetched = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
        cache.save(Manifest(slug=slug, origin=ORIGIN, fetched=fetched, files=files))
        cache.link(files, folder.data)
    pages = _pages(path / "pages")
    write_pages(folder, pages)
    return _competition(path, slug, files, pages)


def _data_files(data: Path, *, is_root: bool) -> Iterator[tuple[str, Path]]:
    """Yield (name, path) of every regular file below ``data``, in order; folder links are not followed."""
    for parent, folders, names in os.walk(data):
        folders[:] = sorted(name for name in folders if _may_hold_data(Path(parent) / name))
        at_top = is_root and Path(parent) == data
        for name in sorted(names):
            path = Path(parent) / name
            if name.startswith(".") or not os.path.isfile(path):  # noqa: PTH113 - of what may not be looked at, it says no
                continue
            if at_top and (name == "competition.json" or path.suffix.lower() in NO_DATA_SUFFIXES):
                continue
            relative = path.relative_to(data).as_posix()
            if problem := name_problem(relative):
                raise CompetitionUnusable(f"The data file {relative!r} {problem}.", "Rename the file.")
            yield relative, path


def _has_table_near_top(data: Path) -> bool:
    """Look at the folder and those right inside it, so that a wrong one is refused before it is walked through."""
    inside = (entry for entry in os.scandir(data) if entry.is_dir(follow_symlinks=False))
    folders = [Path(entry.path) for entry in islice(inside, MOST_FOLDERS_LOOKED_INTO)]
    for folder in (data, *filter(_may_hold_data, folders)):
        with suppress(PermissionError), os.scandir(folder) as entries:
            if any(entry.name.lower().endswith(TABLE_SUFFIXES) and os.path.isfile(entry) for entry in entries):  # noqa: PTH113
                return True
    return False


def _may_hold_data(folder: Path) -> bool:
    """Say whether to look into a folder: not where answers are kept, nor into runs of ours and environments."""
    if folder.name.startswith(".") or folder.name in NEVER_READ:
        return False
    return not any(os.path.exists(folder / record) for record in (RUN_RECORD, ENVIRONMENT_RECORD))  # noqa: PTH110


def _add_all(
    sources: list[tuple[str, Path]], total: int, cache: DatasetCache, on_progress: OnProgress
) -> Iterator[DataFile]:
    meter = Meter("Reading the folder", on_progress, total)
    for name, path in sources:
        file = cache.add_file(name, path)
        meter.add(file.bytes)
        yield file


def _pages(folder: Path) -> dict[str, str]:
    if not folder.is_dir():
        return {}
    found = sorted(path for path in folder.iterdir() if path.suffix in (".md", ".html", ".txt") and path.is_file())
    mime = {".html": "text/html"}
    pages = make_pages(
        (path.stem, path.read_text("utf-8", errors="replace"), mime.get(path.suffix, "")) for path in found
    )
    return {page.file: page.text for page in pages}


def _competition(path: Path, slug: str, files: tuple[DataFile, ...], pages: dict[str, str]) -> Competition:
    own = _own_record(path / "competition.json")
    if own is not None:
        metric = own.metric if own.metric.metric or own.metric.wording else find_metric("", pages)
        return msgspec.structs.replace(own, files=files, pages=tuple(pages), metric=metric)
    return Competition(
        slug=slug,
        title=_title(pages) or path.name,
        metric=find_metric("", pages),
        files=files,
        pages=tuple(pages),
        gates=compile_rules(pages),
        sources={"data": "local folder"},
    )


def _own_record(path: Path) -> Competition | None:
    """Other programs keep answers in files of this name; only a record of ours, which has a version, is read."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    if not isinstance(content, dict) or "version" not in content:
        return None
    return read_record(path, Competition)


def _title(pages: dict[str, str]) -> str:
    key = find_page(pages, "description", "overview", "abstract")
    first = pages[key].lstrip().split("\n", 1)[0] if key else ""
    return first.lstrip("# ").strip()[:200] if first.startswith("#") else ""
