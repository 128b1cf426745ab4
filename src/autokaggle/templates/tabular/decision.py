"""From predictions to what is handed in; this file applies a decision rule and imports nothing but numpy.

The rule was fitted on out-of-fold predictions. It lists parts, each with a target, the positions of its prediction
columns (``inputs``), the submission columns that it fills (``outputs``) and a method:

value               clip, round (decimals), integer
probability         clip
class_probability   clip, then rows add up to 1
threshold           labels [below, from the threshold on]
argmax              the label with the largest probability x multiplier
cut_points          labels, one more than the ascending cuts; a value on a cut belongs above it
top_k               the ``length`` likeliest labels, best first, separated by spaces
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Columns = list[list[str]]


def decide(values: Floats, rule: dict[str, Any]) -> dict[str, list[str]]:
    """Return the text of each submission column, rows in the order of ``values`` (n_rows, n_prediction_columns).

    Raises:
        ValueError: the rule is of a newer version, or names a method that is not known.
    """
    if rule["version"] != 1:
        raise ValueError(f"decision rule of version {rule['version']!r}; this program knows version 1")
    columns: dict[str, list[str]] = {}
    for part in rule["parts"]:
        if part["method"] not in METHODS:
            raise ValueError(f"unknown decision method {part['method']!r}; known: {', '.join(METHODS)}")
        made = METHODS[part["method"]](values[:, part["inputs"]], part)
        columns.update(zip(part["outputs"], made, strict=True))
    return columns


def number_text(number: float) -> str:
    """Write a number so that reading it gives the same number; whole numbers have no decimal point."""
    return str(int(number)) if number.is_integer() and abs(number) < 1e15 else repr(number)


def _values(chosen: Floats, part: dict[str, Any]) -> Columns:
    numbers = _clip(chosen, part)
    if part.get("integer"):
        numbers = np.rint(numbers)
    elif part.get("round") is not None:
        numbers = np.round(numbers, part["round"])
    return _number_columns(numbers)


def _class_probabilities(chosen: Floats, part: dict[str, Any]) -> Columns:
    clipped = _clip(chosen, part)
    return _number_columns(clipped / clipped.sum(axis=1, keepdims=True))


def _threshold(chosen: Floats, part: dict[str, Any]) -> Columns:
    return [_labels(chosen[:, 0] >= part["threshold"], part)]


def _argmax(chosen: Floats, part: dict[str, Any]) -> Columns:
    return [_labels(np.argmax(chosen * np.asarray(part["multipliers"]), axis=1), part)]


def _cut_points(chosen: Floats, part: dict[str, Any]) -> Columns:
    return [_labels(np.searchsorted(part["cuts"], chosen[:, 0], side="right"), part)]


def _top_k(chosen: Floats, part: dict[str, Any]) -> Columns:
    best = np.argsort(-chosen, axis=1, kind="stable")[:, : part["length"]]
    return [[" ".join(part["labels"][label] for label in row) for row in best.tolist()]]


def _clip(chosen: Floats, part: dict[str, Any]) -> Floats:
    low, high = part.get("clip") or (None, None)
    return np.clip(chosen, -np.inf if low is None else low, np.inf if high is None else high)


def _number_columns(numbers: Floats) -> Columns:
    return [[number_text(number) for number in column] for column in numbers.T.tolist()]


def _labels(positions: npt.NDArray[Any], part: dict[str, Any]) -> list[str]:
    return [part["labels"][position] for position in positions.astype(int).tolist()]


METHODS: dict[str, Callable[[Floats, dict[str, Any]], Columns]] = {
    "value": _values,
    "probability": _values,
    "class_probability": _class_probabilities,
    "threshold": _threshold,
    "argmax": _argmax,
    "cut_points": _cut_points,
    "top_k": _top_k,
}
