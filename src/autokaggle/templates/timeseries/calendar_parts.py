"""The calendar as features; this file says where in day, week, month and year a moment lies, and how near a holiday.

The year itself is left out: a model that knows it fits the years of train and says nothing of the next.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import pandas as pd

from date_parts import to_dates

# Only what repeats at least so often among the steps is worth a feature.
YEAR_DAYS = 365.25
NEAR_DAYS = 10
HARMONICS = (1, 2, 3)
COUNTRY_SAMPLE = 300
FIRST_DAY = pd.Timestamp("1970-01-01")


@dataclass(frozen=True)
class Calendar:
    """What to say of a moment; ``country`` names the column of countries whose holidays are known, "" for none."""

    column: str
    country: str

    @classmethod
    def fit(cls, name: str, train: pd.DataFrame, others: list[str]) -> Calendar:
        """Look for a column of countries."""
        return cls(name, next((column for column in others if _holds_countries(train[column])), ""))

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
            found |= _near_holidays(moments.dt.normalize(), table[self.country].reset_index(drop=True))
        return {f"calendar: {name}": column for name, column in found.items()}


def _holidays_of(country: str, years: list[int]) -> list[pd.Timestamp]:
    """Return the holidays of a country by its name or code, none where it is not known."""
    try:
        import holidays
    except ImportError:
        return []
    # The package names its classes after countries: United States is UnitedStates, US is US.
    known = getattr(holidays, re.sub(r"\W", "", country.title() if len(country) > 3 else country.upper()), None)
    if not (isinstance(known, type) and issubclass(known, holidays.HolidayBase)):
        return []
    return sorted(pd.Timestamp(day) for day in known(years=years))


def _holds_countries(column: pd.Series) -> bool:
    if not pd.api.types.is_string_dtype(column):
        return False
    values = column.dropna().unique()
    return 0 < len(values) <= COUNTRY_SAMPLE and all(_holidays_of(str(value), [2020]) for value in values)


def _near_holidays(dates: pd.Series, countries: pd.Series) -> dict[str, pd.Series]:
    """Return days since the last and until the next holiday of each row's country, at most ``NEAR_DAYS``."""
    since = np.full(len(dates), float(NEAR_DAYS))
    until = since.copy()
    years = [int(year) for year in dates.dt.year.dropna().unique()]
    for country in countries.dropna().unique():
        found = _holidays_of(str(country), [min(years) - 1, *years, max(years) + 1])
        if not found:
            continue
        days = np.array([(day - FIRST_DAY).days for day in found])
        rows = np.flatnonzero((countries == country).to_numpy() & dates.notna().to_numpy())
        own = (dates.iloc[rows] - FIRST_DAY).dt.days.to_numpy(np.int64)
        before = np.clip(np.searchsorted(days, own, side="right") - 1, 0, len(days) - 1)
        after = np.clip(np.searchsorted(days, own, side="left"), 0, len(days) - 1)
        since[rows] = np.clip(own - days[before], 0, NEAR_DAYS)
        until[rows] = np.clip(days[after] - own, 0, NEAR_DAYS)
    return {"days since holiday": pd.Series(since), "days until holiday": pd.Series(until)}
