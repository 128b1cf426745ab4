"""Tables that tell more of a value; this file joins them to the rows that hold the value.

``lookups`` in ``config.yaml`` lists them with the columns that join. Of a table with one row for each key the columns
are taken as they are; of several rows, their number and the mean, the least and the largest of each number, on the
same day where both tables have dates.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

import files
from date_parts import looks_like_dates, to_dates

Table = pd.DataFrame
# The columns of train that are read, and what is made of them.
Found = list[tuple[tuple[str, ...], Callable[..., dict[str, pd.Series]]]]

# Another column of train joins the same table when so many of its values are keys of it.
SURELY_FOUND = 0.8
FEWEST_VALUES = 3
SAME_DAYS = 0.5
HOW = ("mean", "min", "max")
MOST_COLUMNS = 40
SEPARATOR = "\x1f"


@dataclass(frozen=True)
class Lookup:
    """What is known of each key, one row each; ``label`` begins the names of what is made."""

    label: str
    known: Table
    is_by_day: bool

    def __call__(self, *columns: pd.Series) -> dict[str, pd.Series]:
        places = self.known.index.get_indexer(pd.Index(_keys(columns, self.is_by_day)))
        joined = self.known.take(np.maximum(places, 0)).reset_index(drop=True)
        made = {}
        for name, column in joined.items():
            made[f"{self.label}: {name}"] = column.where(pd.Series(places >= 0), np.nan)
        return made


def fit(table: Table, kinds: Mapping[str, str], most_levels: int) -> Found:
    """Read the lookup tables and learn what to join to which columns of ``table``."""
    found: Found = []
    for each in files.config().get("lookups", []):
        other = files.load_table(str(each["table"]).removesuffix(".parquet"))
        joins = {str(key): str(column) for key, column in each["join"].items()}
        if not set(joins) <= set(other.columns) or not set(joins.values()) <= set(table.columns):
            continue
        if each["is_unique"]:
            found += _one_row_each(each, other, joins, table, kinds, most_levels)
        else:
            found += _several_rows_each(each, other, joins, table, kinds)
    return found


def _one_row_each(
    each: Mapping[str, Any], other: Table, joins: dict[str, str], table: Table, kinds: Mapping[str, str], levels: int
) -> Found:
    keys = list(joins)
    columns: dict[str, pd.Series] = {}
    for name in other.columns:
        if name not in keys and len(columns) < MOST_COLUMNS:
            columns |= _useful(name, other[name], levels)
    if not columns:
        return []
    known = pd.DataFrame(columns)
    known.index = pd.Index(_keys([other[key] for key in keys], is_by_day=False))
    known = known[~known.index.duplicated()]
    targets = [tuple(joins.values())]
    if len(keys) == 1:
        targets += [(name,) for name in _also_keys(table, kinds, known.index, targets[0][0])]
    label = str(each["table"]).removesuffix(".parquet")
    return [(names, Lookup(f"{label} of {', '.join(names)}", known, is_by_day=False)) for names in targets]


def _several_rows_each(
    each: Mapping[str, Any], other: Table, joins: dict[str, str], table: Table, kinds: Mapping[str, str]
) -> Found:
    numbers = [name for name in other.columns if name not in joins and pd.api.types.is_numeric_dtype(other[name])]
    days = _same_days(other, table, kinds)
    keys = [other[key] for key in joins] + ([other[days[0]]] if days else [])
    index = pd.Index(_keys(keys, is_by_day=bool(days)))
    grouped = other[numbers[:MOST_COLUMNS]].astype("float64").groupby(index.to_numpy())
    known = grouped.agg(list(HOW)) if numbers else pd.DataFrame(index=index.unique())
    known.columns = [f"{how} of {name}" for name in numbers[:MOST_COLUMNS] for how in HOW]
    known["rows"] = pd.Series(1.0, index=index).groupby(level=0).sum()
    names = (*joins.values(), days[1]) if days else tuple(joins.values())
    label = str(each["table"]).removesuffix(".parquet")
    return [(names, Lookup(f"{label} of {', '.join(names)}", known, is_by_day=bool(days)))]


def _useful(name: str, column: pd.Series, most_levels: int) -> dict[str, pd.Series]:
    """Return the column as a number or a category, nothing when its texts are all but different."""
    if pd.api.types.is_numeric_dtype(column):
        return {name: column.astype("float64")}
    if looks_like_dates(column):
        return {f"{name}, year": to_dates(column).dt.year.astype("float64")}
    return {name: column.astype("category")} if 1 < column.nunique() <= most_levels else {}


def _also_keys(table: Table, kinds: Mapping[str, str], known: pd.Index, joined: str) -> list[str]:
    found = []
    for name in kinds:
        if name == joined or name not in table or not pd.api.types.is_string_dtype(table[name]):
            continue
        values = pd.Index(_text(table[name].dropna()).unique())
        if len(values) >= FEWEST_VALUES and values.isin(known).mean() >= SURELY_FOUND:
            found.append(name)
    return found


def _same_days(other: Table, table: Table, kinds: Mapping[str, str]) -> tuple[str, str] | None:
    """Return a column of each table that hold times of the same days."""
    mine = [name for name in kinds if name in table and looks_like_dates(table[name])]
    theirs = [name for name in other.columns if looks_like_dates(other[name])]
    for name in mine:
        days = to_dates(table[name]).dt.normalize().dropna().drop_duplicates()
        for their_name in theirs:
            if len(days) > 1 and days.isin(to_dates(other[their_name]).dt.normalize()).mean() >= SAME_DAYS:
                return their_name, name
    return None


def _keys(columns: Sequence[pd.Series], is_by_day: bool) -> list[str]:
    """Return one text for each row; with ``is_by_day`` the last column is a time, of which the day counts."""
    parts = [_text(column) for column in (columns[:-1] if is_by_day else columns)]
    if is_by_day:
        parts.append(to_dates(columns[-1]).dt.strftime("%Y-%m-%d").fillna(""))
    joined = parts[0].reset_index(drop=True)
    for part in parts[1:]:
        joined = joined + SEPARATOR + part.reset_index(drop=True)
    return [str(value) for value in joined]


def _text(column: pd.Series) -> pd.Series:
    """Return values as text, whole numbers alike whether or not their column has gaps."""
    if pd.api.types.is_numeric_dtype(column):
        column = column.astype("float64")
    return column.astype("str").fillna("")
