"""Keys as numbers; this file replaces a value by what the target was in other rows with the same value.

Learned inside one fold's training rows alone. The training rows themselves are encoded crosswise (each from the
rows of other parts), so that no row sees its own label and a model cannot learn labels by heart.
Source: Micci-Barreca (2001), "A preprocessing scheme for high-cardinality categorical attributes".
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from encoding import Codes, Matrix

INNER_PARTS = 5
# How many rows of the whole the prior weighs against the rows with the value.
PRIOR_ROWS = 2.0
# A key that recurs in fewer rows than this tells too little.
SMALLEST_SHARE = 0.1

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class TargetEncoder:
    """Tables of one mean per level of each key that recurs; ``keys`` are their positions among the key columns."""

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
    keys = tuple(key for key in range(codes.shape[1]) if _recurring_share(codes[:, key]) >= SMALLEST_SHARE)
    encoder = TargetEncoder(keys, tuple(_means(codes[:, key], outcomes, codes[:, key].max() + 1) for key in keys))
    parts = np.random.default_rng(seed).permutation(len(codes)) % INNER_PARTS
    crosswise = np.full((len(codes), len(keys) * outcomes.shape[1]), np.nan, dtype=np.float32)
    for part in range(INNER_PARTS):
        inside, outside = parts == part, parts != part
        for position, key in enumerate(keys):
            means = _means(codes[outside, key], outcomes[outside], codes[:, key].max() + 1)
            start = position * outcomes.shape[1]
            crosswise[inside, start : start + outcomes.shape[1]] = means[codes[inside, key]]
    return encoder, crosswise


def _recurring_share(codes: npt.NDArray[np.int32]) -> float:
    known = codes[codes >= 0]
    counts = np.bincount(known) if len(known) else np.zeros(1)
    return float(counts[counts > 1].sum() / max(1, len(codes)))


def _means(codes: npt.NDArray[np.int32], outcomes: Floats, levels: int) -> npt.NDArray[np.float32]:
    """Return (levels + 1, outcomes): means shrunk to the whole; the last row, which code -1 finds, is NaN."""
    known = codes >= 0
    counts = np.bincount(codes[known], minlength=levels)
    means = np.full((levels + 1, outcomes.shape[1]), np.nan, dtype=np.float32)
    for position in range(outcomes.shape[1]):
        sums = np.bincount(codes[known], weights=outcomes[known, position], minlength=levels)
        prior = outcomes[:, position].mean()
        shrunk = (sums + PRIOR_ROWS * prior) / (counts + PRIOR_ROWS)
        means[:levels, position] = np.where(counts > 0, shrunk, np.nan)
    return means
