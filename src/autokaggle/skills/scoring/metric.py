"""What a metric is; this file holds the record alone.

The list of metrics is in ``metric_catalogue``, the door for other packages in ``metrics``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from autokaggle.records.data_profile import SubmissionKind

Loss = Literal["squared", "squared_log", "absolute", "relative", "symmetric", "log", "balanced_log"]
MetricFunction = Callable[[npt.NDArray[Any], npt.NDArray[Any]], float]
Pairs = Iterable[tuple[npt.NDArray[Any], npt.NDArray[Any]]]


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One metric: what it compares, which way is better, and how people call it.

    ``function(truth, predicted)`` scores one target. ``input`` says what both are: *value* numbers; *label* class
    positions, or the labels' own numbers when ``is_ordered``; *probability* the truth as class positions and
    the probability of the last class (or a column per class); *class_probability* a column per class; *ranked_labels*
    rows of class positions. ``loss`` is the smooth loss per row whose minimum serves the metric. ``aliases`` are
    phrases as competitions write them, matched without regard to case and punctuation. ``lowest`` and ``highest``
    bound what a score can be. ``score_pairs`` is given for a metric that runs elsewhere: it scores many pairs of
    (truth, predicted) in one call, where each call is dear. ``quantile`` is what an absolute loss asks for, None for
    the median.
    """

    id: str
    title: str
    greater_is_better: bool
    input: SubmissionKind
    function: MetricFunction
    loss: Loss
    aliases: tuple[str, ...] = ()
    lowest: float | None = None
    highest: float | None = None
    is_ordered: bool = False
    source: str = ""
    quantile: float | None = None
    score_pairs: Callable[[Pairs], list[float]] | None = None

    def scores(self, pairs: Pairs) -> list[float]:
        """Score each pair of (truth, predicted)."""
        if self.score_pairs is not None:
            return self.score_pairs(pairs)
        return [self.function(truth, predicted) for truth, predicted in pairs]

    def best(self, scores: Sequence[float]) -> int:
        """Return the place of the best score, the first of equals; NaN beats nothing."""
        best = 0
        for place, score in enumerate(scores):
            best = place if self.is_better(score, scores[best]) else best
        return best

    def gain(self, score: float, over: float) -> float:
        """Return by how much ``score`` is better than ``over``; negative when it is worse."""
        return score - over if self.greater_is_better else over - score

    def is_better(self, score: float, than: float) -> bool:
        """Say whether ``score`` beats ``than``; NaN beats nothing, and any number beats NaN."""
        if np.isnan(score) or np.isnan(than):
            return bool(np.isnan(than)) and not np.isnan(score)
        return self.gain(score, than) > 0
