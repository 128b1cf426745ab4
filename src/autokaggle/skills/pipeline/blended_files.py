"""Blended prediction files; this file computes on the host what the published blending scripts would write."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from autokaggle.storage.parquet_tables import quote_identifier, read_columns, write_columns
from autokaggle.templates.ensemble.blend import blend


def write_blend(
    paths: Sequence[Path], weights: Sequence[float], scale: str, columns: Sequence[str], target: Path
) -> None:
    """Write the weighted mean of prediction files (``row`` and ``columns``) over the rows that all of them have."""
    names = ["row", *columns]
    tables = [read_columns(path, {name: quote_identifier(name) for name in names}) for path in paths]
    rows = tables[0]["row"]
    for table in tables[1:]:
        rows = np.intersect1d(rows, table["row"])
    predictions = []
    for table in tables:
        order = np.argsort(table["row"], kind="stable")
        places = order[np.searchsorted(table["row"], rows, sorter=order)]
        predictions.append(np.column_stack([table[name][places] for name in columns]))
    blended = blend(predictions, weights, scale)
    write_columns(target, dict(zip(names, [rows, *blended.T], strict=True)))
