"""Columns are measured; this file counts over all rows in one DuckDB pass and fetches an even sample for closer looks.

Counts, ranges and means are exact. Distinct counts are exact where the sample is the whole table, else estimated.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray

from autokaggle.skills.dataset.column_types import TypeName
from autokaggle.skills.dataset.tables import quote_identifier, quote_text

NUMBERS = ("BIGINT", "DOUBLE")
SAMPLE_ROWS = 20_000
SAMPLE_CELLS = 4_000_000

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Facts:
    """What is known of one column of one table; ``numbers`` holds NaN and ``texts`` None where a value is missing.

    ``numbers`` are the sampled values of numbers, and seconds since 1970 of times; ``texts`` those of text.
    """

    type: TypeName
    rows: int
    known: int
    distinct: int
    distinct_is_exact: bool
    low: str | None = None
    high: str | None = None
    mean: float | None = None
    deviation: float | None = None
    numbers: Floats = field(default_factory=lambda: np.empty(0), repr=False)
    texts: tuple[str | None, ...] = field(default=(), repr=False)

    @property
    def missing(self) -> float:
        """Share of rows without a value."""
        return 1 - self.known / self.rows if self.rows else 0.0

    @property
    def earliest(self) -> float | None:
        """The smallest number, or the first moment in seconds since 1970."""
        return self._as_number(self.low)

    @property
    def latest(self) -> float | None:
        """The largest number, or the last moment in seconds since 1970."""
        return self._as_number(self.high)

    def _as_number(self, text: str | None) -> float | None:
        if text is None:
            return None
        return float(np.datetime64(text, "ms").astype(np.int64)) / 1000 if self.type == "TIMESTAMP" else float(text)

    @cached_property
    def counts(self) -> Counter[Any]:
        """How often each known value occurs in the sample."""
        if self.type == "VARCHAR":
            return Counter(text for text in self.texts if text is not None)
        values, counts = np.unique(self.numbers[~np.isnan(self.numbers)], return_counts=True)
        return Counter(dict(zip(values.tolist(), counts.tolist(), strict=True)))


def measure(
    connection: duckdb.DuckDBPyConnection, path: Path, types: Mapping[str, TypeName]
) -> tuple[int, dict[str, Facts]]:
    """Measure the parquet table at ``path``; return its rows and the facts of each column."""
    source = f"read_parquet({quote_text(str(path))}, file_row_number = true)"
    wanted = ["count(*)"]
    for name, kind in types.items():
        wanted += _aggregates(quote_identifier(name), kind)
    row = connection.execute(f"SELECT {', '.join(wanted)} FROM {source}").fetchone() or (0,)
    rows, cells = int(row[0]), iter(row[1:])
    step = max(1, -(-rows // max(1000, min(SAMPLE_ROWS, SAMPLE_CELLS // max(1, len(types))))))
    sample = _sample(connection, source, types, step)
    facts: dict[str, Facts] = {}
    for name, kind in types.items():
        known, distinct = next(cells), next(cells)
        low, high = (None, None) if kind == "VARCHAR" else (next(cells), next(cells))
        mean, deviation = (_steady(next(cells)), _steady(next(cells))) if kind in NUMBERS else (None, None)
        numbers, texts = sample[name]
        fact = Facts(kind, rows, known, distinct, False, low, high, mean, deviation, numbers, texts)
        facts[name] = replace(fact, distinct=len(fact.counts), distinct_is_exact=True) if step == 1 else fact
    return rows, facts


def _steady(value: float | None) -> float | None:
    """Cut the last digits: threads add up in no fixed order."""
    return None if value is None else float(f"{value:.10g}")


def _aggregates(column: str, kind: TypeName) -> list[str]:
    wanted = [f"count({column})", f"approx_count_distinct({column})"]
    if kind != "VARCHAR":
        wanted += [f"CAST(min({column}) AS VARCHAR)", f"CAST(max({column}) AS VARCHAR)"]
    if kind in NUMBERS:
        # An infinite value makes DuckDB's stddev fail; it is no use as a mean either.
        finite = f"CASE WHEN isfinite(CAST({column} AS DOUBLE)) THEN CAST({column} AS DOUBLE) END"
        wanted += [f"avg({finite})", f"stddev_pop({finite})"]
    return wanted


def _sample(
    connection: duckdb.DuckDBPyConnection, source: str, types: Mapping[str, TypeName], step: int
) -> dict[str, tuple[Floats, tuple[str | None, ...]]]:
    """Fetch every ``step``-th row, in file order."""
    if not types:
        return {}
    casts = {"BIGINT": "CAST({} AS DOUBLE)", "DOUBLE": "{}", "TIMESTAMP": "epoch({})", "VARCHAR": "{}"}
    # Own names: fetchnumpy keys its columns by name.
    columns = ", ".join(
        f"{casts[kind].format(quote_identifier(name))} AS c{position}"
        for position, (name, kind) in enumerate(types.items())
    )
    condition = f" WHERE file_row_number % {step} = 0" if step > 1 else ""
    found = connection.execute(f"SELECT {columns} FROM {source}{condition}").fetchnumpy()
    sample: dict[str, tuple[Floats, tuple[str | None, ...]]] = {}
    for position, (name, kind) in enumerate(types.items()):
        values = found[f"c{position}"]
        if kind == "VARCHAR":
            sample[name] = (np.empty(0), tuple(_texts(values)))
        else:
            sample[name] = (np.ma.filled(np.ma.asarray(values, dtype=np.float64), np.nan), ())
    return sample


def _texts(values: Any) -> Sequence[str | None]:
    """Masked values of an object array hold whatever was there before."""
    if isinstance(values, np.ma.MaskedArray):
        mask = np.ma.getmaskarray(values).tolist()
        return [None if hidden else text for text, hidden in zip(values.data.tolist(), mask, strict=True)]
    return list(values.tolist())
