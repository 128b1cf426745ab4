"""What a model should minimise; this file derives it from the metric, so that training serves the score.

The metric itself, thresholds and cut points belong to the host; here is only the loss and the scale of learning.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from autokaggle.records.data_profile import ColumnProfile, DataProfile
from autokaggle.records.plan import Plan

CLASSIFICATION = ("binary_classification", "multiclass_classification", "multilabel_classification")
RELATIVE_METRICS = ("mape", "smape")
SQUARED_RELATIVE_METRICS = ("rmspe",)
QUANTILE_METRIC = re.compile(r"pinball_(\d+)")
LOG_METRICS = ("rmsle", "msle")
ABSOLUTE_METRICS = ("mae", "median_ae")
BALANCED_METRICS = ("balanced_log_loss",)


@dataclass(frozen=True)
class Objective:
    """``loss`` is log_loss, squared_error, absolute_error or quantile; ``target_transform`` none, log1p or log.

    ``row_weights`` is none, balanced (each class counts the same), or inverse or inverse_square (of the target: an
    error counts by its share of the true value).
    """

    loss: str
    target_transform: str = "none"
    row_weights: str = "none"
    quantile: float = 0.5


def choose_objective(plan: Plan, profile: DataProfile) -> Objective:
    """Return the loss whose minimum is nearest to the metric's best."""
    if plan.task_type in CLASSIFICATION:
        return Objective("log_loss", row_weights="balanced" if plan.metric in BALANCED_METRICS else "none")
    lowest = min((_lowest(column) for column in profile.columns if column.name in plan.target_columns), default=0.0)
    if plan.metric in LOG_METRICS and lowest > -1:
        return Objective("squared_error", "log1p")
    if found := QUANTILE_METRIC.fullmatch(plan.metric):
        return Objective("quantile", quantile=int(found.group(1)) / 100)
    if plan.metric in RELATIVE_METRICS and lowest >= 0:
        # Of |error| / truth the best guess is the median of rows weighted by 1 / truth, on whatever scale.
        weights = "inverse" if plan.metric == "mape" else "none"
        return Objective("absolute_error", "log" if lowest > 0 else "log1p", row_weights=weights)
    if plan.metric in SQUARED_RELATIVE_METRICS:
        return Objective("squared_error", row_weights="inverse_square")
    if plan.metric in (*ABSOLUTE_METRICS, *RELATIVE_METRICS):
        return Objective("absolute_error")
    return Objective("squared_error")


def _lowest(column: ColumnProfile) -> float:
    try:
        return float(column.low) if column.low is not None else 0.0
    except ValueError:
        return 0.0
