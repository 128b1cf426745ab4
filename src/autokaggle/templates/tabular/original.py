"""The data set behind a synthetic competition; this file tells what its rows say of a row's values.

Its rows are in neither train nor test, so no label that is scored is seen here: features may be learned once for all
folds. ``original: [columns]`` in the configuration asks for them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

import files
import models
from targets import Target, outcomes, read_targets, to_numbers

Table = pd.DataFrame
Floats = npt.NDArray[np.float64]
Columns = dict[str, pd.Series]
# The columns that are read, and what is made of them.
Found = list[tuple[tuple[str, ...], Callable[..., Columns]]]

# A value tells something when others share it; its mean is held towards the mean of all by so many rows.
REPEATED_SHARE = 0.5
PRIOR_ROWS = 10.0
MOST_COLUMNS = 40
MOST_OUTCOMES = 10
WATCHED_SHARE = 0.2
FEWEST_ROWS = 50
TEACHER = {"learning_rate": 0.05, "rounds": 1000, "patience": 50}


@dataclass(frozen=True)
class Told:
    """How many rows of the original share the value, and the mean of each outcome among them."""

    name: str
    rows: dict[str, float]
    means: tuple[dict[str, float], ...]

    def __call__(self, column: pd.Series) -> Columns:
        keys = _keys(column)
        made = {f"{self.name}: rows of the original": keys.map(self.rows).fillna(0.0).astype("float64")}
        for place, means in enumerate(self.means, start=1):
            made[f"{self.name}: outcome {place} in the original"] = keys.map(means).astype("float64")
        return made


@dataclass(frozen=True, eq=False)
class Teacher:
    """What a model that learned from the original alone predicts; ``levels`` are the categories that it knows."""

    target: str
    numbers: int
    levels: tuple[pd.Index, ...]
    model: models.Model

    def __call__(self, *columns: pd.Series) -> Columns:
        scores = self.model.predict(_matrix(columns, self.numbers, self.levels))
        label = f"{self.target}: as the original teaches"
        return {f"{label} {place}": pd.Series(each) for place, each in enumerate(scores.T, start=1)}


def fit(table: Table, numbers: list[str], categories: list[str]) -> Found:
    """Learn from the original what to tell of the columns that it shares with ``table``."""
    other = files.load_table("original")
    numbers, categories = (
        [name for name in names if name in other and other[name].notna().any()] for names in (numbers, categories)
    )
    found: Found = []
    for target in read_targets(files.config()):
        labels = to_numbers(target, other[target.name])
        known = np.flatnonzero(~np.isnan(labels))
        rows, y = other.iloc[known].reset_index(drop=True), labels[known]
        told = outcomes(target, y)[:, :MOST_OUTCOMES]
        for name in [*categories, *numbers][:MOST_COLUMNS]:
            if 1 < rows[name].nunique() <= REPEATED_SHARE * len(rows):
                found.append(((name,), _told(name, rows[name], told)))
        task = _task(rows, y, target, numbers, categories)
        if task is not None:
            levels = tuple(_levels(rows[name]) for name in categories)
            teacher = Teacher(target.name, len(numbers), levels, models.fitter("lightgbm")(task))
            found.append(((*numbers, *categories), teacher))
    return found


def _told(name: str, column: pd.Series, told: Floats) -> Told:
    keys = _keys(column)
    rows = keys.groupby(keys).size()
    means = []
    for outcome in told.T:
        sums = pd.Series(outcome).groupby(keys).sum()
        shrunk = (sums + PRIOR_ROWS * outcome.mean()) / (rows + PRIOR_ROWS)
        means.append({str(key): float(value) for key, value in shrunk.items()})
    return Told(name, {str(key): float(count) for key, count in rows.items()}, tuple(means))


def _task(rows: Table, y: Floats, target: Target, numbers: list[str], categories: list[str]) -> models.Task | None:
    """Return what the teacher learns, None where there is too little to learn from."""
    if len(rows) < FEWEST_ROWS or not numbers + categories:
        return None
    watched = np.random.default_rng(len(rows)).random(len(rows)) < WATCHED_SHARE
    columns = [rows[name] for name in (*numbers, *categories)]
    x = _matrix(columns, len(numbers), tuple(_levels(rows[name]) for name in categories))
    return models.Task(
        rows=models.Rows(x[~watched], y[~watched]),
        watched=models.Rows(x[watched], y[watched]),
        objective=target.objective,
        classes=target.class_count,
        category_columns=list(range(len(numbers), x.shape[1])),
        seed=int(files.config()["seed"]),
        end=math.inf,
        parameters=dict(TEACHER),
        quantile=target.quantile,
    )


def _matrix(columns: Sequence[pd.Series], numbers: int, levels: tuple[pd.Index, ...]) -> npt.NDArray[np.float32]:
    seen = [
        pd.to_numeric(column, errors="coerce").to_numpy(np.float64, na_value=np.nan) for column in columns[:numbers]
    ]
    for column, known in zip(columns[numbers:], levels, strict=True):
        codes = known.get_indexer(pd.Index(column.astype("str")))
        seen.append(np.where(codes < 0, np.nan, codes))
    return np.column_stack(seen).astype(np.float32)


def _levels(column: pd.Series) -> pd.Index:
    levels: pd.Index = pd.Index(column.astype("str").value_counts().index)
    return levels


def _keys(column: pd.Series) -> pd.Series:
    """Return values as text, whole numbers alike whether or not their column has gaps."""
    if pd.api.types.is_numeric_dtype(column):
        column = column.astype("float64")
    return column.astype("str").fillna("").reset_index(drop=True)
