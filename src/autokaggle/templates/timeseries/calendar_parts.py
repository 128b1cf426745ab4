"""The calendar as features; this file says where in day, week, month and year a moment lies, and how near a holiday.

The year itself is left out: a model that knows it fits the years of train and says nothing of the next.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from date_parts import to_dates
from holiday_parts import holds_countries, near_holidays

# Only what repeats at least so often among the steps is worth a feature.
YEAR_DAYS = 365.25
HARMONICS = (1, 2, 3)


@dataclass(frozen=True)
class Calendar:
    """What to say of a moment; ``country`` names the column of countries whose holidays are known, "" for none."""

    column: str
    country: str

    @classmethod
    def fit(cls, name: str, train: pd.DataFrame, others: list[str]) -> Calendar:
        """Look for a column of countries."""
        return cls(name, next((column for column in others if holds_countries(train[column])), ""))

    def __call__(self, table: pd.DataFrame) -> dict[str, pd.Series]:
        moments = to_dates(table[self.column]).reset_index(drop=True)
        days = moments.dt.day_of_year + (moments.dt.hour / 24)
        found: dict[str, pd.Series] = {
            "month": moments.dt.month.astype("category"),
            "weekday": moments.dt.day_of_week.astype("category"),
            "hour": moments.dt.hour.astype("category"),
            "day of month": moments.dt.day.astype("float64"),
            "days to month's end": (moments.dt.days_in_month - moments.dt.day).astype("float64"),
            "day of year": moments.dt.day_of_year.astype("float64"),
            "minute": moments.dt.minute.astype("float64"),
        }
        for harmonic in HARMONICS:
            angle = 2 * np.pi * harmonic * days / YEAR_DAYS
            found[f"year, sine {harmonic}"] = np.sin(angle).astype("float64")
            found[f"year, cosine {harmonic}"] = np.cos(angle).astype("float64")
        if self.country:
            found |= near_holidays(moments.dt.normalize(), table[self.country].reset_index(drop=True))
        return {f"calendar: {name}": column for name, column in found.items()}
