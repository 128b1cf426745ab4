"""Keys as numbers; this file replaces a value by what the target was in other rows with the same value.

Learned inside one fold's training rows alone. The training rows themselves are encoded crosswise (each from the
rows of other parts), so that no row sees its own label and a model cannot learn labels by heart.
Source: Micci-Barreca (2001), "A preprocessing scheme for high-cardinality categorical attributes".
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from encoding import Codes, Matrix

INNER_PARTS = 5
# A key that recurs in fewer rows than this tells too little.
SMALLEST_SHARE = 0.1
# So much of a row's encoded value must come from rows that share the value, the rest being the mean of all.
SMALLEST_TRUST = 0.35

Floats = npt.NDArray[np.float64]
Levels = npt.NDArray[np.int32]


@dataclass(frozen=True)
class TargetEncoder:
    """Tables of one mean per level of each key that tells something; ``keys`` are positions among the key columns."""

    keys: tuple[int, ...]
    means: tuple[npt.NDArray[np.float32], ...]

    def encode(self, codes: Codes) -> Matrix:
        """Return (n_rows, keys x outcomes); NaN for a value that no training row had."""
        columns = [
            means[np.minimum(codes[:, key], len(means) - 1)]  # the last row also stands for levels unknown to the fit
            for key, means in zip(self.keys, self.means, strict=True)
        ]
        return np.concatenate(columns, axis=1) if columns else np.empty((len(codes), 0), dtype=np.float32)


def fit(codes: Codes, outcomes: Floats, seed: int) -> tuple[TargetEncoder, Matrix]:
    """Learn from training rows; return the encoder and these rows, encoded crosswise.

    ``codes`` is (n_rows, key columns), ``outcomes`` (n_rows, outcomes): the target, or one indicator per class.
    """
    priors = {key: _prior_rows(codes[:, key], outcomes) for key in range(codes.shape[1])}
    keys = tuple(key for key, prior in priors.items() if _trust(codes[:, key], prior) >= SMALLEST_TRUST)
    levels = codes.max(axis=0, initial=0) + 1
    means = tuple(_means(codes[:, key], outcomes, levels[key], priors[key]) for key in keys)
    parts = np.random.default_rng(seed).permutation(len(codes)) % INNER_PARTS
    crosswise = np.full((len(codes), len(keys) * outcomes.shape[1]), np.nan, dtype=np.float32)
    for part in range(INNER_PARTS):
        inside, outside = parts == part, parts != part
        for position, key in enumerate(keys):
            others = _means(codes[outside, key], outcomes[outside], levels[key], priors[key])
            start = position * outcomes.shape[1]
            crosswise[inside, start : start + outcomes.shape[1]] = others[codes[inside, key]]
    return TargetEncoder(keys, means), crosswise


def _prior_rows(codes: Levels, outcomes: Floats) -> float:
    """Return how many rows the mean of all should weigh beside those of one value; infinity when the key is useless.

    It is the variance inside values over that between values, by the moments of a one-way layout.
    Source: Searle, Casella, McCulloch (1992), "Variance Components", chapter 3.
    """
    known = codes >= 0
    codes, outcomes = codes[known], outcomes[known]
    rows = np.bincount(codes) if len(codes) else np.zeros(1)
    levels, count = np.count_nonzero(rows), len(codes)
    if rows[rows > 1].sum() < SMALLEST_SHARE * len(known) or levels < 2 or levels == count:
        return math.inf
    spread = count - (rows.astype(np.float64) ** 2).sum() / count
    best = math.inf
    for outcome in outcomes.T:
        sums = np.bincount(codes, weights=outcome)
        explained = (sums[rows > 0] ** 2 / rows[rows > 0]).sum()
        inside = ((outcome**2).sum() - explained) / (count - levels)
        between = (explained - outcome.sum() ** 2 / count - (levels - 1) * inside) / spread
        best = min(best, inside / between if between > 0 else math.inf)
    return best


def _trust(codes: Levels, prior_rows: float) -> float:
    """Return the mean weight of other rows with the same value, among the rows that have such others."""
    rows = np.bincount(codes[codes >= 0]) if math.isfinite(prior_rows) else np.zeros(1)
    others = np.maximum(rows - 1, 0)
    return float((rows * others / (others + prior_rows)).sum() / max(1, rows[rows > 1].sum()))


def _means(codes: Levels, outcomes: Floats, levels: int, prior_rows: float) -> npt.NDArray[np.float32]:
    """Return (levels + 1, outcomes): means shrunk to the whole; the last row, which code -1 finds, is NaN."""
    known = codes >= 0
    rows = np.bincount(codes[known], minlength=levels)
    means = np.full((levels + 1, outcomes.shape[1]), np.nan, dtype=np.float32)
    for position, outcome in enumerate(outcomes.T):
        sums = np.bincount(codes[known], weights=outcome[known], minlength=levels)
        shrunk = (sums + prior_rows * outcome.mean()) / np.maximum(rows + prior_rows, 1)
        means[:levels, position] = np.where(rows > 0, shrunk, np.nan)
    return means
