"""A matrix without gaps for linear models; this file fills, scales and spreads out what trees can take as it is.

Numbers: the median for missing values and a flag for them, log1p of long-tailed ones, mean 0 and deviation 1, cut at
five deviations. Categories: one column for each of the commonest levels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from encoding import Matrix

LONG_TAIL = 0.75
CUT = 5.0
MOST_LEVELS = 40
FEWEST_ROWS_OF_LEVEL = 5

Vector = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Dense:
    """What was learned from the rows that train; positions are columns of the matrix that trees get."""

    numbers: tuple[int, ...]
    gaps: tuple[int, ...]
    tailed: npt.NDArray[np.bool_]
    medians: Vector
    means: Vector
    deviations: Vector
    levels: tuple[tuple[int, float], ...]

    def encode(self, x: Matrix) -> Matrix:
        """Return (n_rows, numbers + flags + levels) in float32, without a missing value.

        Where there is none of these, one column says the same of each row: models want something to learn from.
        """
        scaled = (_filled(x[:, self.numbers], self.medians, self.tailed) - self.means) / self.deviations
        flags = np.isnan(x[:, self.gaps])
        levels = [x[:, position] == level for position, level in self.levels]
        found = np.column_stack([np.clip(scaled, -CUT, CUT), flags, *levels]).astype(np.float32)
        return found if found.shape[1] else np.zeros((len(x), 1), dtype=np.float32)


def fit(x: Matrix, category_columns: list[int]) -> Dense:
    """Learn medians, tails, scales and levels from the rows of ``x``."""
    numbers = [position for position in range(x.shape[1]) if position not in category_columns]
    missing = np.isnan(x)
    numbers = [position for position in numbers if not missing[:, position].all()]
    values = x[:, numbers].astype(np.float64)
    medians = np.nanmedian(values, axis=0)
    tailed = _long_tailed(np.where(np.isnan(values), medians, values))
    filled = _filled(x[:, numbers], medians, tailed)
    deviations = filled.std(axis=0)
    levels = [(position, level) for position in category_columns for level in _common_levels(x[:, position])]
    gaps = [position for position in range(x.shape[1]) if missing[:, position].any()]
    return Dense(
        numbers=tuple(numbers),
        gaps=tuple(gaps),
        tailed=tailed,
        medians=medians,
        means=filled.mean(axis=0),
        deviations=np.where(deviations > 0, deviations, 1.0),
        levels=tuple(levels),
    )


def _filled(values: Matrix, medians: Vector, tailed: npt.NDArray[np.bool_]) -> Vector:
    filled = np.where(np.isnan(values), medians, values)
    filled[:, tailed] = np.log1p(np.maximum(filled[:, tailed], 0.0))
    return filled


def _long_tailed(values: Vector) -> npt.NDArray[np.bool_]:
    """Say which columns are never negative and lean to one side."""
    centred = values - values.mean(axis=0)
    deviations = values.std(axis=0)
    cubes = centred * centred * centred  # many times as fast as a power
    skew = cubes.mean(axis=0) / np.where(deviations > 0, deviations, 1.0) ** 3
    found: npt.NDArray[np.bool_] = (values.min(axis=0) >= 0) & (np.abs(skew) > LONG_TAIL)
    return found


def _common_levels(column: npt.NDArray[np.float32]) -> list[float]:
    levels, rows = np.unique(column[~np.isnan(column)], return_counts=True)
    order = np.argsort(-rows, kind="stable")[:MOST_LEVELS]
    return [float(levels[position]) for position in order if rows[position] >= FEWEST_ROWS_OF_LEVEL]
