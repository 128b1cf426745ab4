"""Tables are written under ``input/tables``; this file agrees on types and gives every table its file name.

Train and test columns that share a name share a type. Text that goes back to Kaggle stays as it is: all of the
sample submission, labels, and ids whose typed value would print differently.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb

from autokaggle.skills.dataset.column_types import (
    MISSING_TEXTS,
    ColumnType,
    TypeName,
    infer,
)
from autokaggle.skills.dataset.file_roles import Roles
from autokaggle.skills.dataset.tables import Table, write_parquet

TRAIN, TEST, SAMPLE = "train.parquet", "test.parquet", "sample_submission.parquet"

Types = dict[str, ColumnType]


@dataclass(frozen=True)
class Written:
    """A table on disk: ``file`` is its name under ``input/tables``."""

    table: Table
    file: str
    types: Types

    @property
    def type_names(self) -> dict[str, TypeName]:
        return {name: kind.name for name, kind in self.types.items()}

    def disguised_missing(self) -> dict[str, tuple[str, ...]]:
        """Return the texts other than an empty cell that were read as missing, per column, by the first rows."""
        found: dict[str, tuple[str, ...]] = {}
        for name, kind in self.types.items():
            marks = () if kind.exact else (*MISSING_TEXTS, *kind.missing)
            seen = set(self.table.sample[name])
            if texts := tuple(mark for mark in dict.fromkeys(marks) if mark and mark in seen):
                found[name] = texts
        return found


@dataclass(frozen=True)
class TableWriter:
    """Writes parquet tables into ``folder``; clean copies of awkward files go to ``scratch``."""

    connection: duckdb.DuckDBPyConnection
    folder: Path
    scratch: Path

    def write_pair(
        self,
        roles: Roles,
        ids: Collection[str],
        targets: Collection[str],
        *,
        labels: bool,
        odd: Mapping[str, Collection[str]] | None = None,
    ) -> tuple[Written, Written]:
        """Write train and test; ``labels`` says that targets are labels, whose text must stay.

        In a target of numbers that has ``odd`` values, these and whatever else is no number are missing.
        """
        train, test = roles.train, roles.test
        types: Types = {}
        for name in dict.fromkeys((*train.columns, *test.columns)):
            values = (*train.sample.get(name, ()), *test.sample.get(name, ()))
            if name in targets and labels:
                types[name] = ColumnType("VARCHAR", exact=True)
            elif odd and odd.get(name):
                read = infer(value for value in values if value not in odd[name])
                types[name] = replace(read, name="DOUBLE", numbers_only=True)
            else:
                types[name] = infer(values, exact=name in ids)
        while True:
            first = self._write(train, TRAIN, types)
            second = self._write(test, TEST, {**types, **first.types})
            held = {**first.types, **second.types}
            if all(held[name] == kind for name, kind in first.types.items()):
                return first, second
            types = held

    def write_sample(self, sample: Table) -> Written:
        """Write the sample submission, every cell as its text."""
        return self._write(sample, SAMPLE, {name: ColumnType("VARCHAR", exact=True) for name in sample.columns})

    def write_other(self, table: Table, taken: Collection[str]) -> Written:
        """Write any other table under a name of its own, made from its path."""
        return self._write(table, _file_name(table.name, taken), {n: infer(v) for n, v in table.sample.items()})

    def _write(self, table: Table, file: str, types: Mapping[str, ColumnType]) -> Written:
        wanted = {name: types[name] for name in table.columns}
        read, held = write_parquet(self.connection, table, wanted, self.folder / file, self.scratch)
        return Written(read, file, held)


def _file_name(name: str, taken: Collection[str]) -> str:
    """Return ``airports.parquet`` for lookups/airports.csv.gz, with the folder or a number where that is taken."""
    folders, _, last = name.rpartition("/")
    stem = re.sub(r"\W+", "_", last.split(".")[0]).strip("_") or "table"
    longer = re.sub(r"\W+", "_", f"{folders}_{stem}").strip("_")
    candidates = (stem, longer, *(f"{longer}_{number}" for number in range(2, len(taken) + 3)))
    return next(file for candidate in candidates if (file := f"{candidate}.parquet") not in taken)
