"""The columns that folds respect; this file reads groups, labels and times from a table.

A column is named as it is, or as a part of it: ``part(COLUMN, "_", 0)`` the text before the first underscore,
``day(COLUMN)`` the calendar day of a moment, ``days(COLUMN, 7)`` stretches of seven days.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from autokaggle.errors import CompetitionUnusable, UsageError
from autokaggle.records.data_profile import MADE_COLUMN
from autokaggle.storage.parquet_tables import column_types, open_reader, quote_identifier, quote_text, read_columns

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

NUMERIC = re.compile(r"(U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|DOUBLE|FLOAT|DECIMAL.*|BOOLEAN)")


def read_groups(table: Path, column: str) -> Integers:
    """Return a group number for each row; a row without a value is a group of its own.

    Raises:
        UsageError: the table has no such column.
        CompetitionUnusable: the column makes no groups.
    """
    groups = _ranks(table, [_expression(table, column)])
    missing = groups < 0
    if missing.all():
        raise CompetitionUnusable(f"{table.stem}: {column!r} makes no groups.", "Choose another --validation.")
    return np.where(missing, groups.max(initial=0) + 1 + np.cumsum(missing), groups).astype(np.int64)


def read_codes(table: Path, columns: Sequence[str]) -> Integers:
    """Return a number for each combination of values, missing ones included."""
    return _ranks(table, [f"coalesce(CAST({quote_identifier(name)} AS VARCHAR), '')" for name in columns])


def read_times(table: Path, column: str) -> Floats:
    """Return a moment for each row, as seconds or the column's own numbers; NaN where there is none.

    Raises:
        UsageError: the table has no such column.
        CompetitionUnusable: it holds no moments.
    """
    expression, kind = _expression(table, column), column_types(table).get(column, "VARCHAR")
    number = f"CAST({expression} AS DOUBLE)" if NUMERIC.fullmatch(kind) else _seconds(expression, kind)
    found = read_columns(table, {"time": number})["time"]
    times: Floats = np.ma.filled(found.astype(np.float64), np.nan)
    if not np.isfinite(times).any():
        raise CompetitionUnusable(f"{table.stem}: column {column!r} holds no moments.", "Choose another --validation.")
    return times


def _seconds(expression: str, kind: str) -> str:
    if kind.startswith(("TIMESTAMP", "DATE")):
        return f"epoch(CAST({expression} AS TIMESTAMP))"
    return f"coalesce(epoch(TRY_CAST({expression} AS TIMESTAMP)), TRY_CAST({expression} AS DOUBLE))"


def _ranks(table: Path, expressions: Sequence[str]) -> Integers:
    """Return the rank of each row's values among all, -1 where the only expression is NULL."""
    key = ", ".join(expressions)
    rank = f"CASE WHEN {expressions[0]} IS NULL THEN -1 ELSE dense_rank() OVER (ORDER BY {key}) END"
    query = f"""
        SELECT rank FROM (SELECT file_row_number, {rank} AS rank
            FROM read_parquet({quote_text(str(table))}, file_row_number = true)) ORDER BY file_row_number
    """
    with open_reader() as connection:
        return np.asarray(connection.execute(query).fetchnumpy()["rank"], dtype=np.int64)


def _expression(table: Path, column: str) -> str:
    """Return the SQL of a column or of the part of a column that ``column`` names."""
    known = column_types(table)
    if column in known:
        return quote_identifier(column)
    if made := MADE_COLUMN.fullmatch(column):
        if made["part"] in known:
            text = f"CAST({quote_identifier(made['part'])} AS VARCHAR)"
            return f"split_part({text}, {quote_text(made['separator'])}, {int(made['index']) + 1})"
        if made["day"] in known:
            return f"date_trunc('day', {_moment(made['day'])})"
        if made["days"] in known:
            return f"floor(epoch({_moment(made['days'])}) / {86_400 * int(made['count'])})"
    raise UsageError(
        f"{table.stem} has no column {column!r} to validate by.",
        f"Choose one of: {', '.join(list(known)[:30])}.",
    )


def _moment(column: str) -> str:
    """Return the SQL of a column's moments, NULL where it holds something else."""
    return f"TRY_CAST({quote_identifier(column)} AS TIMESTAMP)"
