"""Which rows validate which; this file makes the folds of a run once, for all candidates, and reads them back.

*kfold*: fold k trains on all other folds. *forward*: fold k trains on earlier folds only, so fold 0 is never
validated. How rows are shared out lies in ``fold_schemes``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from autokaggle.errors import AutoKaggleError, CompetitionUnusable
from autokaggle.records.plan import Plan
from autokaggle.skills.scoring import fold_columns, fold_schemes
from autokaggle.storage import parquet_tables

Integers = npt.NDArray[np.int64]
FoldKind = Literal["kfold", "forward"]


@dataclass(frozen=True)
class Folds:
    """``by_repeat`` is (repeats, train_rows): the fold of each train row in each repeat."""

    kind: FoldKind
    by_repeat: Integers

    @property
    def validated(self) -> tuple[int, ...]:
        """The folds that are predicted, in order."""
        found = tuple(int(fold) for fold in np.unique(self.by_repeat[0]))
        return found[1:] if self.kind == "forward" else found

    @property
    def validated_rows(self) -> Integers:
        """The train rows, ascending, that have an out-of-fold prediction."""
        return np.flatnonzero(np.isin(self.by_repeat[0], self.validated)).astype(np.int64)

    def rows_of(self, fold: int) -> Integers:
        """The train rows of one fold of the first repeat, ascending."""
        return np.flatnonzero(self.by_repeat[0] == fold).astype(np.int64)


def make_folds(plan: Plan, tables: Path, path: Path) -> Folds:
    """Share out the train rows by the plan's validation and write ``folds.parquet``: ``repeat``, ``row``, ``fold``.

    The same plan and tables give the same folds.

    Raises:
        CompetitionUnusable: the column does not allow it, for instance with fewer groups than folds.
    """
    train = tables / plan.train_table
    validation = plan.validation
    if validation.scheme == "time":
        folds = Folds("forward", _time_folds(plan, tables)[None, :])
    else:
        repeats = [_shuffled_folds(plan, train, repeat) for repeat in range(max(1, validation.repeats))]
        folds = Folds("kfold", np.stack(repeats))
    if len(folds.validated) < (1 if folds.kind == "forward" else 2):
        raise CompetitionUnusable(
            f"{plan.train_table} cannot be split by {validation.column or 'rows'} for validation.",
            "Choose another --validation.",
        )
    write_folds(folds, path)
    return folds


def read_folds(path: Path) -> Folds:
    """Read ``folds.parquet``.

    Raises:
        AutoKaggleError: the file is damaged.
    """
    import duckdb

    try:
        kind = parquet_tables.read_metadata(path).get("kind")
        table = parquet_tables.read_columns(path, {name: name for name in ("repeat", "row", "fold")})
    except duckdb.Error as error:
        raise AutoKaggleError(f"{path} cannot be read: {error}.", "Start a new run.") from error
    repeats, rows = int(table["repeat"].max()) + 1, int(table["row"].max()) + 1
    if kind not in ("kfold", "forward") or repeats * rows != len(table["row"]):
        raise AutoKaggleError(f"{path} does not hold the folds of a run.", "Start a new run.")
    by_repeat = np.full((repeats, rows), -1, dtype=np.int64)
    by_repeat[table["repeat"], table["row"]] = table["fold"]
    return Folds("forward" if kind == "forward" else "kfold", by_repeat)


def write_folds(folds: Folds, path: Path) -> None:
    """Write ``folds.parquet``: ``repeat``, ``row``, ``fold``."""
    repeats, rows = folds.by_repeat.shape
    columns = {
        "repeat": np.repeat(np.arange(repeats, dtype=np.int64), rows),
        "row": np.tile(np.arange(rows, dtype=np.int64), repeats),
        "fold": folds.by_repeat.ravel(),
    }
    parquet_tables.write_columns(path, columns, {"kind": folds.kind})


def _shuffled_folds(plan: Plan, train: Path, repeat: int) -> Integers:
    validation, random = plan.validation, np.random.default_rng([plan.seed, repeat])
    if validation.scheme == "kfold":
        return fold_schemes.plain(parquet_tables.row_count(train), validation.folds, random)
    if validation.scheme == "stratified":
        return fold_schemes.stratified(_strata(plan, train), validation.folds, random)
    if validation.column is None:
        raise CompetitionUnusable("Validation by group needs a column.", "Name it: --validation group:COLUMN.")
    groups = fold_columns.read_groups(train, validation.column)
    if validation.scheme == "group":
        return fold_schemes.grouped(groups, validation.folds, random)
    return fold_schemes.stratified_grouped(_strata(plan, train), groups, validation.folds, random)


def _strata(plan: Plan, train: Path) -> Integers:
    """Return for each train row what its fold must have its share of: the labels, or the size of the value."""
    if plan.classes:
        return fold_columns.read_codes(train, plan.target_columns)
    values = parquet_tables.read_columns(
        train, {name: f"CAST({parquet_tables.quote_identifier(name)} AS DOUBLE)" for name in plan.target_columns[:1]}
    )[plan.target_columns[0]]
    return fold_schemes.bins(np.ma.filled(values.astype(np.float64), np.nan))


def _time_folds(plan: Plan, tables: Path) -> Integers:
    column = plan.validation.column
    if column is None:
        raise CompetitionUnusable("Validation by time needs a column.", "Name it: --validation time:COLUMN.")
    times = fold_columns.read_times(tables / plan.train_table, column)
    test_times = fold_columns.read_times(tables / plan.test_table, column)
    return fold_schemes.forward(times, test_times, plan.validation.folds)
