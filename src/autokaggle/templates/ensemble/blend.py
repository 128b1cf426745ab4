"""Several predictions as one; this file computes the weighted mean and imports nothing but numpy."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

# Keeps the logarithm of a probability of 0 or 1 finite.
SMALLEST = 1e-15


def blend(predictions: Sequence[Floats], weights: Sequence[float], scale: str = "values") -> Floats:
    """Return the mean of the members' predictions, each (n_rows, n_prediction_columns) with the same rows.

    ``scale`` says what is averaged: values; log1p of values, of which none should be negative; or logits of
    probabilities.

    Raises:
        ValueError: no such scale, or weights that do not add up to something positive.
    """
    if scale not in SCALES:
        raise ValueError(f"unknown scale {scale!r}; known: {', '.join(SCALES)}")
    shares = np.asarray(weights, dtype=np.float64)
    if not shares.sum() > 0:
        raise ValueError(f"weights {list(weights)} do not add up to something positive")
    to_scale, back = SCALES[scale]
    total = np.zeros_like(predictions[0], dtype=np.float64)
    for prediction, share in zip(predictions, shares / shares.sum(), strict=True):
        total += share * to_scale(np.asarray(prediction, dtype=np.float64))
    return back(total)


def _logits(values: Floats) -> Floats:
    clipped = np.clip(values, SMALLEST, 1 - SMALLEST)
    return np.log(clipped) - np.log1p(-clipped)


def _same(values: Floats) -> Floats:
    return values


def _logistic(values: Floats) -> Floats:
    return 1 / (1 + np.exp(-values))


def _log1p(values: Floats) -> Floats:
    return np.log1p(np.maximum(values, 0.0))


SCALES: dict[str, tuple[Callable[[Floats], Floats], Callable[[Floats], Floats]]] = {
    "values": (_same, _same),
    "log1p": (_log1p, np.expm1),
    "logits": (_logits, _logistic),
}
