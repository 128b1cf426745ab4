"""The two files that a candidate hands in; this file reads them as the work of a stranger.

Sizes and schema are checked before any value is read, values before any is used. Every refusal is one sentence
that tells the author what to correct.
"""

from __future__ import annotations

import stat
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from autokaggle.records.plan import Plan
from autokaggle.storage.parquet_tables import open_reader, quote_text

if TYPE_CHECKING:
    import duckdb

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

# An uncompressed cell takes 8 bytes; a file far above that holds something else.
BYTES_PER_CELL = 32
BYTES_OF_FRAME = 1 << 20
ROW_TYPES = ("BIGINT", "INTEGER", "UBIGINT", "UINTEGER", "SMALLINT")
VALUE_TYPES = ("DOUBLE", "FLOAT")
PROBABILITY_TOLERANCE = 1e-6
SUM_TOLERANCE = 1e-3


class InvalidPredictions(ValueError):
    """A prediction file breaks the candidate contract; the message says how, for the author of the code."""


def read_predictions(path: Path, plan: Plan, rows: Integers) -> Floats:
    """Return the predictions for ``rows`` (ascending), shape (n_rows, prediction columns).

    Raises:
        InvalidPredictions: the file is missing, no parquet, too large, or has other columns, types, rows or values.
    """
    import duckdb

    _check_file(path, len(rows) * (len(plan.prediction_columns) + 1))
    try:
        with open_reader() as connection:
            source = f"read_parquet({quote_text(str(path))})"
            _check_schema(connection, source, path, plan.prediction_columns)
            _check_count(connection, path, len(rows))
            # By place: DuckDB renames columns that differ in letter case only.
            table = connection.execute(f"SELECT * FROM {source} LIMIT {len(rows)}").fetchnumpy()
            found = [np.ma.asarray(column) for column in table.values()]
    except duckdb.Error as error:
        raise InvalidPredictions(f"{path.name} is no readable parquet file: {_first_line(error)}") from error
    order = _order(path.name, found[0], rows)
    values = np.empty((len(rows), len(plan.prediction_columns)))
    for place, (name, column) in enumerate(zip(plan.prediction_columns, found[1:], strict=True)):
        values[:, place] = _finite(path.name, name, column)[order]
    _check_probabilities(path.name, plan, values)
    return values


def check_variation(name: str, plan: Plan, values: Floats) -> None:
    """Refuse predictions that are the same for all rows: nothing was learned, or everything was overwritten.

    Raises:
        InvalidPredictions: every prediction column is constant.
    """
    if len(values) > 1 and bool(np.all(values == values[0])):
        raise InvalidPredictions(
            f"{name}: every row has the same prediction ({', '.join(f'{value:.4g}' for value in values[0][:5])})"
        )


def _check_file(path: Path, cells: int) -> None:
    try:
        facts = path.lstat()
    except OSError as error:
        raise InvalidPredictions(f"{path.name} was not written") from error
    if not stat.S_ISREG(facts.st_mode):
        raise InvalidPredictions(f"{path.name} is no regular file")
    most = BYTES_OF_FRAME + BYTES_PER_CELL * cells
    if facts.st_size > most:
        raise InvalidPredictions(f"{path.name} has {facts.st_size:,} bytes; at most {most:,} are expected")


def _check_schema(
    connection: duckdb.DuckDBPyConnection, source: str, path: Path, prediction_columns: Sequence[str]
) -> None:
    schema = connection.execute(f"SELECT name FROM parquet_schema({quote_text(str(path))})").fetchall()
    names = [str(row[0]) for row in schema[1:]]
    wanted = ["row", *prediction_columns]
    if names != wanted:
        raise InvalidPredictions(f"{path.name} has the columns {_listed(names)}; expected, in order: {_listed(wanted)}")
    types = [str(row[1]) for row in connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()]
    for name, found, allowed in zip(wanted, types, [ROW_TYPES, *[VALUE_TYPES] * len(prediction_columns)], strict=True):
        if found not in allowed:
            raise InvalidPredictions(f"{path.name}: column {name!r} is {found}; expected {allowed[0]}")


def _check_count(connection: duckdb.DuckDBPyConnection, path: Path, expected: int) -> None:
    query = f"SELECT num_rows FROM parquet_file_metadata({quote_text(str(path))})"
    found = connection.execute(query).fetchone()
    if found is None or found[0] != expected:
        raise InvalidPredictions(f"{path.name} has {found[0] if found else 0:,} rows; expected {expected:,}")


def _order(name: str, column: npt.NDArray[np.generic], rows: Integers) -> Integers:
    """Return the positions that bring the file's rows into the order of ``rows``."""
    if np.ma.is_masked(column):
        raise InvalidPredictions(f"{name}: column 'row' has empty values")
    given = np.asarray(column, dtype=np.int64)
    order = np.argsort(given, kind="stable").astype(np.int64)
    if np.array_equal(given[order], rows):
        return order
    if len(np.unique(given)) < len(given):
        values, counts = np.unique(given, return_counts=True)
        raise InvalidPredictions(f"{name}: row {values[counts > 1][0]} is there more than once")
    missing, strange = np.setdiff1d(rows, given), np.setdiff1d(given, rows)
    raise InvalidPredictions(
        f"{name}: {len(missing):,} rows are missing, the first is {missing[0]}, and {len(strange):,} do not belong, "
        f"the first is {strange[0]}; 'row' is the 0-based position in the table"
    )


def _finite(name: str, column: str, values: npt.NDArray[np.generic]) -> Floats:
    numbers: Floats = np.ma.filled(np.ma.asarray(values).astype(np.float64), np.nan)
    bad = ~np.isfinite(numbers)
    if bad.any():
        raise InvalidPredictions(
            f"{name}: column {column!r} has {int(bad.sum()):,} values that are empty or not finite, "
            f"the first at line {int(np.argmax(bad))}"
        )
    return numbers


def _check_probabilities(name: str, plan: Plan, values: Floats) -> None:
    if not plan.predicts_probabilities:
        return
    low, high = float(values.min()), float(values.max())
    if low < -PROBABILITY_TOLERANCE or high > 1 + PROBABILITY_TOLERANCE:
        raise InvalidPredictions(f"{name}: predictions run from {low:.4g} to {high:.4g}; probabilities are due")
    if plan.task_type != "multiclass_classification":
        return
    start = 0
    for target in plan.target_columns:
        width = len(plan.classes[target])
        sums = values[:, start : start + width].sum(axis=1)
        start += width
        worst = int(np.argmax(np.abs(sums - 1)))
        if abs(sums[worst] - 1) > SUM_TOLERANCE:
            raise InvalidPredictions(
                f"{name}: the class probabilities of row {worst} add up to {sums[worst]:.4g}; they must add up to 1"
            )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(repr(name) for name in names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__
