"""What is there twice; this file finds columns and rows that repeat, and columns that give the target away."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path

import duckdb
import numpy as np

from autokaggle.skills.dataset.column_facts import Facts
from autokaggle.skills.dataset.column_types import MOST_EXACT
from autokaggle.storage.parquet_tables import quote_identifier, quote_text

# Above this many rows, copies are counted among every 16th value of the rows' hash, and the count multiplied.
MOST_ROWS_COUNTED = 1_000_000
HASH_PART = 16
MOST_TELLING = 3
# Ids more thinly spread than this are told apart by a hash table.
BITS_PER_ROW = 64
MOST_PARTS = 12


def find_copied_columns(
    connection: duckdb.DuckDBPyConnection, path: Path, train: Mapping[str, Facts], keep: Sequence[str]
) -> dict[str, str]:
    """Map each column that equals another in every row of train to that one; columns in ``keep`` are no copies."""
    by_content: dict[tuple[object, ...], list[str]] = defaultdict(list)
    for name in sorted(train, key=lambda name: name not in keep):
        facts = train[name]
        if facts.distinct > 1:
            content = facts.texts if facts.type == "VARCHAR" else (facts.numbers + 0.0).tobytes()
            by_content[facts.type == "VARCHAR", facts.known, content].append(name)
    copies = {name: names[0] for names in by_content.values() for name in names[1:] if name not in keep}
    return {
        name: original
        for name, original in copies.items()
        if train[name].is_whole or _are_equal(connection, path, name, original)
    }


def count_copied_ids(connection: duckdb.DuckDBPyConnection, path: Path, ids: Mapping[str, Facts]) -> int:
    """Count, exactly, the rows that repeat the ids of an earlier one."""
    source = f"read_parquet({quote_text(str(path))})"
    names = ", ".join(map(quote_identifier, ids))
    facts = next(iter(ids.values()))
    different = f"(SELECT count(*) FROM (SELECT DISTINCT {names} FROM {source}))"
    if len(ids) == 1 and facts.type == "BIGINT" and facts.known == facts.rows and _is_dense(facts):
        # One bit for every possible number: an eighth of the work of a hash table.
        low, high = int(facts.smallest or 0), int(facts.largest or 0)
        different = f"(SELECT bit_count(bitstring_agg({names}, {low}::BIGINT, {high}::BIGINT)) FROM {source})"
    found = connection.execute(f"SELECT (SELECT count(*) FROM {source}) - {different}").fetchone()
    return int(found[0]) if found else 0


def _is_dense(facts: Facts) -> bool:
    low, high = facts.smallest, facts.largest
    if low is None or high is None or max(-low, high) >= MOST_EXACT:
        return False
    return high - low < BITS_PER_ROW * facts.rows


def count_copied_rows(
    connection: duckdb.DuckDBPyConnection, train: Path, test: Path, facts: Mapping[str, Facts], rows: int
) -> tuple[int, int]:
    """Count train rows that repeat an earlier one, and test rows that equal a train row, in the columns of ``facts``.

    In large tables the most telling numbers are compared first: where they tell all rows apart, so do all columns.
    """
    names = list(facts)
    if not names:
        return 0, 0
    numbers = [name for name in names if facts[name].type in ("BIGINT", "DOUBLE")]
    telling = sorted(numbers, key=lambda name: -facts[name].distinct)[:MOST_TELLING]
    is_worth_it = rows > MOST_ROWS_COUNTED and 0 < len(telling) < len(names)
    if is_worth_it and _count_copies(connection, train, test, telling, rows) == (0, 0):
        return 0, 0
    return _count_copies(connection, train, test, names, rows)


def _count_copies(
    connection: duckdb.DuckDBPyConnection, train: Path, test: Path, names: Sequence[str], rows: int
) -> tuple[int, int]:
    row = f"hash({', '.join(map(quote_identifier, names))})"
    part = HASH_PART if rows > MOST_ROWS_COUNTED else 1
    chosen = f"WHERE {row} % {part} = 0" if part > 1 else ""
    train_rows = f"SELECT {row} AS h FROM read_parquet({quote_text(str(train))}) {chosen}"
    test_rows = f"SELECT {row} AS h FROM read_parquet({quote_text(str(test))}) {chosen}"
    found = connection.execute(
        f"WITH a AS MATERIALIZED ({train_rows}) "
        "SELECT (SELECT count(*) - count(DISTINCT h) FROM a), "
        f"(SELECT count(*) FROM ({test_rows}) SEMI JOIN a USING (h))"
    ).fetchone() or (0, 0)
    return int(found[0]) * part, int(found[1]) * part


def explain_target(train: Mapping[str, Facts], target: str, only_train: Sequence[str]) -> tuple[str, ...]:
    """Return the train-only columns that make up the target: one that equals it, or some that add up to it."""
    wanted = train[target]
    for name in only_train:
        if wanted.type == "VARCHAR" == train[name].type and train[name].texts == wanted.texts:
            return (name,)
    # A target of labels is stored as text, which does not add up.
    parts = [name for name in only_train if train[name].type in ("BIGINT", "DOUBLE")][:MOST_PARTS]
    if wanted.type not in ("BIGINT", "DOUBLE") or not parts:
        return ()
    known = ~np.isnan(wanted.numbers)
    for count in (1, 2, 3, len(parts)):
        for chosen in combinations(parts, count):
            total = np.sum([train[name].numbers[known] for name in chosen], axis=0)
            if np.allclose(total, wanted.numbers[known], rtol=1e-6, equal_nan=False):
                return chosen
    return ()


def _are_equal(connection: duckdb.DuckDBPyConnection, path: Path, first: str, second: str) -> bool:
    found = connection.execute(
        f"SELECT count(*) FROM read_parquet({quote_text(str(path))}) "
        f"WHERE {quote_identifier(first)} IS DISTINCT FROM {quote_identifier(second)}"
    ).fetchone()
    return found is not None and found[0] == 0
