"""What a metric compares; this file pairs the truth with what would be handed in, for all rows or some of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from autokaggle.records.plan import Plan
from autokaggle.skills.scoring.metric import Metric
from autokaggle.skills.scoring.truth import label_scale

Column = npt.NDArray[Any]
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Answers:
    """Decided predictions beside the truth: one array per target, rows aligned."""

    metric: Metric
    truths: tuple[Column, ...]
    decided: tuple[Column, ...]

    def __len__(self) -> int:
        return len(self.truths[0])

    def score(self) -> float:
        """Return the metric's mean over the targets, of all rows; NaN where it is not defined."""
        return self._score

    @cached_property
    def _score(self) -> float:
        return self.scores([np.arange(len(self))])[0]

    def scores(self, samples: Sequence[Rows]) -> list[float]:
        """Return the score of each sample of rows, which are positions and may repeat; none may be empty."""
        targets = list(zip(self.truths, self.decided, strict=True))
        found = self.metric.scores((truth[rows], decided[rows]) for rows in samples for truth, decided in targets)
        return [float(np.mean(found[start : start + len(targets)])) for start in range(0, len(found), len(targets))]


def true_answers(plan: Plan, metric: Metric, values: npt.NDArray[np.float64]) -> tuple[Column, ...]:
    """Return the truth of each target in the form that the metric compares.

    ``values`` is (n_rows, targets) of ``Truth``, without missing ones.
    """
    as_numbers = metric.input == "value" or metric.is_ordered
    return tuple(
        _true_column(plan.classes.get(name, ()), column, as_numbers)
        for name, column in zip(plan.target_columns, values.T, strict=True)
    )


def _true_column(labels: Sequence[str], values: npt.NDArray[np.float64], as_numbers: bool) -> Column:
    if not labels:
        return values
    positions = values.astype(np.int64)
    return label_scale(tuple(labels))[positions] if as_numbers else positions
