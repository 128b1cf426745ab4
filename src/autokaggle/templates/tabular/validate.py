"""Predict each train row with the models that did not see it; this file writes ``oof.parquet`` (out of fold).

It computes no score: the host scores the file with the competition's metric.
"""

from __future__ import annotations

import numpy as np

import files
import fitted
from targets import Floats, read_targets, side_by_side, to_predictions


def main() -> None:
    """Write one row per validated train row, the mean over repeats."""
    pipeline = fitted.load()
    rows_of_train = len(files.load_table("train"))
    targets, blocks = read_targets(files.config()), []
    seen = np.zeros(rows_of_train, dtype=np.int64)
    for position, target in enumerate(targets):
        scores: Floats = np.zeros((rows_of_train, target.scores))
        seen[:] = 0
        for rows, found in pipeline.predict_scored(position):
            scores[rows] += found
            seen[rows] += 1
        blocks.append(to_predictions(target, scores[seen > 0] / seen[seen > 0, None]))
    files.write_predictions("oof.parquet", np.flatnonzero(seen), side_by_side(targets, blocks))


if __name__ == "__main__":
    main()
