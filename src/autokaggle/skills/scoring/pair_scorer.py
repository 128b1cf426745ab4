"""Inside the sandbox: this file runs a metric of the user's on pairs of arrays and writes the scores.

It is copied beside ``metric.py`` and imports nothing of autokaggle. A pair that the function fails on scores null; when
it fails on all of them, the first failure is raised.
"""

from __future__ import annotations

import importlib
import json
import math
import os
import sys
from pathlib import Path

import numpy as np


def main(function: str) -> None:
    """Score ``pairs.npz`` of the input folder with ``metric.py``; write ``scores.json`` to the output folder."""
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    metric = getattr(importlib.import_module("metric"), function)
    scores: list[float | None] = []
    failures: list[Exception] = []
    with np.load(Path(os.environ["AUTOKAGGLE_INPUT"]) / "pairs.npz", allow_pickle=False) as pairs:
        for place in range(0, len(pairs.files), 2):
            try:
                score = float(metric(pairs[f"arr_{place}"], pairs[f"arr_{place + 1}"]))
            except Exception as failure:  # noqa: BLE001 (a metric may be undefined for some rows)
                failures.append(failure)
                score = math.nan
            scores.append(score if math.isfinite(score) else None)
    if failures and len(failures) == len(scores):
        raise failures[0]
    (Path(os.environ["AUTOKAGGLE_OUTPUT"]) / "scores.json").write_text(json.dumps(scores), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
