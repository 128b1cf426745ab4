"""Predict test; this file writes ``test_predictions.parquet`` and, once a decision is fixed, ``submission.csv``."""

from __future__ import annotations

import numpy as np

import files
import fitted
import submission
from targets import Floats, read_targets, to_predictions


def main() -> None:
    """Average the models' predictions of test and write them."""
    pipeline = fitted.load()
    blocks = []
    for position, target in enumerate(read_targets(files.config())):
        scores = np.mean(pipeline.predict_test(position), axis=0)
        blocks.append(to_predictions(target, scores))
    values: Floats = np.concatenate(blocks, axis=1)
    files.write_predictions("test_predictions.parquet", np.arange(len(values)), values)
    if rule := files.config().get("decision"):
        submission.write(values, rule)


if __name__ == "__main__":
    main()
