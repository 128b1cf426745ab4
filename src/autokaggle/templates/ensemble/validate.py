"""Blend what the members predict for train rows that they did not see; this file writes ``oof.parquet``."""

from __future__ import annotations

import features
import files
from blend import blend
from members import read_members, run_members


def main() -> None:
    """Validate the members, then write their weighted mean."""
    run_members("validate.py")
    rows, predictions = features.gather("oof.parquet")
    weights = [member.weight for member in read_members()]
    files.write_predictions("oof.parquet", rows, blend(predictions, weights, files.config()["blend"]))


if __name__ == "__main__":
    main()
