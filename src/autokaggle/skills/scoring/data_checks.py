"""What could make every score of a run too bright; this file looks at the data and the folds, not at candidates."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from autokaggle.records.candidate import Check
from autokaggle.records.data_profile import SplitHints
from autokaggle.records.plan import Plan
from autokaggle.skills.scoring.feature_checks import NEARLY_ALL, power_of
from autokaggle.skills.scoring.folds import Folds
from autokaggle.skills.scoring.truth import Truth
from autokaggle.storage.parquet_tables import column_types, open_reader, quote_identifier, quote_text, read_columns

Integers = npt.NDArray[np.int64]

# Reading more than this costs seconds that the last part of a run does not have.
MOST_CELLS = 40_000_000
MOST_ROWS = 20_000
TWINS_TO_WARN = 0.01
DIFFERENT = 0.7


def check_data(plan: Plan, truth: Truth, folds: Folds, split: SplitHints, tables: Path) -> tuple[Check, ...]:
    """Look for rows that stand in several folds, columns that tell the target alone, and a test unlike train."""
    train = tables / plan.train_table
    in_test, known = column_types(tables / plan.test_table), (*plan.id_columns, *plan.target_columns)
    names = [name for name in column_types(train) if name in in_test and name not in known]
    if len(names) * len(truth.values) > MOST_CELLS:
        detail = f"not looked for: {len(truth.values):,} rows of {len(names)} columns take too long"
        return (Check(name="twins across folds", status="ok", detail=detail), check_split(split))
    return (_check_twins(train, names, folds), _check_columns(plan, truth, train, names), check_split(split))


def check_split(split: SplitHints) -> Check:
    """Tell how surely a model tells test from train, as the profile found out."""
    if split.adversarial_auc is None:
        return Check(name="test unlike train", status="ok", detail="not measured")
    told = f"a model tells test from train with AUC {split.adversarial_auc:.2f}"
    if split.adversarial_auc < DIFFERENT:
        return Check(name="test unlike train", status="ok", detail=told)
    by = f", by {', '.join(split.adversarial_columns[:5])}" if split.adversarial_columns else ""
    return Check(name="test unlike train", status="warn", detail=told + by)


def _check_twins(train: Path, names: list[str], folds: Folds) -> Check:
    """Count rows whose columns are all the same as those of a row in another fold."""
    if not names:
        return Check(name="twins across folds", status="ok", detail="there are no columns to compare")
    twins = _twin_groups(train, names)
    fold = folds.by_repeat[0]
    order = np.lexsort((fold, twins))
    starts = np.flatnonzero(np.diff(twins[order], prepend=twins[order][:1] - 1))
    lowest, highest = np.minimum.reduceat(fold[order], starts), np.maximum.reduceat(fold[order], starts)
    sizes = np.diff(np.append(starts, len(order)))
    count = int(sizes[lowest != highest].sum())
    share = count / len(fold)
    detail = f"{count:,} of {len(fold):,} rows have a twin in another fold"
    return Check(name="twins across folds", status="warn" if share > TWINS_TO_WARN else "ok", detail=detail)


def _twin_groups(train: Path, names: list[str]) -> Integers:
    """Return a number for each row that is the same for rows whose columns are the same."""
    columns = ", ".join(map(quote_identifier, names))
    source = f"read_parquet({quote_text(str(train))}, file_row_number = true)"
    query = f"SELECT hash({columns}) AS twin FROM {source} ORDER BY file_row_number"
    with open_reader() as connection:
        found = connection.execute(query).fetchnumpy()["twin"]
    return np.unique(np.asarray(found), return_inverse=True)[1].astype(np.int64)


def _check_columns(plan: Plan, truth: Truth, train: Path, names: list[str]) -> Check:
    rows = np.flatnonzero(truth.is_known)
    if len(rows) > MOST_ROWS:
        rows = np.sort(np.random.default_rng(len(rows)).choice(rows, MOST_ROWS, replace=False))
    found = read_columns(train, {name: f"TRY_CAST({quote_identifier(name)} AS DOUBLE)" for name in names})
    gifts = []
    for name in names:
        values = np.ma.filled(found[name].astype(np.float64), np.nan)[rows]
        goals = zip(plan.target_columns, truth.values[rows].T, strict=True)
        if max(power_of(plan, target, values, goal) for target, goal in goals) > NEARLY_ALL:
            gifts.append(name)
    if gifts:
        named = ", ".join(map(repr, gifts[:5]))
        return Check(name="one column", status="warn", detail=f"{named} alone tells nearly all of the target")
    return Check(name="one column", status="ok", detail="no column tells the target alone")
