"""The smooth loss behind a metric; this file computes it row by row, for comparing and combining models.

Accuracy and AUC are too noisy to choose weights by; the log loss, or the distance on the scale of learning, is not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from autokaggle.records.outcome import BlendScale
from autokaggle.records.plan import Plan
from autokaggle.skills.scoring.answer_columns import AnswerColumns, answer_columns
from autokaggle.skills.scoring.metrics import find_metric
from autokaggle.skills.scoring.truth import label_scale

Floats = npt.NDArray[np.float64]

SMALLEST_PROBABILITY = 1e-7


@dataclass(frozen=True)
class Surrogate:
    """The loss of rows, in a space where the mean of models is the mean of their evidence.

    ``goals`` and ``weights`` are (n_rows, targets). ``blend`` is the scale on which predictions are averaged.
    """

    blend: BlendScale
    columns: tuple[AnswerColumns, ...]
    positions: Floats
    goals: Floats
    weights: Floats
    distance: Callable[[Floats, Floats], Floats]
    of_truth: bool

    def evidence(self, predictions: Floats) -> Floats:
        """Return what the loss looks at, (n_rows, targets): the true class's probability, or the value on the scale."""
        found = []
        for place, columns in enumerate(self.columns):
            chosen = predictions[:, list(columns.inputs)]
            found.append(_of_truth(chosen, self.positions[:, place]) if self.of_truth else chosen[:, 0])
        evidence = np.column_stack(found)
        if self.blend == "logits":
            chances = np.clip(evidence, SMALLEST_PROBABILITY, 1 - SMALLEST_PROBABILITY)
            return np.log(chances / (1 - chances))
        return np.log1p(np.maximum(evidence, SMALLEST_PROBABILITY - 1)) if self.blend == "log1p" else evidence

    def losses(self, evidence: Floats) -> Floats:
        """Return the loss of each row; several targets are averaged. ``evidence`` may have leading axes."""
        losses: Floats = np.mean(self.weights * self.distance(evidence, self.goals), axis=-1)
        return losses

    def gradients(self, evidence: Floats) -> tuple[Floats, Floats]:
        """Return the first and second derivative of each row's loss by the evidence, (n_rows, targets).

        Only squared distances and logits have them everywhere.
        """
        if self.blend == "logits":
            wrong = 1 / (1 + np.exp(evidence))
            return -self.weights * wrong, self.weights * wrong * (1 - wrong)
        return 2 * self.weights * (evidence - self.goals), 2 * self.weights

    def on(self, rows: npt.NDArray[np.generic]) -> Surrogate:
        """Return the same loss for some of the rows."""
        chosen = (self.positions[rows], self.goals[rows], self.weights[rows])
        return Surrogate(self.blend, self.columns, *chosen, self.distance, self.of_truth)

    @property
    def is_smooth(self) -> bool:
        """Tell whether ``gradients`` can be used."""
        return self.blend == "logits" or self.distance is _squared

    def in_logits(self) -> Surrogate:
        """Return the same loss with predictions averaged as logits, where each is the probability of one class.

        Where that is not so, this loss is returned.
        """
        if not self.of_truth or any(len(columns.inputs) > 1 for columns in self.columns):
            return self
        return replace(self, blend="logits", distance=_surprise_of_logits)


def make_surrogate(plan: Plan, truth: Floats) -> Surrogate:
    """Return the loss that serves the plan's metric; ``truth`` is (n_rows, targets) without missing values."""
    metric = find_metric(plan.metric)
    loss = metric.loss
    columns = answer_columns(plan)
    of_truth = plan.predicts_probabilities and loss in ("log", "balanced_log")
    if not of_truth and loss in ("log", "balanced_log"):
        loss = "squared"
    numbers = [truth[:, place] if of_truth else _numbers(each, truth[:, place]) for place, each in enumerate(columns)]
    goals = np.column_stack(numbers)
    if loss == "squared_log":
        goals = np.log1p(np.maximum(goals, SMALLEST_PROBABILITY - 1))
    distance = DISTANCES[loss] if metric.quantile is None else _pinball(metric.quantile)
    weights = _weights(goals, distance, balanced=loss == "balanced_log", of_truth=of_truth)
    return Surrogate("log1p" if loss == "squared_log" else "values", columns, truth, goals, weights, distance, of_truth)


def _numbers(columns: AnswerColumns, values: Floats) -> Floats:
    return label_scale(columns.labels)[values.astype(np.int64)] if columns.labels else values


def _of_truth(chosen: Floats, positions: Floats) -> Floats:
    if chosen.shape[1] == 1:
        of_last: Floats = np.where(positions == 1, chosen[:, 0], 1 - chosen[:, 0])
        return of_last
    of_truth: Floats = chosen[np.arange(len(chosen)), positions.astype(np.int64)]
    return of_truth


def _weights(goals: Floats, distance: Callable[[Floats, Floats], Floats], *, balanced: bool, of_truth: bool) -> Floats:
    """Make classes count alike where the metric does, and targets on different scales count alike."""
    weights = np.ones_like(goals)
    for place in range(goals.shape[1]):
        goal = goals[:, place]
        if balanced:
            _, position, rows = np.unique(goal, return_inverse=True, return_counts=True)
            weights[:, place] = (len(goal) / (len(rows) * rows))[position]
        elif goals.shape[1] > 1 and not of_truth:
            spread = float(distance(np.full_like(goal, np.median(goal)), goal).mean())
            weights[:, place] = 1 / spread if spread > 0 else 1.0
    return weights


def _surprise(evidence: Floats, goals: Floats) -> Floats:
    return -np.log(np.maximum(evidence, SMALLEST_PROBABILITY))


def _surprise_of_logits(evidence: Floats, goals: Floats) -> Floats:
    surprises: Floats = np.logaddexp(0.0, -evidence)
    return surprises


def _squared(evidence: Floats, goals: Floats) -> Floats:
    return (evidence - goals) ** 2


def _absolute(evidence: Floats, goals: Floats) -> Floats:
    return np.abs(evidence - goals)


def _pinball(quantile: float) -> Callable[[Floats, Floats], Floats]:
    def distance(evidence: Floats, goals: Floats) -> Floats:
        missed: Floats = goals - evidence
        return np.maximum(quantile * missed, (quantile - 1) * missed)

    return distance


def _relative(evidence: Floats, goals: Floats) -> Floats:
    return _ratio(np.abs(evidence - goals), np.abs(goals) + np.zeros_like(evidence))


def _symmetric(evidence: Floats, goals: Floats) -> Floats:
    return _ratio(2 * np.abs(evidence - goals), np.abs(goals) + np.abs(evidence))


def _ratio(upper: Floats, lower: Floats) -> Floats:
    ratio: Floats = np.divide(upper, lower, out=np.zeros_like(upper), where=lower > 0)
    return ratio


DISTANCES: dict[str, Callable[[Floats, Floats], Floats]] = {
    "log": _surprise,
    "balanced_log": _surprise,
    "squared": _squared,
    "squared_log": _squared,
    "absolute": _absolute,
    "relative": _relative,
    "symmetric": _symmetric,
}
