"""The best answer that is the same for all rows; this file finds it, as a first submission and as a yardstick."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from autokaggle.records.plan import Plan
from autokaggle.skills.scoring.answer_columns import AnswerColumns, answer_columns
from autokaggle.skills.scoring.metric import Metric
from autokaggle.skills.scoring.metrics import find_metric
from autokaggle.skills.scoring.truth import label_scale

Floats = npt.NDArray[np.float64]


def constant_predictions(plan: Plan, truth: Floats) -> Floats:
    """Return one row of predictions, (prediction columns,); ``truth`` is (n_rows, targets) without missing values."""
    metric = find_metric(plan.metric)
    parts = [_of_target(plan, metric, each, truth[:, place]) for place, each in enumerate(answer_columns(plan))]
    return np.concatenate(parts)


def _of_target(plan: Plan, metric: Metric, columns: AnswerColumns, values: Floats) -> Floats:
    if columns.labels and plan.task_type != "ordinal":
        shares = np.bincount(values.astype(np.int64), minlength=len(columns.labels)) / len(values)
        if metric.loss == "balanced_log":
            shares = (shares > 0) / np.sum(shares > 0)
        return shares if len(columns.inputs) > 1 else shares[-1:]
    numbers = label_scale(columns.labels)[values.astype(np.int64)] if columns.labels else values
    options = [float(numbers.mean()), float(np.median(numbers))]
    if numbers.min() > -1:
        options.append(float(np.expm1(np.log1p(numbers).mean())))
    if columns.labels:
        return np.array(options[1:2])
    options += [float(quantile) for quantile in np.quantile(numbers, np.arange(1, 20) / 20)]
    scores = metric.scores((numbers, np.full_like(numbers, option)) for option in options)
    return np.array([options[metric.best(scores)]])
