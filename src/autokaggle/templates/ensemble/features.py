"""What the blend sees of a row; this file gathers the members' predictions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

import files
from members import Member, read_members

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]


def gather(name: str) -> tuple[Rows, list[Floats]]:
    """Read a file of every member: the rows that all of them predicted, and one matrix of predictions each."""
    tables = [
        _mean_of_folds(member, name) if member.folds else _read(member.output / name) for member in read_members()
    ]
    rows = tables[0][0]
    for other, _ in tables[1:]:
        rows = np.intersect1d(rows, other)
    return rows, [values[_positions(own, rows)] for own, values in tables]


def _read(path: Path) -> tuple[Rows, Floats]:
    row, *values = [column.to_numpy() for column in pq.read_table(path).columns]
    return row, np.column_stack(values)


def _mean_of_folds(member: Member, name: str) -> tuple[Rows, Floats]:
    """Return the mean over the runs on single folds; of out-of-fold rows each run counts for its fold alone."""
    table = files.load_folds()
    fold_of_row = table[table["repeat"] == 0].set_index("row")["fold"]
    parts = [(fold, *_read(member.fold_output(fold) / name)) for fold in member.folds]
    if name.startswith("oof"):
        kept = [(row, values, fold_of_row.reindex(row).to_numpy() == fold) for fold, row, values in parts]
        rows = np.concatenate([row[inside] for row, _, inside in kept])
        order = np.argsort(rows)
        return rows[order], np.concatenate([values[inside] for _, values, inside in kept])[order]
    rows = np.sort(parts[0][1])
    return rows, np.mean([values[_positions(row, rows)] for _, row, values in parts], axis=0)


def _positions(own: Rows, wanted: Rows) -> Rows:
    order = np.argsort(own, kind="stable")
    return order[np.searchsorted(own, wanted, sorter=order)]
