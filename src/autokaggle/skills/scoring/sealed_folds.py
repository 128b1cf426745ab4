"""What sealed folds predicted, as one; this file joins the files of one run per fold into those of a candidate.

Each run saw no label of its fold. It may write predictions for that fold alone or for every validated row; only those
of the fold count.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from autokaggle.records.plan import Plan
from autokaggle.skills.scoring.folds import Folds
from autokaggle.skills.scoring.prediction_files import InvalidPredictions, read_predictions
from autokaggle.storage.parquet_tables import row_count, write_columns

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
OOF, TEST = "oof.parquet", "test_predictions.parquet"


def join_oof(plan: Plan, folds: Folds, outputs: Mapping[int, Path], target: Path) -> None:
    """Write the ``oof.parquet`` of the outputs of all validated folds.

    Raises:
        InvalidPredictions: a file breaks the candidate contract; the message names the fold.
    """
    parts = {fold: read_fold(plan, folds, fold, output / OOF) for fold, output in outputs.items()}
    rows = np.concatenate([folds.rows_of(fold) for fold in parts])
    order = np.argsort(rows)
    _write(plan, rows[order], np.concatenate(list(parts.values()))[order], target)


def join_test(plan: Plan, test_rows: int, outputs: Mapping[int, Path], target: Path) -> None:
    """Write the mean of what the runs predict for test: each of their models was scored.

    Raises:
        InvalidPredictions: a file breaks the candidate contract; the message names the fold.
    """
    rows = np.arange(test_rows, dtype=np.int64)
    total: Floats = np.zeros((test_rows, len(plan.prediction_columns)))
    for fold, output in outputs.items():
        try:
            total += read_predictions(output / TEST, plan, rows)
        except InvalidPredictions as error:
            raise InvalidPredictions(f"with AUTOKAGGLE_FOLD={fold}: {error}") from error
    _write(plan, rows, total / len(outputs), target)


def read_fold(plan: Plan, folds: Folds, fold: int, path: Path) -> Floats:
    """Return the predictions of the fold's rows, ascending.

    Raises:
        InvalidPredictions: the file breaks the candidate contract; the message names the fold.
    """
    wanted, every = folds.rows_of(fold), folds.validated_rows
    try:
        if _has_rows(path, len(every)):
            return read_predictions(path, plan, every)[np.isin(every, wanted)]
        return read_predictions(path, plan, wanted)
    except InvalidPredictions as error:
        raise InvalidPredictions(f"with AUTOKAGGLE_FOLD={fold}: {error}") from error


def _has_rows(path: Path, rows: int) -> bool:
    import duckdb

    try:
        return path.is_file() and not path.is_symlink() and row_count(path) == rows
    except duckdb.Error:
        return False


def _write(plan: Plan, rows: Integers, values: Floats, target: Path) -> None:
    names = ["row", *plan.prediction_columns]
    write_columns(target, dict(zip(names, [rows, *values.T], strict=True)))
