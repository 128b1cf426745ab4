"""What a row tells of its future; this file joins the past of its series, the calendar and what is known of test.

``fit`` gets the rows of one fold with their targets, and keeps them as the past; ``transform`` looks back from each row
as far as test must. A row's features depend on that row and on the state alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import periods
import series
from calendar_parts import Calendar
from history import Floats, History, Integers
from past import Past
from periods import Periods

import files
from date_parts import DateParts, looks_like_dates
from encoding import BASELINE
from targets import read_targets, to_numbers

Table = pd.DataFrame
USELESS = ("constant", "duplicate", "path")
MOST_LEVELS = 255
# With these baselines nothing is said of the past besides.
CALENDAR_ALONE = ("around", "none")


@dataclass(frozen=True, eq=False)
class State:
    """The past of each target, and how to find a row's place in it.

    ``baseline`` is ``level``, ``latest``, ``seasonal``, or ``around``: the level around each row that trains, and the
    latest one for rows to predict, so that calendar and columns alone explain the departures. With ``none`` calendar,
    columns and the time itself explain the whole value.
    """

    periods: Periods
    keys: tuple[str, ...]
    names: pd.Index
    pasts: dict[str, Past]
    calendar: Calendar | None
    columns: dict[str, str]
    dates: tuple[DateParts, ...]
    baseline: str


def fit(train: Table) -> State:
    """Keep the past; from test only its times and the values of its columns are looked at."""
    config = files.config()
    test = files.load_table("test")
    column = time_column(train, config)
    found = Periods.fit(column, train[column])
    steps, later = found.number(train[column]), found.number(test[column])
    others = [
        name for name, kind in config["columns"].items() if name in train and name != column and kind not in USELESS
    ]
    keys = series.find_keys(train, test, steps, others)
    names = series.number_series(train, keys)
    unique = names.unique()
    is_dates = periods.is_date(train[column])
    ahead = _ahead(found.number(files.load_table("train")[column]), later)
    pasts = {}
    for target in read_targets(config):
        past = History.fit(unique.get_indexer(names).astype(np.int64), steps, to_numbers(target, train[target.name]))
        pasts[target.name] = Past(past, found.seasons(is_dates), *ahead)
    columns = {name: _use(train[name], config["columns"][name]) for name in others}
    dates = tuple(DateParts.fit(name, train[name], test[name]) for name, use in columns.items() if use == "date")
    calendar = Calendar.fit(column, train, others) if is_dates else None
    baseline = str(config["features"].get("baseline", "level"))
    return State(found, keys, unique, pasts, calendar, columns, dates, baseline)


def transform(table: Table, state: State) -> Table:
    """Return the features of each row of ``table``, in its order; the seasonal naive forecast needs none but time."""
    steps = state.periods.number(table[state.periods.column])
    place = state.names.get_indexer(series.number_series(table, state.keys)).astype(np.int64)
    is_naive = files.config()["model"]["family"] == "seasonal"
    made = {} if is_naive else _columns(table, state)
    if is_naive or state.baseline == "none":
        made["time"] = pd.Series(steps.astype(np.float64))
    for target, past in state.pasts.items():
        own = np.where(place < 0, past.history.all_series, place)
        cutoffs = past.cutoffs(own, steps)
        label = f"{target}: " if len(state.pasts) > 1 else "past: "
        if not is_naive and state.baseline not in CALENDAR_ALONE:
            made |= {label + name: pd.Series(values) for name, values in past.describe(own, steps, cutoffs).items()}
        made[BASELINE + target] = pd.Series(_baseline(past, state.baseline, own, steps, cutoffs))
    return pd.DataFrame(made, index=pd.RangeIndex(len(table)))


def _columns(table: Table, state: State) -> dict[str, pd.Series]:
    """Return what is known of a row without looking back: its columns, and the calendar."""
    made: dict[str, pd.Series] = {}
    for name, use in state.columns.items():
        if use == "number":
            made[name] = pd.to_numeric(table[name], errors="coerce").astype("float64").reset_index(drop=True)
        elif use == "category":
            made[name] = table[name].astype("str").astype("category").reset_index(drop=True)
    for parts in state.dates:
        made |= parts(table[parts.name].reset_index(drop=True))
    return made | (state.calendar(table) if state.calendar else {})


def _baseline(past: Past, name: str, own: Integers, steps: Integers, cutoffs: Integers) -> Floats:
    if name == "none":
        return np.zeros(len(own))
    if name == "seasonal":
        return past.naive(own, steps, cutoffs)
    if name == "around":
        return np.where(steps <= past.history.last, past.around(own, steps), past.latest(own, cutoffs))
    return past.latest(own, cutoffs) if name == "latest" else past.level(own, cutoffs)


def time_column(train: Table, config: dict[str, Any]) -> str:
    """Return the column of the validation by time, else the first that holds dates.

    Raises:
        SystemExit: there is none.
    """
    named = config["validation"].get("column")
    if named in train and named in files.load_table("test"):
        return str(named)
    for name, kind in config["columns"].items():
        if name in train and (kind == "datetime" or looks_like_dates(train[name])):
            return str(name)
    raise SystemExit("A forecast needs a column of times: name it with --validation time:COLUMN.")


def _ahead(steps: Integers, later: Integers) -> tuple[int, int]:
    """Return the fewest and the most steps from the end of train to a row of test, 1 at least."""
    end = int(steps.max())
    return max(1, int(later.min()) - end), max(1, int(later.max()) - end)


def _use(column: pd.Series, kind: str) -> str:
    if kind == "datetime" or looks_like_dates(column):
        return "date"
    if pd.api.types.is_numeric_dtype(column):
        return "number" if kind != "id" or column.nunique() < len(column) else "none"
    return "category" if column.nunique() <= MOST_LEVELS else "none"
