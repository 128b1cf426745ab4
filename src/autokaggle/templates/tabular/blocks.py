"""Further features that help some data and harm others; this file makes those that ``config.yaml`` names.

``features: blocks:`` in the configuration lists them: counts, bins, missing, aggregates, totals, ratios, pairs, values,
places, cycles, holidays, order. Each is worth trying against the same model without it. No block looks at targets.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

import date_blocks

Table = pd.DataFrame
Floats = npt.NDArray[np.float64]
Columns = dict[str, pd.Series]
Make = Callable[..., Columns]
# The columns that are read, and what is made of them.
Found = list[tuple[tuple[str, ...], Make]]

BINS = 10
FEWEST_VALUES_TO_BIN = 20
DIGITS = 2
MOST_NUMBERS, MOST_CATEGORIES, MOST_RATIOS_OF = 4, 3, 5
# Sorted by size, numbers of one kind follow each other at no more than so many times the last.
ALIKE_TIMES = 2.0
# A number whose values recur this often is also a name for groups of rows.
REPEATED_SHARE = 0.05
MOST_KEYS = 20
LATITUDE = re.compile(r"(^|[^a-z])lat(itude)?($|[^a-z])", re.I)
LONGITUDE = re.compile(r"(^|[^a-z])(lon|lng|long|longitude)($|[^a-z])", re.I)
EARTH_KILOMETRES = 6371.0


def fit(table: Table, numbers: Sequence[str], categories: Sequence[str], wanted: Sequence[str]) -> Found:
    """Learn the wanted blocks from all rows: the columns that each reads, and what it makes of them."""
    found: Found = []
    for name in wanted:
        found += BLOCKS[name](table, list(numbers), list(categories))
    return found


@dataclass(frozen=True)
class Counts:
    """How many rows, of train and test together, share the value."""

    name: str
    rows: dict[str, int]

    def __call__(self, column: pd.Series) -> Columns:
        counted = column.astype("str").map(self.rows).fillna(1).astype("float64")
        return {f"{self.name}: rows with same value": counted.where(column.notna(), np.nan)}


@dataclass(frozen=True)
class Digits:
    """The bin of equal numbers of rows, and digits behind the point where there are such."""

    name: str
    edges: tuple[float, ...]
    has_fraction: bool

    def __call__(self, column: pd.Series) -> Columns:
        values = _numbers(column)
        known = ~np.isnan(values)
        made = {f"{self.name}: bin": np.where(known, np.searchsorted(self.edges, np.nan_to_num(values)), np.nan)}
        if self.has_fraction:
            fraction = np.abs(values) % 1
            made[f"{self.name}: fraction"] = fraction
            for place in range(1, DIGITS + 1):
                made[f"{self.name}: digit {place}"] = np.floor(np.round(fraction * 10**place, 6)) % 10
        return {label: pd.Series(each) for label, each in made.items()}


@dataclass(frozen=True)
class Missing:
    """How many of the columns have no value, and which."""

    def __call__(self, *columns: pd.Series) -> Columns:
        absent = np.column_stack([column.isna().to_numpy() for column in columns])
        patterns = pd.Series(["".join("01"[int(flag)] for flag in row) for row in absent], dtype="category")
        return {"missing: count": pd.Series(absent.sum(axis=1).astype(np.float64)), "missing: pattern": patterns}


@dataclass(frozen=True)
class Aggregate:
    """A number beside the mean and the deviation among rows of the same category."""

    number: str
    category: str
    means: dict[str, float]
    deviations: dict[str, float]

    def __call__(self, number: pd.Series, category: pd.Series) -> Columns:
        names, values = category.astype("str"), pd.Series(_numbers(number))
        mean, deviation = names.map(self.means).astype("float64"), names.map(self.deviations).astype("float64")
        label = f"{self.number} by {self.category}"
        return {f"{label}: mean": mean, f"{label}: deviation": deviation, f"{label}: difference": values - mean}


@dataclass(frozen=True)
class Total:
    """The sum of numbers of one kind, in how many of them there is something, and the largest part."""

    label: str

    def __call__(self, *columns: pd.Series) -> Columns:
        parts = np.column_stack([np.nan_to_num(_numbers(column)) for column in columns])
        total = parts.sum(axis=1)
        largest = np.divide(parts.max(axis=1), total, out=np.zeros_like(total), where=total > 0)
        made = {"sum": total, "above zero": (parts > 0).sum(axis=1).astype(np.float64), "largest part": largest}
        return {f"total of {self.label}: {what}": pd.Series(values) for what, values in made.items()}


@dataclass(frozen=True)
class Ratios:
    """Ratio, difference and product of two numbers."""

    first: str
    second: str

    def __call__(self, first: pd.Series, second: pd.Series) -> Columns:
        left, right = _numbers(first), _numbers(second)
        ratio = np.divide(left, right, out=np.full_like(left, np.nan), where=np.abs(right) > 0)
        return {
            f"{self.first} / {self.second}": pd.Series(ratio),
            f"{self.first} - {self.second}": pd.Series(left - right),
            f"{self.first} x {self.second}": pd.Series(left * right),
        }


@dataclass(frozen=True)
class Key:
    """The values of columns as one text, which is told by the target."""

    names: tuple[str, ...]

    def __call__(self, *columns: pd.Series) -> Columns:
        told = columns[0].astype("str").fillna("?")
        for column in columns[1:]:
            told = told + " | " + column.astype("str").fillna("?")
        return {f"{' and '.join(self.names)}: told": told.astype("str")}


@dataclass(frozen=True)
class Distance:
    """Kilometres on the globe between two places, or to the middle of all when there is one place."""

    middle: tuple[float, float] | None

    def __call__(self, *columns: pd.Series) -> Columns:
        values = [np.radians(_numbers(column)) for column in columns]
        latitude, longitude = values[:2]
        there = values[2:] or [np.radians(np.full(len(latitude), each)) for each in self.middle or (0.0, 0.0)]
        half = np.sin((there[0] - latitude) / 2) ** 2
        half += np.cos(latitude) * np.cos(there[0]) * np.sin((there[1] - longitude) / 2) ** 2
        return {"distance": pd.Series(2 * EARTH_KILOMETRES * np.arcsin(np.sqrt(np.clip(half, 0, 1))))}


def _counts(table: Table, numbers: list[str], categories: list[str]) -> Found:
    found: Found = []
    for name in [*categories, *numbers]:
        rows = table[name].dropna().astype("str").value_counts()
        if 2 < len(rows) < len(table) / 2:
            found.append(((name,), Counts(name, {str(value): int(count) for value, count in rows.items()})))
    return found


def _bins(table: Table, numbers: list[str], categories: list[str]) -> Found:
    found: Found = []
    for name in numbers:
        values = _numbers(table[name])
        known = values[np.isfinite(values)]
        if len(np.unique(known)) > FEWEST_VALUES_TO_BIN:
            edges = np.unique(np.quantile(known, np.arange(1, BINS) / BINS))
            found.append(((name,), Digits(name, tuple(edges.tolist()), bool((known % 1 != 0).any()))))
    return found


def _missing(table: Table, numbers: list[str], categories: list[str]) -> Found:
    gaps = tuple(name for name in [*numbers, *categories] if table[name].isna().any())
    return [(gaps, Missing())] if len(gaps) > 1 else []


def _aggregates(table: Table, numbers: list[str], categories: list[str]) -> Found:
    found: Found = []
    grouping = [name for name in categories if table[name].nunique() > 2][:MOST_CATEGORIES]
    for category in grouping:
        groups = table[category].astype("str")
        for number in _busiest(table, numbers)[:MOST_NUMBERS]:
            grouped = pd.Series(_numbers(table[number])).groupby(groups.to_numpy())
            means, deviations = (
                {str(level): float(value) for level, value in each.items()} for each in (grouped.mean(), grouped.std())
            )
            found.append(((number, category), Aggregate(number, category, means, deviations)))
    return found


def _totals(table: Table, numbers: list[str], categories: list[str]) -> Found:
    """Add up numbers that may be amounts of the same thing: none is negative, and their sizes are alike."""
    sizes: dict[str, float] = {}
    for name in numbers:
        values = _numbers(table[name])
        known = values[np.isfinite(values)]
        if len(np.unique(known)) > 2 and known.min() >= 0:
            sizes[name] = float(np.median(known[known > 0]))
    groups: list[list[str]] = []
    for name in sorted(sizes, key=lambda name: (sizes[name], name)):
        if groups and sizes[name] <= ALIKE_TIMES * sizes[groups[-1][-1]]:
            groups[-1].append(name)
        else:
            groups.append([name])
    # In the table's order, of which the label says the ends.
    chosen = [[name for name in numbers if name in group] for group in groups if len(group) > 1]
    return [(tuple(group), Total(f"{group[0]} to {group[-1]}")) for group in chosen]


def _ratios(table: Table, numbers: list[str], categories: list[str]) -> Found:
    chosen = _busiest(table, numbers)[:MOST_RATIOS_OF]
    pairs = [(first, second) for place, first in enumerate(chosen) for second in chosen[place + 1 :]]
    return [(pair, Ratios(*pair)) for pair in pairs]


def _pairs(table: Table, numbers: list[str], categories: list[str]) -> Found:
    sizes = {name: table[name].nunique() for name in categories}
    chosen = sorted((name for name in categories if sizes[name] > 1), key=lambda name: -sizes[name])[:6]
    pairs = [(first, second) for place, first in enumerate(chosen) for second in chosen[place + 1 :]]
    return [(pair, Key(pair)) for pair in pairs]


def _values(table: Table, numbers: list[str], categories: list[str]) -> Found:
    most = REPEATED_SHARE * len(table)
    repeated = [name for name in numbers if 2 < table[name].nunique() <= most]
    return [((name,), Key((name,))) for name in repeated[:MOST_KEYS]]


def _places(table: Table, numbers: list[str], categories: list[str]) -> Found:
    latitudes = [name for name in numbers if LATITUDE.search(name)]
    longitudes = [name for name in numbers if LONGITUDE.search(name)]
    if not latitudes or len(latitudes) != len(longitudes):
        return []
    if len(latitudes) > 1:
        return [((latitudes[0], longitudes[0], latitudes[1], longitudes[1]), Distance(None))]
    middle = tuple(float(np.nanmedian(_numbers(table[name]))) for name in (latitudes[0], longitudes[0]))
    return [((latitudes[0], longitudes[0]), Distance((middle[0], middle[1])))]


def _busiest(table: Table, numbers: list[str]) -> list[str]:
    """Return numbers with the most different values first: they measure something, others count or code."""
    return sorted(numbers, key=lambda name: -table[name].nunique())


def _numbers(column: pd.Series) -> Floats:
    return pd.to_numeric(column, errors="coerce").to_numpy(np.float64, na_value=np.nan)


BLOCKS: dict[str, Callable[[Table, list[str], list[str]], Found]] = {
    "counts": _counts,
    "bins": _bins,
    "missing": _missing,
    "aggregates": _aggregates,
    "totals": _totals,
    "ratios": _ratios,
    "pairs": _pairs,
    "values": _values,
    "places": _places,
    "cycles": date_blocks.cycles,
    "holidays": date_blocks.holidays,
    "order": date_blocks.out_of_order,
}
