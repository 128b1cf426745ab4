"""What the other tables are; this file tells lookup tables, by the keys that join them, from extra rows.

A key is found from values, not from names alone: most of train's values must be in the lookup's column. A table that
knows train's rows and not test's is no lookup: it may tell what became of them, and a model would lean on it in vain.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb

from autokaggle.records.data_profile import FileRole
from autokaggle.skills.dataset.column_facts import Facts
from autokaggle.skills.dataset.column_types import is_number
from autokaggle.skills.dataset.file_roles import words_of
from autokaggle.skills.dataset.table_writer import Written
from autokaggle.storage.parquet_tables import quote_identifier, quote_text

SAME_COLUMNS = 0.6
FEWEST_FOUND = 0.5
SURELY_FOUND = 0.8
# Of what a lookup knows of train, it must know such a share of test too.
FEWEST_OF_TEST = 0.5
FEWEST_KEYS = 20


@dataclass(frozen=True)
class OtherTable:
    """What a table beside train, test and sample is for; ``join_columns`` maps its key to train's column."""

    role: FileRole
    confidence: float
    evidence: str
    join_columns: dict[str, str] = field(default_factory=dict)
    is_unique: bool = True
    is_of_train_alone: bool = False


@dataclass(frozen=True)
class Key:
    """A pair of columns that join: ``found`` is the share of train's values that the lookup has, then of test's."""

    column: str
    train_column: str
    found: float
    found_of_test: float
    is_unique: bool
    values: int


def judge_other(
    connection: duckdb.DuckDBPyConnection,
    folder: Path,
    other: Written,
    train: Mapping[str, Facts],
    train_file: str,
    test_file: str,
    targets: Collection[str],
) -> OtherTable:
    """Name the role of ``other``: a lookup with its key, extra rows with or without labels, or unknown.

    ``train`` has the facts of those columns of train that test has too.
    """
    columns = set(other.table.columns)
    features = set(train) - set(targets)
    shared = columns & features
    if len(shared) >= SAME_COLUMNS * len(features) and len(shared) > 1:
        labelled = set(targets) <= columns
        what = "labelled rows like train's" if labelled else "rows like train's without the target"
        return OtherTable("extra", 0.8, f"{what}: {len(shared)} of {len(features)} columns are the same")
    found = _keys(connection, folder, other, train, (train_file, test_file), targets)
    if not found:
        return OtherTable("extra", 0.4, "no column of it joins a column of train")
    keys = [key for key in found if key.found_of_test >= FEWEST_OF_TEST * key.found]
    if not keys:
        return OtherTable("extra", 0.8, _of_train_alone(max(found, key=_preference)), is_of_train_alone=True)
    unique = [key for key in keys if key.is_unique]
    if unique:
        best = max(unique, key=_preference)
        also = [key for key in unique if key.column == best.column and key is not best]
        evidence = f"its {best.column!r} is unique and has {best.found:.0%} of the values of {best.train_column!r}"
        evidence += "".join(f", {key.found:.0%} of {key.train_column!r}" for key in also)
        return OtherTable("lookup", 0.9, evidence, {best.column: best.train_column})
    named = [key for key in keys if key.column == key.train_column] or [max(keys, key=_preference)]
    joins = {key.column: key.train_column for key in named}
    is_unique = _is_unique(connection, folder / other.file, list(joins))
    evidence = f"several rows for each {', '.join(map(repr, joins))}"
    return OtherTable("lookup", 0.7, "one row each by " + ", ".join(joins) if is_unique else evidence, joins, is_unique)


def _of_train_alone(key: Key) -> str:
    return (
        f"its {key.column!r} has {key.found:.0%} of train's values of {key.train_column!r} and "
        f"{key.found_of_test:.0%} of test's: what it tells is not known of test"
    )


def _preference(key: Key) -> tuple[bool, bool, int, float]:
    return (key.column.casefold() == key.train_column.casefold(), key.found >= SURELY_FOUND, key.values, key.found)


def _keys(
    connection: duckdb.DuckDBPyConnection,
    folder: Path,
    other: Written,
    train: Mapping[str, Facts],
    files: tuple[str, str],
    targets: Collection[str],
) -> list[Key]:
    keys: list[Key] = []
    for column, kind in other.type_names.items():
        if kind not in ("VARCHAR", "BIGINT"):
            continue
        unique: bool | None = None
        for name, facts in train.items():
            same_name = name.casefold() == column.casefold()
            if facts.type != kind or name in targets or facts.distinct < 2:
                continue
            if not facts.counts.keys() & _sampled(other, column, kind):
                continue
            unique = _is_unique(connection, folder / other.file, [column]) if unique is None else unique
            if not same_name and not (unique and _may_differ_in_name(other, column, name, facts)):
                continue
            found, of_test = (
                _share_found(connection, folder / file, name, folder / other.file, column) for file in files
            )
            if found >= FEWEST_FOUND:
                keys.append(Key(column, name, found, of_test, unique, facts.distinct))
    return keys


def _may_differ_in_name(other: Written, column: str, name: str, facts: Facts) -> bool:
    """Whole numbers are found everywhere: they join a key of another name only by a shared word or by rare values."""
    if facts.type == "VARCHAR" or words_of(column) & words_of(name) - {"id"}:
        return True
    values = sorted(_sampled(other, column, facts.type))
    is_row_number = len(values) < 2 or values[-1] - values[0] == len(values) - 1
    return facts.distinct >= FEWEST_KEYS and not is_row_number


def _sampled(other: Written, column: str, kind: str) -> set[Any]:
    """The lookup's first values, as ``Facts.counts`` holds train's."""
    values = {value for value in other.table.sample[column] if value}
    return values if kind == "VARCHAR" else {float(value) for value in values if is_number(value)}


def _share_found(connection: duckdb.DuckDBPyConnection, rows: Path, name: str, lookup: Path, column: str) -> float:
    found = connection.execute(
        f"WITH mine AS (SELECT DISTINCT {quote_identifier(name)} AS v "
        f"FROM read_parquet({quote_text(str(rows))}) WHERE v IS NOT NULL), "
        f"theirs AS (SELECT {quote_identifier(column)} FROM read_parquet({quote_text(str(lookup))})) "
        "SELECT count(*) FILTER (v IN (FROM theirs)) / greatest(count(*), 1) FROM mine"
    ).fetchone()
    return float(found[0]) if found else 0.0


def _is_unique(connection: duckdb.DuckDBPyConnection, path: Path, columns: list[str]) -> bool:
    names = ", ".join(map(quote_identifier, columns))
    found = connection.execute(
        f"SELECT (SELECT count(*) FROM {(source := f'read_parquet({quote_text(str(path))})')}) = "
        f"(SELECT count(*) FROM (SELECT DISTINCT {names} FROM {source}))"
    ).fetchone()
    return bool(found and found[0])
