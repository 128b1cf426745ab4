"""Quality of probabilities; this file computes the metrics that score probabilities or an order of rows.

The truth is a class position per row. Predictions are (n,), the probability of the last of two classes, or
(n, n_classes). Of three or more classes, a metric of two is the mean over one class against the rest.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from autokaggle.skills.scoring.value_metrics import mean_ranks

Labels = npt.NDArray[np.generic]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

# Kaggle clips here before it takes a logarithm.
CLIP = 1e-15


def roc_auc(truth: Labels, predicted: Floats) -> float:
    """Area under the ROC curve, ties count half; NaN when only one class is true."""
    return _mean_over_classes(_auc_of_class, truth, predicted)


def average_precision(truth: Labels, predicted: Floats) -> float:
    """Area under the precision-recall curve as a sum of steps; NaN when no row is positive."""
    return _mean_over_classes(_average_precision_of_class, truth, predicted)


def brier(truth: Labels, predicted: Floats) -> float:
    """Mean squared error of the probability; with a column per class, of the sum over the classes."""
    if predicted.ndim == 1:
        return float(np.mean(((truth == 1) - predicted) ** 2))
    is_class = truth[:, None] == np.arange(predicted.shape[1])
    return float(np.mean(np.sum((is_class - predicted) ** 2, axis=1)))


def log_loss(truth: Labels, predicted: Floats) -> float:
    """Mean negative log-likelihood; rows of class probabilities are rescaled to add up to 1."""
    return float(np.mean(surprises(truth, predicted)))


def balanced_log_loss(truth: Labels, predicted: Floats) -> float:
    """Mean over the true classes of the log loss of their rows."""
    classes = truth.astype(np.int64)
    rows = np.bincount(classes)
    sums = np.bincount(classes, weights=surprises(truth, predicted))
    return float(np.mean(sums[rows > 0] / rows[rows > 0]))


def surprises(truth: Labels, predicted: Floats) -> Floats:
    """Return the negative log-likelihood of each row's true class.

    Source: Kaggle rescales the rows of class probabilities first, then clips to [1e-15, 1 - 1e-15].
    """
    if predicted.ndim == 1:
        clipped = np.clip(predicted, CLIP, 1 - CLIP)
        of_truth: Floats = np.where(truth == 1, clipped, 1 - clipped)
    else:
        chosen = np.take_along_axis(predicted, truth.astype(np.int64)[:, None], axis=1)[:, 0]
        of_truth = np.clip(chosen / predicted.sum(axis=1), CLIP, 1 - CLIP)
    return -np.log(of_truth)


def _mean_over_classes(score: Callable[[Flags, Floats], float], truth: Labels, predicted: Floats) -> float:
    if predicted.ndim == 1:
        return score(truth == 1, predicted)
    if predicted.shape[1] == 2:
        return score(truth == 1, predicted[:, 1])
    scores = [score(truth == position, predicted[:, position]) for position in range(predicted.shape[1])]
    known = [value for value in scores if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")


def _auc_of_class(is_class: Flags, predicted: Floats) -> float:
    """The share of pairs of rows in the right order (Mann-Whitney)."""
    positives = int(is_class.sum())
    negatives = len(is_class) - positives
    if not positives or not negatives:
        return float("nan")
    excess = mean_ranks(predicted)[is_class].sum() - positives * (positives + 1) / 2
    return float(excess / (positives * negatives))


def _average_precision_of_class(is_class: Flags, predicted: Floats) -> float:
    if not is_class.any():
        return float("nan")
    order = np.argsort(-predicted, kind="stable")
    ordered = predicted[order]
    hits = np.cumsum(is_class[order])
    # Rows that share a prediction are taken together: only the last of them is a point of the curve.
    ends = np.append(np.flatnonzero(np.diff(ordered)), len(ordered) - 1)
    recall = hits[ends] / hits[-1]
    return float(np.sum(np.diff(recall, prepend=0.0) * hits[ends] / (ends + 1)))
