"""Predict test; this file writes ``test_predictions.parquet`` and, once a decision is fixed, ``submission.csv``."""

from __future__ import annotations

import numpy as np

import files
import fitted
import submission
from targets import read_targets, side_by_side, to_predictions


def main() -> None:
    """Average the models' predictions of test and write them."""
    pipeline = fitted.load()
    targets = read_targets(files.config())
    means = [np.mean(pipeline.predict_test(position), axis=0) for position in range(len(targets))]
    values = side_by_side(targets, list(map(to_predictions, targets, means)))
    files.write_predictions("test_predictions.parquet", np.arange(len(values)), values)
    if rule := files.config().get("decision"):
        submission.write(values, rule)


if __name__ == "__main__":
    main()
