"""From predictions to answers; this file fits the decision rule of a run on out-of-fold predictions.

A rule is plain data: ``templates/tabular/decision.py`` applies it in the published pipeline and when a submission is
written; ``apply_rule`` computes the same as numbers, for scoring. Every rule here has at most one or two
free parameters, since more of them fit the noise.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from autokaggle.records.plan import Plan
from autokaggle.skills.scoring.answer_columns import AnswerColumns, answer_columns
from autokaggle.skills.scoring.answers import Answers, Column, true_answers
from autokaggle.skills.scoring.metric import Metric
from autokaggle.skills.scoring.metrics import find_metric
from autokaggle.skills.scoring.truth import label_scale

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Rule = dict[str, Any]
Part = dict[str, Any]

# Metrics whose best label is simply the likeliest one.
LIKELIEST_IS_BEST = ("accuracy", "hamming_loss", "f1_micro")
# Metrics that only look at the order, or at distances from the mean: bounds would only make ties.
WITHOUT_BOUNDS = ("gini", "spearman", "pearson", "explained_variance")
MOST_FITTED_ROWS = 20_000
CUTS = 24
BAGGED_ROWS = 15_000
FEWEST_BAGS, MOST_BAGS = 6, 15
PRIOR_POWERS = (0.0, 0.25, 0.5, 0.75, 1.0)


def fit_rule(plan: Plan, truth: Floats, predictions: Floats) -> Rule:
    """Fit the rule for the plan's metric.

    ``truth`` is (n_rows, targets) of ``Truth`` without missing values, ``predictions`` (n_rows, prediction columns),
    out of fold, the same rows.
    """
    metric = find_metric(plan.metric)
    parts = []
    for position, columns in enumerate(answer_columns(plan)):
        fit = _fitter(plan, columns)
        chosen = predictions[:, list(columns.inputs)]
        part = {"target": columns.target, "inputs": list(columns.inputs), "outputs": list(columns.outputs)}
        parts.append({**part, **fit(plan, metric, columns, truth[:, position], chosen)})
    return {"version": 1, "parts": parts}


def apply_rule(plan: Plan, rule: Rule, predictions: Floats) -> tuple[Column, ...]:
    """Return the decided answers of each target, in the form that the plan's metric compares."""
    is_ordered = find_metric(plan.metric).is_ordered
    return tuple(_apply(part, predictions[:, part["inputs"]], is_ordered) for part in rule["parts"])


def cross_fit(plan: Plan, truth: Floats, predictions: Floats, fold_of_row: Integers) -> Answers:
    """Return answers of which each fold's were decided by a rule that was fitted on the other folds.

    The score of these answers stays honest, however many parameters the rule has.
    """
    metric = find_metric(plan.metric)
    numbers = np.unique(fold_of_row)
    decided: tuple[Column, ...] = ()
    for fold in numbers if len(numbers) > 1 else [None]:
        rows = fold_of_row == fold if fold is not None else np.ones(len(truth), dtype=bool)
        others = ~rows if fold is not None else rows
        answers = apply_rule(plan, fit_rule(plan, truth[others], predictions[others]), predictions[rows])
        decided = decided or tuple(np.empty((len(truth), *each.shape[1:]), dtype=each.dtype) for each in answers)
        for whole, part in zip(decided, answers, strict=True):
            whole[rows] = part
    return Answers(metric, true_answers(plan, metric, truth), decided)


def _fitter(plan: Plan, columns: AnswerColumns) -> Callable[..., Part]:
    kind, several = plan.submission.kind, len(columns.inputs) > 1
    if not columns.labels or kind == "value":
        return _fit_value
    if kind in ("probability", "class_probability"):
        return _fit_class_probability if several else _fit_probability
    if kind == "ranked_labels":
        return _fit_top_k
    if plan.task_type == "ordinal":
        return _fit_cut_points
    return _fit_argmax if several else _fit_threshold


def _fit_value(plan: Plan, metric: Metric, columns: AnswerColumns, truth: Floats, chosen: Floats) -> Part:
    """Keep to the range of the target; round counts when that is better."""
    if metric.id in WITHOUT_BOUNDS:
        return {"method": "value"}
    values = label_scale(columns.labels)[truth.astype(np.int64)] if columns.labels else truth
    low, high = float(values.min()), float(values.max())
    # What comes later may leave the range that was seen, but not change its sign.
    bounds = [0.0 if low >= 0 else None, None] if plan.validation.scheme == "time" else [low, high]
    part: Part = {"method": "value", "clip": bounds}
    if metric.input == "label":
        return {**part, "integer": bool(np.all(values == np.rint(values)))}
    if np.all(values == np.rint(values)):
        rounded = {**part, "integer": True}
        scores = metric.scores((values, _apply(each, chosen, False)) for each in (part, rounded))
        if metric.is_better(scores[1], scores[0]):
            return rounded
    return part


def _fit_probability(plan: Plan, metric: Metric, columns: AnswerColumns, truth: Floats, chosen: Floats) -> Part:
    return {"method": "probability", "clip": _probability_bounds(metric, len(truth))}


def _fit_class_probability(plan: Plan, metric: Metric, columns: AnswerColumns, truth: Floats, chosen: Floats) -> Part:
    return {"method": "class_probability", "clip": _probability_bounds(metric, len(truth))}


def _probability_bounds(metric: Metric, rows: int) -> list[float]:
    """n rows cannot show that something happens less often than about once in 10 n."""
    if metric.id not in ("log_loss", "mlogloss", "balanced_log_loss"):
        return [0.0, 1.0]
    smallest = float(np.clip(0.1 / rows, 1e-7, 1e-3))
    return [smallest, 1 - smallest]


def _fit_top_k(plan: Plan, metric: Metric, columns: AnswerColumns, truth: Floats, chosen: Floats) -> Part:
    return {"method": "top_k", "length": plan.submission.list_length or 1, "labels": list(columns.labels)}


def _fit_threshold(plan: Plan, metric: Metric, columns: AnswerColumns, truth: Floats, chosen: Floats) -> Part:
    if len(columns.labels) == 1:
        return {"method": "argmax", "multipliers": [1.0], "labels": list(columns.labels)}
    return {"method": "threshold", "threshold": _threshold(metric, truth, chosen[:, 0]), "labels": list(columns.labels)}


def _threshold(metric: Metric, truth: Floats, probability: Floats) -> float:
    """Return the probability from which on a row is called positive."""
    share = float(truth.mean())
    if metric.id in LIKELIEST_IS_BEST or share in (0.0, 1.0):
        return 0.5
    if metric.id == "balanced_accuracy":
        # p / share > (1 - p) / (1 - share) exactly where p > share.
        return share
    rows = _some_rows(len(truth))
    return _bagged_cut(metric, truth[rows].astype(np.int64), probability[rows])


def _bagged_cut(metric: Metric, labels: Integers, probability: Floats) -> float:
    """Return the mean of the best cuts of several samples of rows: a single best cut follows lucky rows.

    Cuts are tried at quantiles of all rows and of the positive ones, so that rare positives are resolved as well.
    """
    quantiles = np.linspace(0, 1, CUTS)
    positive = probability[labels == 1]
    cuts = np.unique(np.concatenate([np.quantile(probability, quantiles), np.quantile(positive, quantiles)]))
    random = np.random.default_rng(len(labels))
    bags = int(np.clip(BAGGED_ROWS // len(labels), FEWEST_BAGS, MOST_BAGS))
    drawn = [random.integers(0, len(labels), len(labels)) for _ in range(bags)]
    scores = metric.scores(
        (labels[rows], (probability[rows] >= cut).astype(np.int64)) for rows in drawn for cut in cuts
    )
    best = [cuts[metric.best(scores[bag * len(cuts) : (bag + 1) * len(cuts)])] for bag in range(bags)]
    return float(np.mean(best))


def _fit_argmax(plan: Plan, metric: Metric, columns: AnswerColumns, truth: Floats, chosen: Floats) -> Part:
    """Weigh classes by a power of their share: 0 gives the likeliest, 1 what balanced accuracy wants."""
    part: Part = {"method": "argmax", "multipliers": [1.0] * len(columns.labels), "labels": list(columns.labels)}
    if metric.id in LIKELIEST_IS_BEST:
        return part
    shares = np.bincount(truth.astype(np.int64), minlength=len(columns.labels)) / len(truth)
    options = [{**part, "multipliers": _multipliers(shares, power)} for power in PRIOR_POWERS]
    if metric.id == "balanced_accuracy":
        return options[-1]
    rows = _some_rows(len(truth))
    goal = label_scale(columns.labels)[truth[rows].astype(np.int64)] if metric.is_ordered else truth[rows]
    scores = metric.scores((goal, _apply(option, chosen[rows], metric.is_ordered)) for option in options)
    return options[metric.best(scores)]


def _multipliers(shares: Floats, power: float) -> list[float]:
    weights = np.where(shares > 0, np.where(shares > 0, shares, 1.0) ** -power, 0.0)
    return [float(weight) for weight in weights / weights.max()]


def _fit_cut_points(plan: Plan, metric: Metric, columns: AnswerColumns, truth: Floats, chosen: Floats) -> Part:
    """Cut so that each label is given as often as it is true.

    Cuts tuned on the metric score no better out of sample, and their own score is too bright.
    """
    scale, values = label_scale(columns.labels), np.sort(chosen[:, 0])
    cuts: Floats = (scale[1:] + scale[:-1]) / 2
    if values[0] < values[-1]:
        ends = np.cumsum(np.bincount(truth.astype(np.int64), minlength=len(scale)))[:-1]
        padded = np.concatenate([[values[0] - 1.0], values, [values[-1] + 1.0]])
        cuts = (padded[ends] + padded[ends + 1]) / 2
    return {"method": "cut_points", "cuts": [float(cut) for cut in cuts], "labels": list(columns.labels)}


def _some_rows(rows: int) -> Integers:
    """Return all positions, or a fixed random choice of them that is quick to work through."""
    if rows <= MOST_FITTED_ROWS:
        return np.arange(rows, dtype=np.int64)
    return np.sort(np.random.default_rng(rows).choice(rows, MOST_FITTED_ROWS, replace=False)).astype(np.int64)


def _apply(part: Part, chosen: Floats, is_ordered: bool) -> Column:
    """Compute what the published rule would write, as a number, a row of probabilities, or class positions."""
    method = part["method"]
    if method in ("value", "probability", "class_probability"):
        return _numbers(part, chosen)
    if method == "top_k":
        best: Integers = np.argsort(-chosen, axis=1, kind="stable").astype(np.int64)
        return best[:, : part["length"]]
    if method == "threshold":
        positions = (chosen[:, 0] >= part["threshold"]).astype(np.int64)
    elif method == "argmax":
        positions = np.argmax(chosen * np.asarray(part["multipliers"]), axis=1).astype(np.int64)
    else:
        positions = np.searchsorted(part["cuts"], chosen[:, 0], side="right").astype(np.int64)
    decided: Column = label_scale(tuple(part["labels"]))[positions] if is_ordered else positions
    return decided


def _numbers(part: Part, chosen: Floats) -> Floats:
    low, high = part.get("clip") or (None, None)
    clipped: Floats = np.clip(chosen, -np.inf if low is None else low, np.inf if high is None else high)
    if part["method"] == "class_probability":
        shares: Floats = clipped / clipped.sum(axis=1, keepdims=True)
        return shares
    numbers = clipped[:, 0]
    return np.rint(numbers) if part.get("integer") else numbers
