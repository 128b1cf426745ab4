"""Quality of short lists; this file computes the metrics of ranked labels, best first.

The truth is one class position per row, the prediction (n, length) class positions without repeats. With one right
label per row the average precision and the discounted gain are functions of the place of that label alone.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Labels = npt.NDArray[np.generic]
RankingMetric = Callable[[Labels, Labels], float]


def map_at(length: int) -> RankingMetric:
    """Return mean average precision at ``length``: 1 / place of the right label, 0 beyond the list."""

    def score(truth: Labels, predicted: Labels) -> float:
        hits = _hits(truth, predicted, length)
        return float(np.mean(np.sum(hits / np.arange(1, hits.shape[1] + 1), axis=1)))

    return score


def ndcg_at(length: int) -> RankingMetric:
    """Return the normalised discounted cumulative gain at ``length``: 1 / log2(1 + place) of the right label."""

    def score(truth: Labels, predicted: Labels) -> float:
        hits = _hits(truth, predicted, length)
        return float(np.mean(np.sum(hits / np.log2(np.arange(2, hits.shape[1] + 2)), axis=1)))

    return score


def top_accuracy(length: int) -> RankingMetric:
    """Return the share of rows whose right label is among the first ``length``."""

    def score(truth: Labels, predicted: Labels) -> float:
        return float(np.mean(_hits(truth, predicted, length).any(axis=1)))

    return score


def _hits(truth: Labels, predicted: Labels, length: int) -> npt.NDArray[np.bool_]:
    hits: npt.NDArray[np.bool_] = predicted[:, :length] == truth[:, None]
    return hits
