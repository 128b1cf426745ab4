"""Dates as numbers; this file reads dates and takes them apart.

Days since some start are left out: a model that knows the absolute time fits the train period and
extrapolates badly, whatever the validation says.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import pandas as pd

ISO_DATE = re.compile(r"\s*\d{4}[-/.]\d{1,2}[-/.]\d{1,2}([ T]\d{1,2}:\d{2}.*)?\s*")
OFFSET = re.compile(r"(\d:\d\d.*?)\s?(?:Z|[+-]\d\d(?::?\d\d)?)\s*$")
SAMPLE_ROWS = 200
PARTS = {
    "year": "year",
    "month": "month",
    "day": "day",
    "weekday": "day_of_week",
    "day of year": "day_of_year",
    "hour": "hour",
    "minute": "minute",
}
# A part of which test holds mostly unseen values (days 20 to 31 after a train month of 19 days) misleads.
SEEN_SHARE = 0.5


@dataclass(frozen=True)
class DateParts:
    """The parts of a date that vary, each under ``name: part``."""

    name: str
    parts: tuple[str, ...]

    @classmethod
    def fit(cls, name: str, column: pd.Series, test: pd.Series | None) -> DateParts:
        """Keep the parts that vary, and whose values in ``test`` mostly occur among the other rows."""
        moments = to_dates(column)
        rows_before = len(column) - (0 if test is None else len(test))
        parts = []
        for part, attribute in PARTS.items():
            values = getattr(moments.dt, attribute)
            known, asked = values.iloc[:rows_before], values.iloc[rows_before:].dropna()
            if known.nunique() > 1 and (asked.empty or asked.isin(known).mean() >= SEEN_SHARE):
                parts.append(part)
        return cls(name, tuple(parts))

    def __call__(self, column: pd.Series) -> dict[str, pd.Series]:
        moments = to_dates(column)
        return {f"{self.name}: {part}": getattr(moments.dt, PARTS[part]).astype("float64") for part in self.parts}


def looks_like_dates(column: pd.Series) -> bool:
    """Say whether a column holds times, or text that starts with a date from year to day."""
    if pd.api.types.is_datetime64_any_dtype(column):
        return True
    if not pd.api.types.is_string_dtype(column):
        return False
    sample = column.dropna().head(SAMPLE_ROWS)
    return bool(len(sample)) and all(ISO_DATE.fullmatch(str(value)) for value in sample)


def to_dates(column: pd.Series) -> pd.Series:
    """Return the column as times without a zone; what is no date is missing.

    Of text with an offset what the clock showed there is taken: days and hours are those of the people at work. So the
    parsed tables and the folds have it too.
    """
    if pd.api.types.is_datetime64_any_dtype(column):
        moments = column
    else:
        shown = column.astype("str").str.replace(OFFSET, r"\1", regex=True)
        moments = pd.to_datetime(shown, errors="coerce", format="mixed")
    return moments if moments.dt.tz is None else moments.dt.tz_convert("UTC").dt.tz_localize(None)
