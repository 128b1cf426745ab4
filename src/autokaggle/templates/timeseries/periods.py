"""Time in steps; this file turns the time column into whole numbers, one step apart, and names its seasons.

Steps are found from the distances between neighbouring moments: minutes, hours, days, weeks, months, quarters, years,
or the unit of a column that holds plain numbers. Gaps stay gaps.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from date_parts import looks_like_dates, to_dates

Integers = npt.NDArray[np.int64]

DAY = 86_400
# Months and longer are no fixed number of seconds.
MONTHS_OF_DAYS = ((28, 31, 1), (89, 92, 3), (181, 184, 6), (365, 366, 12))


@dataclass(frozen=True)
class Periods:
    """How moments become numbers: ``months`` steps of so many months, else ``seconds``; 0 and 0 for plain numbers."""

    column: str
    months: int
    seconds: float
    origin: float

    @classmethod
    def fit(cls, name: str, column: pd.Series) -> Periods:
        """Find the commonest distance between neighbouring moments."""
        if not is_date(column):
            moments = np.unique(pd.to_numeric(column, errors="coerce").dropna().to_numpy(np.float64))
            return cls(name, 0, _commonest(np.diff(moments)), float(moments.min()) if len(moments) else 0.0)
        moments = np.unique(_seconds(to_dates(column).dropna()))
        step = _commonest(np.diff(moments))
        for shortest, longest, months in MONTHS_OF_DAYS:
            if shortest * DAY <= step <= longest * DAY:
                return cls(name, months, 0.0, 0.0)
        return cls(name, 0, step, float(moments.min()) if len(moments) else 0.0)

    def number(self, column: pd.Series) -> Integers:
        """Return each row's step; rows without a moment are in the first step."""
        if self.months:
            moments = to_dates(column)
            months = moments.dt.year * 12 + moments.dt.month - 1
            return np.asarray(months.fillna(months.min()) // self.months, dtype=np.int64)
        values = _seconds(to_dates(column)) if is_date(column) else pd.to_numeric(column, errors="coerce").to_numpy()
        return np.floor((np.nan_to_num(values, nan=self.origin) - self.origin) / self.seconds + 1e-6).astype(np.int64)

    def seasons(self, is_dates: bool) -> tuple[int, ...]:
        """Return how many steps a day, a week, a year have, as far as they are more than one step."""
        if self.months:
            return (12 // self.months,) if self.months < 12 else ()
        if not is_dates:
            return ()
        # A year of 52 weeks: the same weekday.
        lengths = (DAY, 7 * DAY, 364 * DAY)
        return tuple(round(length / self.seconds) for length in lengths if length / self.seconds > 1.5)


def is_date(column: pd.Series) -> bool:
    """Say whether the column holds dates rather than plain numbers."""
    return looks_like_dates(column)


def _seconds(moments: pd.Series) -> npt.NDArray[np.float64]:
    numbers = moments.astype("datetime64[s]").astype("int64").to_numpy(np.float64)
    return np.where(moments.isna().to_numpy(), np.nan, numbers)


def _commonest(steps: npt.NDArray[np.float64]) -> float:
    if not len(steps):
        return 1.0
    values, counts = np.unique(steps, return_counts=True)
    return float(values[np.argmax(counts)])
