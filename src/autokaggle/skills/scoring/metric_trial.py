"""A trial of a metric that did not ship; this file scores a few rows with it, so that it fails before a run."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from autokaggle.records.data_profile import SubmissionKind
from autokaggle.skills.scoring.metric import Metric

Pair = tuple[npt.NDArray[Any], npt.NDArray[Any]]
FEW_ROWS: dict[SubmissionKind, Pair] = {
    "value": (np.array([1.0, 2.0, 3.0, 5.0]), np.array([1.5, 2.0, 2.5, 4.0])),
    "label": (np.array([0, 1, 1, 0]), np.array([0, 1, 0, 0])),
    "probability": (np.array([0, 1, 1, 0]), np.array([0.2, 0.7, 0.4, 0.1])),
    "class_probability": (
        np.array([0, 1, 2, 0]),
        np.array([[0.7, 0.2, 0.1], [0.2, 0.5, 0.3], [0.1, 0.3, 0.6], [0.4, 0.3, 0.3]]),
    ),
    "ranked_labels": (np.array([0, 1, 2, 0]), np.array([[0, 1, 2], [1, 0, 2], [0, 2, 1], [2, 1, 0]])),
}


def trouble_of(metric: Metric) -> str:
    """Score four rows of the kind that the metric compares; return what goes wrong, "" when nothing does."""
    if metric.input not in FEW_ROWS:
        return f"its input {metric.input!r} is none of {', '.join(FEW_ROWS)}"
    try:
        score = float(metric.scores([FEW_ROWS[metric.input]])[0])
    except Exception as error:  # noqa: BLE001 - whatever a foreign function raises is its trouble
        return f"it fails on four rows: {error!r}"
    return "" if math.isfinite(score) else f"it scores four rows with {score}"
