"""Blend what the members predict for test; this file writes ``test_predictions.parquet`` and ``submission.csv``."""

from __future__ import annotations

import features
import files
import submission
from blend import blend
from members import read_members, run_members


def main() -> None:
    """Predict with the members, then write their weighted mean and what the decision makes of it."""
    run_members("predict.py")
    rows, predictions = features.gather("test_predictions.parquet")
    values = blend(predictions, [member.weight for member in read_members()], files.config()["blend"])
    files.write_predictions("test_predictions.parquet", rows, values)
    submission.write(values, files.config()["decision"])


if __name__ == "__main__":
    main()
