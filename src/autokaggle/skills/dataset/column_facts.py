"""Columns are measured; this file counts over all rows in one DuckDB pass and fetches an even sample for closer looks.

Counts, ranges and means are exact. Distinct counts are exact where the sample is the whole table, else estimated.
An infinite number is in no range and no mean; in the sample it is missing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray

from autokaggle.skills.dataset.column_types import MOST_EXACT, TypeName
from autokaggle.storage.parquet_tables import quote_identifier, quote_text

NUMBERS = ("BIGINT", "DOUBLE")
SAMPLE_ROWS = 20_000
SAMPLE_CELLS = 4_000_000
SAMPLE_BYTES = 64 << 20
FEWEST_ROWS = 1_000
HASTY_ROWS = 2_000
COLUMNS_AT_ONCE = 100

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Facts:
    """What is known of one column of one table; ``numbers`` holds NaN and ``texts`` None where a value is missing.

    ``numbers`` are the sampled values of numbers, and seconds since 1970 of times; ``texts`` those of text. Smallest
    and largest are numbers in the same sense; whole numbers beyond 2^53 are rounded.
    """

    type: TypeName
    rows: int
    known: int
    distinct: int
    distinct_is_exact: bool
    smallest: float | None = None
    largest: float | None = None
    mean: float | None = None
    deviation: float | None = None
    numbers: Floats = field(default_factory=lambda: np.empty(0), repr=False)
    texts: tuple[str | None, ...] = field(default=(), repr=False)

    @property
    def missing(self) -> float:
        """Share of rows without a value."""
        return 1 - self.known / self.rows if self.rows else 0.0

    @property
    def sampled(self) -> int:
        """Number of rows in the sample."""
        return max(len(self.texts), len(self.numbers))

    @property
    def is_whole(self) -> bool:
        """Tell whether the sample is all rows, to the last digit."""
        return self.sampled == self.rows and max(abs(self.smallest or 0), abs(self.largest or 0)) < MOST_EXACT

    @property
    def low(self) -> str | None:
        """The smallest value as text."""
        return self._written(self.smallest)

    @property
    def high(self) -> str | None:
        """The largest value as text."""
        return self._written(self.largest)

    def _written(self, value: float | None) -> str | None:
        if value is None or self.type == "VARCHAR":
            return None
        if self.type == "TIMESTAMP":
            return str(np.datetime64(round(value * 1000), "ms").astype("datetime64[s]")).replace("T", " ")
        return str(int(value)) if self.type == "BIGINT" else repr(value)

    @cached_property
    def counts(self) -> Counter[Any]:
        """How often each known value occurs in the sample."""
        if self.type == "VARCHAR":
            found = Counter[Any](self.texts)
            del found[None]
            return found
        values, counts = np.unique(self.numbers[~np.isnan(self.numbers)], return_counts=True)
        return Counter(dict(zip(values.tolist(), counts.tolist(), strict=True)))


def measure(
    connection: duckdb.DuckDBPyConnection, path: Path, types: Mapping[str, TypeName], *, in_haste: bool = False
) -> tuple[int, dict[str, Facts]]:
    """Measure the parquet table at ``path``; return its rows and the facts of each column.

    ``in_haste`` the sample of a table that is too large to be fetched whole is a small one.
    """
    source = f"read_parquet({quote_text(str(path))}, file_row_number = true)"
    rows, row_bytes = _size(connection, path)
    most = max(FEWEST_ROWS, min(SAMPLE_ROWS, SAMPLE_CELLS // max(1, len(types)), SAMPLE_BYTES // max(1, row_bytes)))
    if in_haste and rows > most:
        most = min(most, HASTY_ROWS)
    step = max(1, -(-rows // most))
    sample = _sample(connection, source, types, step)
    if step == 1:
        return rows, {name: _of_all_rows(kind, rows, *sample[name]) for name, kind in types.items()}
    cells = _aggregate(connection, source, types)
    facts: dict[str, Facts] = {}
    for name, kind in types.items():
        known, distinct = next(cells), next(cells)
        low, high = (None, None) if kind == "VARCHAR" else (next(cells), next(cells))
        mean, deviation = (_steady(next(cells)), _steady(next(cells))) if kind in NUMBERS else (None, None)
        fact = Facts(kind, rows, known, min(distinct, known), False, low, high, mean, deviation, *sample[name])
        # An estimate may take two values for one, which would be none to learn from.
        seen = max(len(fact.counts), 1 + (low != high))
        facts[name] = fact if seen <= fact.distinct or not known else replace(fact, distinct=seen)
    return rows, facts


def _size(connection: duckdb.DuckDBPyConnection, path: Path) -> tuple[int, int]:
    """Return the table's rows and about how many bytes one of them takes."""
    source = quote_text(str(path))
    found = connection.execute(
        f"SELECT (SELECT num_rows FROM parquet_file_metadata({source})), "
        f"(SELECT sum(total_uncompressed_size) FROM parquet_metadata({source}))"
    ).fetchone() or (0, 0)
    return int(found[0]), int(found[1] or 0) // max(1, int(found[0]))


def _of_all_rows(kind: TypeName, rows: int, numbers: Floats, texts: tuple[str | None, ...]) -> Facts:
    """Measure a column of which every row was fetched."""
    fact = Facts(kind, rows, 0, 0, True, numbers=numbers, texts=texts)
    known = fact.counts.total()
    if kind == "VARCHAR" or not known:
        return replace(fact, known=known, distinct=len(fact.counts))
    finite = numbers[~np.isnan(numbers)] if kind in NUMBERS else np.empty(0)
    return replace(
        fact,
        known=known,
        distinct=len(fact.counts),
        smallest=float(np.nanmin(numbers)),
        largest=float(np.nanmax(numbers)),
        mean=_steady(float(finite.mean())) if finite.size else None,
        deviation=_steady(float(finite.std())) if finite.size else None,
    )


def _aggregate(connection: duckdb.DuckDBPyConnection, source: str, types: Mapping[str, TypeName]) -> Iterator[Any]:
    """Yield the aggregates of each column; some hundred columns at a time, as planning slows down with their number."""
    names = list(types)
    for first in range(0, len(names), COLUMNS_AT_ONCE):
        some = names[first : first + COLUMNS_AT_ONCE]
        wanted = [aggregate for name in some for aggregate in _aggregates(quote_identifier(name), types[name])]
        yield from connection.execute(f"SELECT {', '.join(wanted)} FROM {source}").fetchone() or ()


def _steady(value: float | None) -> float | None:
    """Cut the last digits: threads add up in no fixed order."""
    return None if value is None else float(f"{value:.10g}")


def _aggregates(column: str, kind: TypeName) -> list[str]:
    wanted = [f"count({column})", f"approx_count_distinct({column})"]
    if kind == "TIMESTAMP":
        wanted += [f"epoch(min({column}))", f"epoch(max({column}))"]
    if kind in NUMBERS:
        number = f"CAST({column} AS DOUBLE)"
        # An infinite value makes DuckDB's stddev fail; it is no use as a mean or as the end of a range either.
        finite = f"CASE WHEN isfinite({number}) THEN {number} END" if kind == "DOUBLE" else number
        wanted += [f"min({finite})", f"max({finite})", f"avg({finite})", f"stddev_pop({finite})"]
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
            numbers = np.ma.filled(np.ma.asarray(values, dtype=np.float64), np.nan)
            sample[name] = (np.where(np.isfinite(numbers), numbers, np.nan), ())
    return sample


def _texts(values: Any) -> Sequence[str | None]:
    """Masked values of an object array hold whatever was there before."""
    if isinstance(values, np.ma.MaskedArray):
        mask = np.ma.getmaskarray(values).tolist()
        return [None if hidden else text for text, hidden in zip(values.data.tolist(), mask, strict=True)]
    return list(values.tolist())
