"""Agreement of labels; this file computes the metrics that compare decided labels with true ones.

Labels are class positions (0, 1, ...); for metrics of labels with an order they are the labels' own numbers. The last
of two classes is the positive one. As in scikit-learn, a ratio without a denominator counts 0.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Labels = npt.NDArray[np.generic]
Floats = npt.NDArray[np.float64]
LabelMetric = Callable[[Labels, Labels], float]

POSITIVE = 1


def accuracy(truth: Labels, predicted: Labels) -> float:
    """Share of rows with the right label."""
    return float(np.mean(truth == predicted))


def hamming_loss(truth: Labels, predicted: Labels) -> float:
    """Share of rows with a wrong label."""
    return float(np.mean(truth != predicted))


def balanced_accuracy(truth: Labels, predicted: Labels) -> float:
    """Mean over the true classes of the share of their rows that got the right label."""
    hits, true_rows, _ = _counts(truth, predicted)
    present = true_rows > 0
    return float(np.mean(hits[present] / true_rows[present]))


def f_beta(beta: float) -> LabelMetric:
    """Return the F score of the positive class in which recall weighs ``beta`` times as much as precision."""

    def score(truth: Labels, predicted: Labels) -> float:
        hits, true_rows, told_rows = _positive_counts(truth, predicted)
        return float(_ratio((1 + beta**2) * hits, beta**2 * true_rows + told_rows))

    return score


def f1_macro(truth: Labels, predicted: Labels) -> float:
    """Mean of the F1 scores of all classes that are true or predicted somewhere."""
    return float(np.mean(_f1_of_classes(truth, predicted)[0]))


def f1_weighted(truth: Labels, predicted: Labels) -> float:
    """Mean of the F1 scores of the classes, weighted by their true rows."""
    scores, true_rows = _f1_of_classes(truth, predicted)
    return float(np.average(scores, weights=true_rows))


def precision(truth: Labels, predicted: Labels) -> float:
    """Share of the rows called positive that are."""
    hits, _, told_rows = _positive_counts(truth, predicted)
    return float(_ratio(hits, told_rows))


def recall(truth: Labels, predicted: Labels) -> float:
    """Share of the positive rows that are called so."""
    hits, true_rows, _ = _positive_counts(truth, predicted)
    return float(_ratio(hits, true_rows))


def jaccard(truth: Labels, predicted: Labels) -> float:
    """Intersection over union of the positive rows."""
    hits, true_rows, told_rows = _positive_counts(truth, predicted)
    return float(_ratio(hits, true_rows + told_rows - hits))


def jaccard_macro(truth: Labels, predicted: Labels) -> float:
    """Mean over the classes of intersection over union."""
    hits, true_rows, told_rows = _counts(truth, predicted)
    present = true_rows + told_rows > 0
    return float(np.mean(_ratio(hits, true_rows + told_rows - hits)[present]))


def mcc(truth: Labels, predicted: Labels) -> float:
    """Matthews correlation coefficient for any number of classes; 0 when either side has one class only.

    Source: Gorodkin 2004, "Comparing two K-category assignments by a K-category correlation coefficient".
    """
    hits, true_rows, told_rows = _counts(truth, predicted)
    rows = len(truth)
    covariance = hits.sum() * rows - true_rows @ told_rows
    spread = (rows**2 - true_rows @ true_rows) * (rows**2 - told_rows @ told_rows)
    return float(covariance / np.sqrt(spread)) if spread > 0 else 0.0


def cohen_kappa(truth: Labels, predicted: Labels) -> float:
    """Agreement beyond chance; NaN when both sides are one and the same class."""
    hits, true_rows, told_rows = _counts(truth, predicted)
    rows = len(truth)
    by_chance = true_rows @ told_rows / rows**2
    return float((hits.sum() / rows - by_chance) / (1 - by_chance)) if by_chance < 1 else float("nan")


def linear_weighted_kappa(truth: Labels, predicted: Labels) -> float:
    """Agreement beyond chance of labels with an order; a miss weighs as much as its distance."""
    mine, theirs = truth.astype(np.float64), predicted.astype(np.float64)
    values, mine_rows = np.unique(mine, return_counts=True)
    found, their_rows = np.unique(theirs, return_counts=True)
    distances = np.abs(values[:, None] - found[None, :])
    by_chance = mine_rows @ distances @ their_rows / len(mine) ** 2
    return float(1 - np.mean(np.abs(mine - theirs)) / by_chance) if by_chance > 0 else float("nan")


def quadratic_weighted_kappa(truth: Labels, predicted: Labels) -> float:
    """Agreement beyond chance of labels with an order; a miss weighs as the square of its distance.

    Both sides are numbers on the labels' own scale. The expected squared distance of independent draws is var(truth) +
    var(predicted) + (difference of means) squared, so no table of counts is needed. NaN when both sides are one class.
    """
    mine, theirs = truth.astype(np.float64), predicted.astype(np.float64)
    by_chance = mine.var() + theirs.var() + (mine.mean() - theirs.mean()) ** 2
    return float(1 - np.mean((mine - theirs) ** 2) / by_chance) if by_chance > 0 else float("nan")


def _f1_of_classes(truth: Labels, predicted: Labels) -> tuple[Floats, Floats]:
    hits, true_rows, told_rows = _counts(truth, predicted)
    present = true_rows + told_rows > 0
    return _ratio(2 * hits, true_rows + told_rows)[present], true_rows[present]


def _counts(truth: Labels, predicted: Labels) -> tuple[Floats, Floats, Floats]:
    """Return for each class the rows that are right, that are of it, and that are called so."""
    mine, theirs = truth.astype(np.int64), predicted.astype(np.int64)
    classes = int(max(mine.max(), theirs.max())) + 1
    hits = np.bincount(mine[mine == theirs], minlength=classes)
    sides = np.bincount(mine, minlength=classes), np.bincount(theirs, minlength=classes)
    return hits.astype(np.float64), sides[0].astype(np.float64), sides[1].astype(np.float64)


def _positive_counts(truth: Labels, predicted: Labels) -> tuple[Floats, Floats, Floats]:
    mine, theirs = truth == POSITIVE, predicted == POSITIVE
    return np.array(np.sum(mine & theirs), float), np.array(mine.sum(), float), np.array(theirs.sum(), float)


def _ratio(upper: Floats, lower: Floats) -> Floats:
    return np.divide(upper, lower, out=np.zeros_like(upper), where=lower > 0)
