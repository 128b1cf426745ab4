"""A small input; this file copies a run's input with few rows, for a trial of code that nobody has run yet."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from autokaggle.records.data_profile import DataProfile
from autokaggle.records.plan import Plan
from autokaggle.storage.parquet_tables import copy_rows, write_columns
from autokaggle.storage.records_file import link_or_copy, make_private_folder

SHARE, FEWEST_ROWS, MOST_ROWS = 0.01, 300, 20_000
TABLES, FOLDS = "tables", "folds.parquet"


def make_sample_input(plan: Plan, profile: DataProfile, source: Path, target: Path) -> Path:
    """Fill ``target`` with the input ``source``, but with about 1 % of the rows and two folds; return it.

    What was made before is kept. Raw files are left out: the trial reads tables alone.
    """
    if (target / FOLDS).is_file():
        return target
    shutil.rmtree(target, ignore_errors=True)
    tables = make_private_folder(make_private_folder(target) / TABLES)
    for path in sorted(source.iterdir()):
        if path.is_file() and path.name != FOLDS:
            link_or_copy(path, target / path.name)
    cut = {plan.train_table: profile.train_rows, plan.test_table: profile.test_rows}
    rows = 0
    for path in sorted((source / TABLES).glob("*.parquet")):
        if path.name not in cut:
            link_or_copy(path, tables / path.name)
            continue
        chosen = _sample(cut[path.name], plan.seed)
        copy_rows(path, tables / path.name, chosen)
        rows = len(chosen) if path.name == plan.train_table else rows
    numbers = np.arange(rows, dtype=np.int64)
    columns: dict[str, npt.NDArray[Any]] = {
        "repeat": np.zeros(rows, np.int32),
        "row": numbers,
        "fold": (numbers * 2 // rows).astype(np.int32),
    }
    # Last, since it says that all the rest is there.
    write_columns(target / FOLDS, columns)
    return target


def _sample(rows: int, seed: int) -> npt.NDArray[np.int64]:
    """Return the places of some of the rows, in their order."""
    wanted = min(rows, MOST_ROWS, max(FEWEST_ROWS, int(rows * SHARE)))
    return np.sort(np.random.default_rng(seed).choice(rows, wanted, replace=False))
