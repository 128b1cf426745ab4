"""Holidays; this file says how near a day is to one in its row's country. It needs the package holidays.

Without the package, or where a value is no country that it knows, nothing is said.
"""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

NEAR_DAYS = 10
COUNTRY_SAMPLE = 300
FIRST_DAY = pd.Timestamp("1970-01-01")


def holidays_of(country: str, years: list[int]) -> list[pd.Timestamp]:
    """Return the holidays of a country by its name or code, none where it is not known."""
    try:
        import holidays
    except ImportError:
        return []
    # The package names its classes after countries: United States is UnitedStates, US is US.
    known = getattr(holidays, re.sub(r"\W", "", country.title() if len(country) > 3 else country.upper()), None)
    # Later versions give something that loads the class when it is called, so what it makes is looked at.
    try:
        found = known(years=years) if callable(known) else None
    except TypeError:  # something else of this name
        found = None
    return sorted(pd.Timestamp(day) for day in found) if isinstance(found, holidays.HolidayBase) else []


def holds_countries(column: pd.Series) -> bool:
    """Say whether all values are countries whose holidays are known."""
    if not pd.api.types.is_string_dtype(column):
        return False
    values = column.dropna().unique()
    return 0 < len(values) <= COUNTRY_SAMPLE and all(holidays_of(str(value), [2020]) for value in values)


def near_holidays(dates: pd.Series, countries: pd.Series) -> dict[str, pd.Series]:
    """Return days since the last and until the next holiday of each row's country, at most ``NEAR_DAYS``."""
    since = np.full(len(dates), float(NEAR_DAYS))
    until = since.copy()
    years = [int(year) for year in dates.dt.year.dropna().unique()]
    for country in countries.dropna().unique():
        found = holidays_of(str(country), [min(years) - 1, *years, max(years) + 1])
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
