"""What happened before; this file keeps the values of every series step by step and answers questions about them.

The last series is the mean of all others: it also stands for series that were not seen.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

# 320 MB; beyond that the oldest steps are forgotten.
MOST_CELLS = 40_000_000


@dataclass(frozen=True, eq=False)
class History:
    """``values`` is (series + 1, steps), NaN where nothing was measured; step 0 is ``first``."""

    first: int
    values: Floats
    sums: Floats
    counts: Floats

    @classmethod
    def fit(cls, series: Integers, steps: Integers, values: Floats) -> History:
        """Keep the mean of the values of each series (numbered from 0) at each step; missing values are left out."""
        known = np.isfinite(values)
        series, steps, values = series[known], steps[known], values[known]
        count = int(series.max(initial=0)) + 1
        last = int(steps.max(initial=0))
        first = max(int(steps.min(initial=last)), last - MOST_CELLS // count + 1)
        kept = steps >= first
        place = series[kept] * (last - first + 1) + steps[kept] - first
        cells = count * (last - first + 1)
        rows = np.bincount(place, minlength=cells).reshape(count, -1)
        total = np.bincount(place, weights=values[kept], minlength=cells).reshape(count, -1)
        single = np.where(rows > 0, total / np.maximum(rows, 1), np.nan)
        # Levels differ between series, and series begin and end: the mean of all follows departures from own levels.
        levels = _mean(single, axis=1)[:, None]
        together = _mean(single - levels, axis=0) + np.nanmean(levels)
        panel = np.vstack([single, together])
        zero = np.zeros((len(panel), 1))
        sums = np.hstack([zero, np.nancumsum(panel, axis=1)])
        counts = np.hstack([zero, np.cumsum(np.isfinite(panel), axis=1)])
        return cls(first, panel, sums, counts)

    @property
    def last(self) -> int:
        """The last step that is known."""
        return self.first + int(self.values.shape[1]) - 1

    @property
    def all_series(self) -> int:
        """The number of the series that is the mean of all."""
        return len(self.values) - 1

    def start(self, series: Integers) -> Integers:
        """Return the first step at which each series has a value."""
        first: Integers = np.argmax(np.isfinite(self.values), axis=1)
        return self.first + first[series]

    def at(self, series: Integers, steps: Integers) -> Floats:
        """Return the value of each series at each step, NaN where there is none."""
        place = steps - self.first
        inside = (place >= 0) & (place < self.values.shape[1])
        return np.where(inside, self.values[series, np.clip(place, 0, self.values.shape[1] - 1)], np.nan)

    def mean(self, series: Integers, end: Integers, width: int) -> Floats:
        """Return the mean of the ``width`` steps that end with ``end``, NaN where none was measured."""
        stop = np.clip(end - self.first + 1, 0, self.values.shape[1])
        start = np.clip(end - self.first + 1 - width, 0, self.values.shape[1])
        counts = self.counts[series, stop] - self.counts[series, start]
        sums = self.sums[series, stop] - self.sums[series, start]
        return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def _mean(values: Floats, axis: int) -> Floats:
    """Return means over what is known; NaN where nothing is."""
    counts = np.isfinite(values).sum(axis=axis)
    return np.where(counts > 0, np.nansum(values, axis=axis) / np.maximum(counts, 1), np.nan)
