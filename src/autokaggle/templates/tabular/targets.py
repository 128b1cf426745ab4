"""The columns to predict; this file turns labels into numbers to learn, and learned scores into predictions.

Predictions are in the metric's natural space: probabilities, or values on the scale of the target.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.float64]

POWERS = {"inverse": 1, "inverse_square": 2}
# A share of the smallest values that weigh alike: else a few rows near zero would be all that counts.
SMALLEST_SHARE = 0.02


@dataclass(frozen=True)
class Target:
    """One column to learn. ``classes`` are its labels in order, empty for values.

    ``objective`` is what a model minimises: log_loss, squared_error, absolute_error, or quantile for the loss of that
    ``quantile``. ``weights`` says how much rows count: none, balanced, inverse or inverse_square. ``outputs`` is the
    number of its prediction columns: one, or one per class. ``is_part``: with other columns it adds up to the one that
    is asked for.
    """

    name: str
    classes: tuple[str, ...]
    objective: str
    transform: str
    weights: str
    outputs: int
    quantile: float = 0.5
    is_part: bool = False

    @property
    def class_count(self) -> int:
        """How many classes a model tells apart, 0 when it learns values."""
        return len(self.classes) if self.objective == "log_loss" else 0

    @property
    def scores(self) -> int:
        """How many scores a model gives: of two classes only the last one's."""
        return self.class_count if self.class_count > 2 else 1


def read_targets(config: dict[str, Any]) -> list[Target]:
    """Return the targets in the order of their prediction columns; with ``learn_parts`` what adds up to the one."""
    found = []
    parts = config.get("target_parts", ()) if config.get("learn_parts") else ()
    for name in parts or config["target_columns"]:
        classes = tuple(config.get("classes", {}).get(name, ()))
        found.append(
            Target(
                name=name,
                classes=classes,
                objective=config["objective"],
                transform=config.get("target_transform", "none"),
                weights=config.get("row_weights", "none"),
                outputs=len(classes) if config["task"] == "multiclass_classification" else 1,
                quantile=float(config.get("quantile", 0.5)),
                is_part=bool(parts),
            )
        )
    return found


def to_numbers(target: Target, column: pd.Series) -> Floats:
    """Return what a model learns: class positions, or transformed values; NaN where the label is missing."""
    if not target.classes:
        return _transformed(target, pd.to_numeric(column, errors="coerce").to_numpy(np.float64))
    codes = pd.Categorical(column.astype("str"), categories=list(target.classes)).codes
    unknown = column[(codes < 0) & column.notna().to_numpy()]
    if len(unknown):
        raise SystemExit(f"{target.name!r} holds the label {unknown.iloc[0]!r}, which config.yaml does not list.")
    scale = np.arange(len(target.classes), dtype=np.float64)
    if target.objective != "log_loss":
        scale = label_scale(target.classes)
    return np.where(codes < 0, np.nan, scale[codes])


def outcomes(target: Target, y: Floats) -> Floats:
    """Return (n_rows, scores): the target, or an indicator for each of several classes."""
    if target.scores == 1:
        return y[:, None]
    return np.equal(y[:, None], np.arange(target.scores)).astype(np.float64)


def to_predictions(target: Target, scores: Floats) -> Floats:
    """Undo the transform; ``scores`` is (n_rows, target.scores) as the models give them."""
    if target.outputs == 2:
        return np.column_stack([1 - scores, scores])
    if target.transform == "log1p":
        return np.expm1(scores)
    return np.exp(scores) if target.transform == "log" else scores


def side_by_side(targets: list[Target], predictions: list[Floats]) -> Floats:
    """Return (n_rows, n_prediction_columns) from the predictions of each target; parts are added up."""
    is_sum = targets[0].is_part
    found: Floats = np.sum(predictions, axis=0) if is_sum else np.concatenate(predictions, axis=1)
    return found


def row_weights(target: Target, y: Floats) -> Floats | None:
    """Return weights by which each class counts the same in all, or errors count by their share of the target.

    None where rows count the same.
    """
    if target.weights in POWERS and not target.class_count:
        return _inverse(to_predictions(target, y), POWERS[target.weights])
    if target.weights != "balanced" or not target.class_count:
        return None
    rows = np.bincount(y.astype(np.int64), minlength=target.class_count)
    weights: Floats = len(y) / (np.count_nonzero(rows) * np.maximum(rows, 1))[y.astype(np.int64)]
    return weights


def _inverse(values: Floats, power: int) -> Floats:
    """Return weights of mean 1; values near zero count no more than most others, and zeros not at all."""
    sizes = np.abs(values)
    if not sizes.any():
        return np.ones_like(sizes)
    least = np.quantile(sizes[sizes > 0], SMALLEST_SHARE)
    weights: Floats = np.where(sizes > 0, np.maximum(sizes, least) ** -power, 0.0)
    scaled: Floats = weights / weights.mean()
    return scaled


def label_scale(classes: tuple[str, ...]) -> Floats:
    """Return the number that stands for each ordinal label: itself, else its position."""
    try:
        return np.array([float(label) for label in classes])
    except ValueError:
        return np.arange(len(classes), dtype=np.float64)


def _transformed(target: Target, values: Floats) -> Floats:
    if target.transform == "log1p":
        return np.log1p(np.maximum(values, 0.0))
    return np.log(np.maximum(values, np.finfo(np.float64).tiny)) if target.transform == "log" else values
