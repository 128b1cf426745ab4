"""Which plots a run's predictions call for; this file chooses them by the task."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from autokaggle.records.plan import Plan
from autokaggle.skills.report.curves import Scored, confusion_figure, curve_figures
from autokaggle.skills.report.drawing import Figure
from autokaggle.skills.report.material import Floats, Predictions
from autokaggle.skills.report.residuals import forecast_figure, residual_figures

MOST_TARGETS = 3


def quality_figures(plan: Plan, predictions: Predictions) -> list[Figure]:
    """Return the plots of out-of-fold predictions, most telling first."""
    if not len(predictions.truth):
        return []
    found = list((_of_classes if plan.predicts_probabilities else _of_values)(plan, predictions))
    return [*found, *_confusions(plan, predictions)]


def _of_classes(plan: Plan, predictions: Predictions) -> Iterator[Figure]:
    scored: list[Scored] = []
    start = 0
    for position, name in enumerate(plan.target_columns):
        labels, truth = plan.classes[name], predictions.truth[:, position]
        width = len(labels) if plan.task_type == "multiclass_classification" else 1
        columns = predictions.oof[:, start : start + width]
        start += width
        if width == 1:
            positive = labels[-1] if len(plan.target_columns) == 1 else name
            scored.append(Scored(positive, truth == len(labels) - 1, columns[:, 0]))
            continue
        rows = np.bincount(truth.astype(np.int64), minlength=width)
        scored += [Scored(labels[place], truth == place, columns[:, place]) for place in np.argsort(-rows).tolist()]
    yield from curve_figures(scored)


def _of_values(plan: Plan, predictions: Predictions) -> Iterator[Figure]:
    for position, name in enumerate(plan.target_columns[:MOST_TARGETS]):
        truth, predicted = _numbers(plan, name, predictions.truth[:, position]), predictions.oof[:, position]
        if predictions.times is not None and np.isfinite(predictions.times).sum() > 1:
            yield forecast_figure(name, truth, predicted, predictions.times, predictions.folds)
        yield from residual_figures(name, truth, predicted)


def _numbers(plan: Plan, name: str, values: Floats) -> Floats:
    """Return the numbers that ordinal labels stand for; values as they are."""
    labels = plan.classes.get(name)
    if not labels:
        return values
    try:
        scale = np.array([float(label) for label in labels])
    except ValueError:
        return values
    return scale[values.astype(np.int64)]


def _confusions(plan: Plan, predictions: Predictions) -> Iterator[Figure]:
    for position, (name, decided) in enumerate(zip(plan.target_columns, predictions.decided, strict=True)):
        if decided is not None and position < MOST_TARGETS:
            title = "Confusion" if len(plan.target_columns) == 1 else f"Confusion: {name}"
            truth = predictions.truth[:, position].astype(np.int64)
            yield confusion_figure(truth, decided, plan.classes[name], title)
