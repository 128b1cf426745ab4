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

import blocks
import files
import lookups
import original
from date_parts import DateParts, looks_like_dates
from text_parts import TextParts

Table = pd.DataFrame

# A category with more levels than this says little per level; LightGBM's own binning ends at 255.
MOST_LEVELS = 255
FEWEST_ROWS_PER_LEVEL = 20
# Columns that are zero in so many rows, take more values than this and are of one scale are amounts to add up.
ZERO_SHARE = 0.3
FEWEST_AMOUNTS = 20
FEWEST_AMOUNT_COLUMNS = 3
WIDEST_SCALE = 10


@dataclass(frozen=True)
class State:
    """What was learned: the steps, in the order of their features."""

    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Step:
    """How columns become features; ``make`` gets the columns named in ``sources``, in this order."""

    sources: tuple[str, ...]
    make: Callable[..., dict[str, pd.Series]]


def fit(train: Table, test: Table | None = None) -> State:
    """Learn the steps from the rows given; ``test`` rows help to count values, and have no targets."""
    both = train if test is None else pd.concat([train, test], ignore_index=True)
    kinds: dict[str, str] = files.config()["columns"]
    steps: list[Step] = []
    for name, kind in kinds.items():
        if name in both.columns and not both[name].isna().all():
            steps += _steps(name, kind, both[name], None if test is None else test[name])
    steps += [Step(sources, make) for sources, make in lookups.fit(both, kinds, most_levels(len(both)))]
    return State((*steps, *_amounts(both, steps), *_blocks(both, steps), *_original(both, steps)))


def transform(table: Table, state: State) -> Table:
    """Return the features of each row of ``table``, in its order."""
    columns: dict[str, pd.Series] = {}
    for step in state.steps:
        made = step.make(*(table[name].reset_index(drop=True) for name in step.sources))
        for label, column in made.items():
            columns[_new_label(label, columns)] = column
    return pd.DataFrame(columns, index=pd.RangeIndex(len(table)))


def _blocks(table: Table, steps: list[Step]) -> list[Step]:
    """Return the steps of the blocks that the configuration asks for."""
    wanted = files.config()["features"].get("blocks", [])
    numbers = [step.make.name for step in steps if isinstance(step.make, Number)]
    categories = [step.make.name for step in steps if isinstance(step.make, Category)]
    known = table[[name for name in files.config()["columns"] if name in table]]
    return [Step(sources, make) for sources, make in blocks.fit(known, numbers, categories, wanted)]


def _original(table: Table, steps: list[Step]) -> list[Step]:
    """Return the steps that tell what the original data set says, where the configuration asks for it."""
    if "columns" not in files.config()["features"].get("original", []):
        return []
    numbers = [step.make.name for step in steps if isinstance(step.make, Number)]
    categories = [step.make.name for step in steps if isinstance(step.make, Category)]
    return [Step(sources, make) for sources, make in original.fit(table, numbers, categories)]


def _new_label(label: str, taken: dict[str, pd.Series]) -> str:
    """Return a label that no other feature has: a raw column may be called like what is made of another."""
    while label in taken:
        label += "'"
    return label


def _steps(name: str, kind: str, column: pd.Series, test: pd.Series | None) -> list[Step]:
    if kind in ("constant", "duplicate", "path"):
        return []
    if kind == "datetime" or looks_like_dates(column):
        return [Step((name,), DateParts.fit(name, column, test))]
    if kind == "number" or pd.api.types.is_numeric_dtype(column):
        return [] if kind == "id" else [Step((name,), Number(name))]
    if kind != "id" and column.nunique() <= most_levels(len(column)):
        return [Step((name,), Category(name))]
    return [Step((name,), TextParts.fit(name, column, is_id=kind == "id", most_levels=most_levels(len(column))))]


def _amounts(table: Table, steps: list[Step]) -> list[Step]:
    """Return a step that adds up amounts (of money, of items): numbers never below zero and often at it."""
    numbers = [step.make.name for step in steps if isinstance(step.make, Number)]
    values = {name: pd.to_numeric(table[name], errors="coerce") for name in numbers}
    amounts = [
        name
        for name, column in values.items()
        if column.min() >= 0 and (column == 0).mean() >= ZERO_SHARE and column.nunique() > FEWEST_AMOUNTS
    ]
    largest = [values[name].max() for name in amounts]
    comparable = len(amounts) >= FEWEST_AMOUNT_COLUMNS and max(largest) <= WIDEST_SCALE * min(largest)
    return [Step(tuple(amounts), Amounts())] if comparable else []


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


@dataclass(frozen=True)
class Amounts:
    """The sum of amounts, the largest, and how many are zero."""

    def __call__(self, *columns: pd.Series) -> dict[str, pd.Series]:
        values = pd.concat([pd.to_numeric(column, errors="coerce") for column in columns], axis=1)
        return {
            "amounts: sum": values.sum(axis=1).astype("float64"),
            "amounts: largest": values.max(axis=1).astype("float64"),
            "amounts: zeros": (values == 0).sum(axis=1).astype("float64"),
        }
