"""A matrix without gaps for linear models; this file fills, scales and spreads out what trees can take as it is.

Numbers: the median for missing values and a flag for them, log1p of long-tailed ones, mean 0 and deviation 1, cut at
five deviations. Categories: one column for each of the commonest levels. A part of the matrix is looked at at a time:
no copy of it is made, and the clock is looked at between parts.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

import clock
from encoding import Matrix

LONG_TAIL = 0.75
CUT = 5.0
MOST_LEVELS = 40
FEWEST_ROWS_OF_LEVEL = 5
# Columns to learn from at once, which lie beside each other in memory, and cells to encode at once.
COLUMNS_AT_ONCE = 16
CELLS_AT_ONCE = 1 << 18
# Of the time of a fit so much may go by before the columns that were not looked at are left out.
SHARE_OF_TIME = 0.5

Vector = npt.NDArray[np.float64]
Floats = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Dense:
    """What was learned from the rows that train; positions are columns of the matrix that trees get.

    ``replay`` holds the parameter with which ``fit`` learns the same without a clock, empty when no column
    was left out.
    """

    numbers: tuple[int, ...]
    gaps: tuple[int, ...]
    tailed: npt.NDArray[np.bool_]
    medians: Vector
    means: Vector
    deviations: Vector
    levels: tuple[tuple[int, float], ...]
    replay: dict[str, int]

    def encode(self, x: Matrix) -> Matrix:
        """Return (n_rows, numbers + flags + levels) in float32, without a missing value.

        Where there is none of these, one column says the same of each row: models want something to learn from.
        """
        numbers, gaps = (np.array(each, dtype=np.int64) for each in (self.numbers, self.gaps))
        places = np.array([position for position, _ in self.levels], dtype=np.int64)
        levels = np.array([level for _, level in self.levels], dtype=np.float32)
        flags = len(numbers) + len(gaps)
        found = np.zeros((len(x), max(1, flags + len(levels))), dtype=np.float32)
        rows = max(1, CELLS_AT_ONCE // max(1, x.shape[1]))
        for start in range(0, len(x), rows):
            part, into = x[start : start + rows], found[start : start + rows]
            scaled = _filled(part[:, numbers], self.medians, self.tailed)
            scaled -= self.means
            scaled /= self.deviations
            into[:, : len(numbers)] = np.clip(scaled, -CUT, CUT, out=scaled)
            into[:, len(numbers) : flags] = np.isnan(part[:, gaps])
            into[:, flags : flags + len(levels)] = part[:, places] == levels
        return found


def fit(
    x: Matrix, category_columns: list[int], end: float = math.inf, parameters: dict[str, Any] | None = None
) -> Dense:
    """Learn medians, tails, scales and levels from the rows of ``x``.

    ``end`` is that of the whole fit; ``parameters`` may hold those of a replay.
    """
    now = time.time()
    most = (parameters or {}).get("dense_columns")
    end = math.inf if most is not None else now + SHARE_OF_TIME * (end - now)
    positions = np.setdiff1d(np.arange(x.shape[1]), category_columns)[:most]
    levels = [(position, level) for position in category_columns for level in _common_levels(x[:, position])]
    gaps = [position for position in category_columns if np.isnan(x[:, position]).any()]
    numbers: list[int] = []
    learned: list[tuple[Vector, Vector, Vector, npt.NDArray[np.bool_]]] = [_nothing()]
    looked = 0
    while looked < len(positions) and (not looked or not clock.is_over(end)):
        some = positions[looked : looked + COLUMNS_AT_ONCE]
        looked += len(some)
        columns = np.ascontiguousarray(x[:, some].T)
        missing = np.isnan(columns)
        is_known = ~missing.all(axis=1)
        gaps += some[missing.any(axis=1)].tolist()
        numbers += some[is_known].tolist()
        learned.append(_learn(columns[is_known], missing[is_known]))
    medians, means, deviations, tailed = (np.concatenate(each) for each in zip(*learned, strict=True))
    return Dense(
        numbers=tuple(numbers),
        gaps=tuple(sorted(gaps)),
        tailed=tailed,
        medians=medians,
        means=means,
        deviations=np.where(deviations > 0, deviations, 1.0),
        levels=tuple(levels),
        replay={"dense_columns": looked} if looked < len(positions) else {},
    )


def _learn(columns: Matrix, missing: npt.NDArray[np.bool_]) -> tuple[Vector, Vector, Vector, npt.NDArray[np.bool_]]:
    """Return medians, means, deviations, and which lean to one side; a row of ``columns`` is a column of the matrix."""
    if not len(columns):
        return _nothing()
    medians = np.array([_median(values[~gaps]) for values, gaps in zip(columns, missing, strict=True)])
    filled = np.where(missing, medians[:, None], columns)
    means, deviations, skews = _moments(filled)
    tailed = (filled.min(axis=1) >= 0) & (np.abs(skews) > LONG_TAIL)
    if tailed.any():
        means[tailed], deviations[tailed], _ = _moments(np.log1p(filled[tailed]))
    return medians, means, deviations, tailed


def _moments(values: Vector) -> tuple[Vector, Vector, Vector]:
    """Return mean, deviation and skewness of each row."""
    means = values.mean(axis=1)
    centred = values - means[:, None]
    squares = centred * centred
    deviations = np.sqrt(squares.mean(axis=1))
    squares *= centred  # many times as fast as a power
    return means, deviations, squares.mean(axis=1) / np.where(deviations > 0, deviations, 1.0) ** 3


def _median(values: Matrix) -> float:
    middle = len(values) // 2
    if len(values) % 2:
        return float(np.partition(values, middle)[middle])
    around = np.partition(values, (middle - 1, middle))
    return (float(around[middle - 1]) + float(around[middle])) / 2


def _nothing() -> tuple[Vector, Vector, Vector, npt.NDArray[np.bool_]]:
    return np.empty(0), np.empty(0), np.empty(0), np.empty(0, dtype=np.bool_)


def _filled(values: Matrix, medians: Vector, tailed: npt.NDArray[np.bool_]) -> Vector:
    filled = np.where(np.isnan(values), medians, values)
    filled[:, tailed] = np.log1p(np.maximum(filled[:, tailed], 0.0))
    return filled


def _common_levels(column: npt.NDArray[np.float32]) -> list[float]:
    levels, rows = np.unique(column[~np.isnan(column)], return_counts=True)
    order = np.argsort(-rows, kind="stable")[:MOST_LEVELS]
    return [float(levels[position]) for position in order if rows[position] >= FEWEST_ROWS_OF_LEVEL]
