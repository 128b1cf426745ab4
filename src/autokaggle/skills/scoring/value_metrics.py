"""Distances between numbers; this file computes the metrics of regression and forecasting.

Each takes the true and the predicted values of one target, aligned; several targets are averaged by the caller.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def rmse(truth: Floats, predicted: Floats) -> float:
    """Root mean squared error."""
    return float(np.sqrt(mse(truth, predicted)))


def mse(truth: Floats, predicted: Floats) -> float:
    """Mean squared error."""
    return float(np.mean((truth - predicted) ** 2))


def rmsle(truth: Floats, predicted: Floats) -> float:
    """Root mean squared logarithmic error, of log(1 + x); NaN when a value is -1 or less."""
    return float(np.sqrt(msle(truth, predicted)))


def msle(truth: Floats, predicted: Floats) -> float:
    """Mean squared logarithmic error, of log(1 + x); NaN when a value is -1 or less."""
    if min(truth.min(), predicted.min()) <= -1:
        return float("nan")
    return mse(np.log1p(truth), np.log1p(predicted))


def mae(truth: Floats, predicted: Floats) -> float:
    """Mean absolute error."""
    return float(np.mean(np.abs(truth - predicted)))


def median_ae(truth: Floats, predicted: Floats) -> float:
    """Median absolute error."""
    return float(np.median(np.abs(truth - predicted)))


def mape(truth: Floats, predicted: Floats) -> float:
    """Mean absolute percentage error as a fraction; a true zero counts as the smallest positive double."""
    return float(np.mean(np.abs(truth - predicted) / np.maximum(np.abs(truth), np.finfo(np.float64).eps)))


def smape(truth: Floats, predicted: Floats) -> float:
    """Symmetric mean absolute percentage error, 0 to 200; 0 where both values are 0."""
    scale = np.abs(truth) + np.abs(predicted)
    share = np.divide(2 * np.abs(predicted - truth), scale, out=np.zeros_like(scale), where=scale > 0)
    return float(100 * np.mean(share))


def rmspe(truth: Floats, predicted: Floats) -> float:
    """Root mean squared percentage error as a fraction; rows whose true value is 0 are ignored."""
    known = truth != 0
    if not known.any():
        return float("nan")
    return float(np.sqrt(np.mean(((truth[known] - predicted[known]) / truth[known]) ** 2)))


def r2(truth: Floats, predicted: Floats) -> float:
    """Coefficient of determination; NaN when the truth does not vary."""
    spread = np.sum((truth - truth.mean()) ** 2)
    return float(1 - np.sum((truth - predicted) ** 2) / spread) if spread > 0 else float("nan")


def explained_variance(truth: Floats, predicted: Floats) -> float:
    """Share of the variance that is explained, whatever the bias; NaN when the truth does not vary."""
    spread = truth.var()
    return float(1 - (truth - predicted).var() / spread) if spread > 0 else float("nan")


def pearson(truth: Floats, predicted: Floats) -> float:
    """Linear correlation; 0 when the predictions do not vary, NaN when the truth does not."""
    left, right = truth - truth.mean(), predicted - predicted.mean()
    spread, spread_predicted = np.sqrt(np.sum(left**2)), np.sqrt(np.sum(right**2))
    if spread == 0:
        return float("nan")
    return float(np.sum(left * right) / (spread * spread_predicted)) if spread_predicted > 0 else 0.0


def spearman(truth: Floats, predicted: Floats) -> float:
    """Correlation of the ranks, ties share the mean rank."""
    return pearson(mean_ranks(truth), mean_ranks(predicted))


def gini(truth: Floats, predicted: Floats) -> float:
    """Normalised Gini coefficient: 1 for the right order, 0 for a random one; NaN when the truth is constant.

    Source: the scorer of Kaggle's Liberty Mutual and Porto Seguro competitions; ties keep the order of the rows.
    """
    best = _gini(truth, truth)
    return float(_gini(truth, predicted) / best) if best else float("nan")


def pinball(quantile: float) -> Callable[[Floats, Floats], float]:
    """Return the mean pinball loss of one quantile (0 to 1)."""

    def loss(truth: Floats, predicted: Floats) -> float:
        distance = truth - predicted
        return float(np.mean(np.maximum(quantile * distance, (quantile - 1) * distance)))

    return loss


def mean_ranks(values: npt.NDArray[np.generic]) -> Floats:
    """Return 1-based ranks; equal values share their mean rank."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    last: npt.NDArray[np.int64] = np.cumsum(count)
    ranks: Floats = last - (count - 1) / 2
    return ranks[place]


def _gini(truth: Floats, score: Floats) -> float:
    total = truth.sum()
    if total == 0:
        return 0.0
    order = np.argsort(-score, kind="stable")
    gains = np.cumsum(truth[order]) / total
    return float((gains.sum() - (len(truth) + 1) / 2) / len(truth))
