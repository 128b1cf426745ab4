"""What the blend sees of a row; this file gathers the members' predictions."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from members import read_members

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]


def gather(name: str) -> tuple[Rows, list[Floats]]:
    """Read a file of every member: the rows that all of them predicted, and one matrix of predictions each."""
    tables = []
    for member in read_members():
        row, *values = [column.to_numpy() for column in pq.read_table(member.output / name).columns]
        tables.append((row, np.column_stack(values)))
    rows = tables[0][0]
    for other, _ in tables[1:]:
        rows = np.intersect1d(rows, other)
    return rows, [values[_positions(own, rows)] for own, values in tables]


def _positions(own: Rows, wanted: Rows) -> Rows:
    order = np.argsort(own, kind="stable")
    return order[np.searchsorted(own, wanted, sorter=order)]
