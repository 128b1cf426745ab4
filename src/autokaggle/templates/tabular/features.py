"""What the columns mean; this file turns raw columns into numbers, categories and keys, without looking at targets.

``fit`` learns from tables what to do with each column, ``transform`` does it row by row: a row's features depend on
that row and on the state alone. The result holds numbers; categories (dtype category); and *keys*, plain text with
too many different values for a category, of which ``encoding.py`` uses how often they occur with which target.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

import files
from date_parts import DateParts, looks_like_dates
from text_parts import TextParts

Table = pd.DataFrame

# A category with more levels than this says little per level; LightGBM's own binning ends at 255.
MOST_LEVELS = 255
FEWEST_ROWS_PER_LEVEL = 20


@dataclass(frozen=True)
class State:
    """What was learned: the steps, in the order of their features."""

    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Step:
    """One column's way into the table of features."""

    source: str
    make: Callable[[pd.Series], dict[str, pd.Series]]


def fit(train: Table, test: Table | None = None) -> State:
    """Learn the steps from the rows given; ``test`` rows help to count values, and have no targets."""
    both = train if test is None else pd.concat([train, test], ignore_index=True)
    kinds: dict[str, str] = files.config()["columns"]
    steps: list[Step] = []
    for name, kind in kinds.items():
        if name in both.columns and not both[name].isna().all():
            steps += _steps(name, kind, both[name], None if test is None else test[name])
    return State(tuple(steps))


def transform(table: Table, state: State) -> Table:
    """Return the features of each row of ``table``, in its order."""
    columns: dict[str, pd.Series] = {}
    for step in state.steps:
        columns.update(step.make(table[step.source].reset_index(drop=True)))
    return pd.DataFrame(columns, index=pd.RangeIndex(len(table)))


def _steps(name: str, kind: str, column: pd.Series, test: pd.Series | None) -> list[Step]:
    if kind in ("constant", "duplicate", "path"):
        return []
    if kind == "datetime" or looks_like_dates(column):
        return [Step(name, DateParts.fit(name, column, test))]
    if kind == "number" or pd.api.types.is_numeric_dtype(column):
        return [] if kind == "id" else [Step(name, Number(name))]
    if kind != "id" and column.nunique() <= most_levels(len(column)):
        return [Step(name, Category(name))]
    return [Step(name, TextParts.fit(name, column, is_id=kind == "id", most_levels=most_levels(len(column))))]


def most_levels(rows: int) -> int:
    """Return how many different values a category may have in a table of so many rows."""
    return int(np.clip(rows // FEWEST_ROWS_PER_LEVEL, 10, MOST_LEVELS))


@dataclass(frozen=True)
class Number:
    """The column as it is; text that is no number is missing."""

    name: str

    def __call__(self, column: pd.Series) -> dict[str, pd.Series]:
        return {self.name: pd.to_numeric(column, errors="coerce").astype("float64")}


@dataclass(frozen=True)
class Category:
    """The column as a category."""

    name: str

    def __call__(self, column: pd.Series) -> dict[str, pd.Series]:
        return {self.name: column.astype("category")}
