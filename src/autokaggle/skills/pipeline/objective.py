"""What a model should minimise; this file derives it from the metric, so that training serves the score.

The metric itself, thresholds and cut points belong to the host; here is only the loss and the scale of learning.
"""

from __future__ import annotations

from dataclasses import dataclass

from autokaggle.records import ColumnProfile, DataProfile, Plan

CLASSIFICATION = ("binary_classification", "multiclass_classification", "multilabel_classification")
RELATIVE_METRICS = ("mape", "smape")
LOG_METRICS = ("rmsle", "msle")
ABSOLUTE_METRICS = ("mae", "median_ae")
BALANCED_METRICS = ("balanced_log_loss",)


@dataclass(frozen=True)
class Objective:
    """``loss`` is log_loss, squared_error or absolute_error; ``target_transform`` none, log1p or log."""

    loss: str
    target_transform: str = "none"
    class_weights: str = "none"


def choose_objective(plan: Plan, profile: DataProfile) -> Objective:
    """Return the loss whose minimum is nearest to the metric's best."""
    if plan.task_type in CLASSIFICATION:
        return Objective("log_loss", class_weights="balanced" if plan.metric in BALANCED_METRICS else "none")
    lowest = min((_lowest(column) for column in profile.columns if column.name in plan.target_columns), default=0.0)
    if plan.metric in LOG_METRICS and lowest > -1:
        return Objective("squared_error", "log1p")
    if plan.metric in RELATIVE_METRICS and lowest >= 0:
        return Objective("absolute_error", "log" if lowest > 0 else "log1p")
    if plan.metric in (*ABSOLUTE_METRICS, *RELATIVE_METRICS):
        return Objective("absolute_error")
    return Objective("squared_error")


def _lowest(column: ColumnProfile) -> float:
    try:
        return float(column.low) if column.low is not None else 0.0
    except ValueError:
        return 0.0
