"""Images that lie in folders named by their label; this file lists them as the table of train that nobody wrote.

``train/cat/7.jpg`` becomes a row of this id with the label ``cat``. Only where no table tells the labels. Test is
named by the sample submission, or without one by what lies in folders of test.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import duckdb

from autokaggle.skills.dataset.column_types import is_number
from autokaggle.skills.dataset.data_files import Collection, DataFiles
from autokaggle.skills.dataset.file_roles import SAMPLE_WORDS, TEST_WORDS, TRAIN_WORDS, words_of
from autokaggle.skills.dataset.tables import Table, open_table

ID, LABEL = "id", "label"
TRAIN_NAME, TEST_NAME = "train folders", "test folders"
# What a submission's column says around the label that it asks for: has_cactus, is_cat.
AROUND_LABEL = frozenset({"has", "is", "prob", "probability", "label", "class", "target"})

Rows = list[tuple[str, ...]]


def tables_of_folders(connection: duckdb.DuckDBPyConnection, files: DataFiles, scratch: Path) -> tuple[Table, ...]:
    """Return train, and test where no sample submission names its rows; nothing where folders name no labels."""
    images = [one for one in files.collections if one.role == "image"]
    train = _labelled(images)
    labels = sorted({label for _, label in train})
    if len(labels) < 2:
        return ()
    sample = next((table for table in files.tables if words_of(table.name) & SAMPLE_WORDS), None)
    if sample is None:
        test: Rows = [(name,) for one in images if _has(one, TEST_WORDS) for name in _paths(one)]
        tables = [_open(connection, scratch, TRAIN_NAME, (ID, LABEL), train)]
        return (*tables, _open(connection, scratch, TEST_NAME, (ID,), test)) if test else ()
    first, *asked = sample.columns
    column = asked[0] if len(asked) == 1 else LABEL
    if positive := _positive(column, labels, sample):
        train = [(name, str(int(label == positive))) for name, label in train]
    return (_open(connection, scratch, TRAIN_NAME, (first, column), train),)


def _labelled(images: Sequence[Collection]) -> Rows:
    """Return path and label of the images in folders of train; where none is called so, of all but test's."""
    inside = [one for one in images if one.folder and not _has(one, TEST_WORDS)]
    named = [one for one in inside if _has(one, TRAIN_WORDS)] or inside
    return [(path, _label(one)) for one in named if not words_of(_label(one)) & TRAIN_WORDS for path in _paths(one)]


def _label(images: Collection) -> str:
    return PurePosixPath(images.folder).name


def _has(images: Collection, words: frozenset[str]) -> bool:
    return bool(words_of(images.folder) & words)


def _paths(images: Collection) -> list[str]:
    return [images.folder + name for name in images.names]


def _positive(column: str, labels: Sequence[str], sample: Table) -> str | None:
    """Return the one of two labels whose presence is asked for as a number: ``cactus`` by has_cactus."""
    cells = [cell for cell in sample.sample.get(column, ()) if cell]
    if len(labels) != 2 or not all(map(is_number, cells)):
        return None
    wanted = words_of(column) - AROUND_LABEL
    return next((label for label in labels if wanted and words_of(label) == wanted), None)


def _open(
    connection: duckdb.DuckDBPyConnection, scratch: Path, name: str, header: tuple[str, ...], rows: Rows
) -> Table:
    path = scratch / f"{name}.csv"
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerows([header, *rows])
    return open_table(connection, path, name, scratch)
