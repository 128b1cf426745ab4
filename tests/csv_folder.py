"""CSV files for the tests of the dataset room; this file writes columns of values as a competition would ship them."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from autokaggle.skills.dataset.column_facts import Facts, measure
from autokaggle.skills.dataset.column_types import infer
from autokaggle.skills.dataset.tables import Table, connect, open_table, write_parquet

Columns = Mapping[str, Sequence[Any] | np.ndarray[Any, Any]]


def write_csv(path: Path, columns: Columns) -> Path:
    """Write one column per key; None becomes an empty cell."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return path


def open_csv(connection: duckdb.DuckDBPyConnection, folder: Path, name: str, columns: Columns) -> Table:
    """Write and open one table; clean copies go beside it."""
    scratch = folder / "scratch"
    scratch.mkdir(exist_ok=True)
    return open_table(connection, write_csv(folder / name, columns), name, scratch)


def facts_of(folder: Path, columns: Columns) -> dict[str, Facts]:
    """Measure columns as the profiler does."""
    with connect(folder) as connection:
        table = open_csv(connection, folder, "facts.csv", columns)
        types = {name: infer(values) for name, values in table.sample.items()}
        _, held = write_parquet(connection, table, types, folder / "facts.parquet", folder / "scratch")
        _, facts = measure(connection, folder / "facts.parquet", {name: kind.name for name, kind in held.items()})
    return facts
