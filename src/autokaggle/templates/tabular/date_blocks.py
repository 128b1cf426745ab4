"""Further features of dates; this file makes those that help some data: cycles, holidays, and departures from order.

``blocks.py`` offers them. Each row's features depend on that row and on what was learned alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from date_parts import looks_like_dates, to_dates
from holiday_parts import holds_countries, near_holidays

Columns = dict[str, pd.Series]
# The columns that are read, and what is made of them.
Found = list[tuple[tuple[str, ...], Callable[..., Columns]]]

# How long each part of a date takes to come round.
CYCLES = {"month": ("month", 12.0), "weekday": ("day_of_week", 7.0), "hour": ("hour", 24.0)}
YEAR = ("day_of_year", 365.25)
DAY = pd.Timedelta(days=1)
MOST_KNOTS, ROWS_PER_KNOT = 200, 20
SAMPLE_ROWS = 100
# Rows that are numbered in the order of their dates: from this rank correlation on.
ORDERED = 0.9


@dataclass(frozen=True)
class Cycles:
    """Where in its cycles a moment lies, as sine and cosine: the last hour of a day is next to the first."""

    name: str
    parts: tuple[tuple[str, str, float], ...]

    def __call__(self, column: pd.Series) -> Columns:
        moments = to_dates(column)
        made = {}
        for part, attribute, length in self.parts:
            angle = 2 * np.pi * getattr(moments.dt, attribute).astype("float64") / length
            made[f"{self.name}: {part}, sine"], made[f"{self.name}: {part}, cosine"] = np.sin(angle), np.cos(angle)
        return made


@dataclass(frozen=True)
class Holidays:
    """Days since the last and until the next holiday of the row's country."""

    name: str

    def __call__(self, column: pd.Series, country: pd.Series) -> Columns:
        found = near_holidays(to_dates(column).dt.normalize(), country)
        return {f"{self.name}: {label}": values for label, values in found.items()}


@dataclass(frozen=True)
class OutOfOrder:
    """By how many days a row is later than others numbered like it: an order that was entered late, or moved."""

    name: str
    numbers: tuple[float, ...]
    days: tuple[float, ...]

    def __call__(self, column: pd.Series, number: pd.Series) -> Columns:
        usual = np.interp(_values(number).to_numpy(np.float64), self.numbers, self.days)
        return {f"{self.name}: days later than its number": pd.Series(_days(column) - usual)}


def cycles(table: pd.DataFrame, numbers: Sequence[str], categories: Sequence[str]) -> Found:
    """Learn which cycles the dates go through."""
    found: Found = []
    for name in _dates(table):
        moments = to_dates(table[name])
        parts = [
            (part, attribute, length)
            for part, (attribute, length) in {**CYCLES, "year": YEAR}.items()
            if getattr(moments.dt, attribute).nunique() > 2
        ]
        if parts:
            found.append(((name,), Cycles(name, tuple(parts))))
    return found


def holidays(table: pd.DataFrame, numbers: Sequence[str], categories: Sequence[str]) -> Found:
    """Find a column of countries for the dates; days without a time have holidays, single hours too."""
    countries = [name for name in categories if holds_countries(table[name])][:1]
    return [((name, country), Holidays(name)) for country in countries for name in _dates(table)]


def out_of_order(table: pd.DataFrame, numbers: Sequence[str], categories: Sequence[str]) -> Found:
    """Learn which date rows of a number usually have, where rows are numbered in the order of their dates."""
    found: Found = []
    for number in _row_numbers(table, numbers):
        place = _values(table[number]).to_numpy(np.float64)
        for name in _dates(table):
            days = _days(table[name])
            known = np.isfinite(days) & np.isfinite(place)
            ranks = [pd.Series(values[known]).rank() for values in (place, days)]
            if not ORDERED <= ranks[0].corr(ranks[1]) < 1:
                continue
            order = np.argsort(place[known], kind="stable")
            parts = np.array_split(order, max(1, min(MOST_KNOTS, len(order) // ROWS_PER_KNOT)))
            knots = [(float(np.median(place[known][part])), float(np.median(days[known][part]))) for part in parts]
            found.append(((name, number), OutOfOrder(name, *(tuple(axis) for axis in zip(*knots, strict=True)))))
    return found


def _dates(table: pd.DataFrame) -> list[str]:
    return [str(name) for name in table if looks_like_dates(table[name])]


def _row_numbers(table: pd.DataFrame, numbers: Sequence[str]) -> list[str]:
    """Return columns that number the rows: whole numbers, each once, and no feature; ids may be held as text."""
    found = []
    for name in table:
        if name in numbers or looks_like_dates(table[name]) or _values(table[name].head(SAMPLE_ROWS)).isna().any():
            continue
        values = _values(table[name])
        if values.is_unique and (values % 1 == 0).all():
            found.append(str(name))
    return found


def _values(column: pd.Series) -> pd.Series:
    values: pd.Series = pd.to_numeric(column, errors="coerce").astype("float64")
    return values


def _days(column: pd.Series) -> npt.NDArray[np.float64]:
    days = (to_dates(column) - pd.Timestamp(0)) / DAY
    return np.asarray(days, dtype=np.float64)
