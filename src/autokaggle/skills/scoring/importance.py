"""What a candidate's models live on; this file compares predictions with and without shuffled columns by the metric.

The predictions are the work of a stranger (``templates/tabular/importance.py`` in a sandbox): sizes, names and values
are checked before use.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from autokaggle.records.outcome import ColumnImportance, Importance
from autokaggle.records.plan import Plan
from autokaggle.skills.scoring.answers import Answers, true_answers
from autokaggle.skills.scoring.decision_rules import Rule, apply_rule
from autokaggle.skills.scoring.folds import Folds
from autokaggle.skills.scoring.metric_catalogue import METRICS
from autokaggle.skills.scoring.prediction_files import InvalidPredictions
from autokaggle.skills.scoring.truth import Truth
from autokaggle.storage.parquet_tables import quote_identifier, read_columns

PREDICTIONS, GROUPS = "importance.parquet", "importance.json"
LARGEST_BYTES = 256 << 20
FEWEST_ROWS_OF_FOLD = 30

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


def read_importance(
    candidate: str, plan: Plan, truth: Truth, folds: Folds, rule: Rule, folder: Path, columns: Sequence[str]
) -> Importance:
    """Score what ``importance.py`` left in ``folder``; ``columns`` are the names that it may speak of.

    Raises:
        InvalidPredictions: the files are missing, or hold something else.
    """
    groups = _read_groups(folder / GROUPS, columns)
    group, row, values = _read_predictions(folder / PREDICTIONS, plan, len(truth.values))
    known = truth.is_known[row]
    group, row, values = group[known], row[known], values[known]
    plain_rows = row[group == -1]
    base = _scores(plan, truth, folds, rule, plain_rows, values[group == -1])
    gain = METRICS[plan.metric].gain
    found = []
    for number, names in enumerate(groups):
        if not np.array_equal(row[group == number], plain_rows):
            raise InvalidPredictions(f"{PREDICTIONS}: group {number} has other rows than the predictions as they are")
        shuffled = _scores(plan, truth, folds, rule, plain_rows, values[group == number])
        losses = [gain(before, after) for before, after in zip(base, shuffled, strict=True)]
        if np.isfinite(losses[0]):
            by_fold = tuple(float(loss) for loss in losses[1:] if np.isfinite(loss))
            found.append(ColumnImportance(columns=names, loss=float(losses[0]), folds=by_fold))
    found.sort(key=lambda each: -each.loss)
    return Importance(candidate=candidate, metric=plan.metric, rows=len(plain_rows), columns=tuple(found))


def _read_groups(path: Path, columns: Sequence[str]) -> list[tuple[str, ...]]:
    try:
        groups = msgspec.json.decode(path.read_bytes(), type=list[tuple[str, ...]])
    except (OSError, msgspec.DecodeError, msgspec.ValidationError) as error:
        raise InvalidPredictions(f"{path.name} cannot be read: {error}") from error
    if strange := {name for group in groups for name in group} - set(columns):
        raise InvalidPredictions(f"{path.name} names columns that the data do not have: {sorted(strange)[:5]}")
    return groups


def _read_predictions(path: Path, plan: Plan, train_rows: int) -> tuple[Integers, Integers, Floats]:
    import duckdb

    if not path.is_file() or path.stat().st_size > LARGEST_BYTES:
        raise InvalidPredictions(f"{path.name} is missing or too large")
    try:
        names = ("group", "row", *plan.prediction_columns)
        expressions = {f"{place}": f"CAST({quote_identifier(name)} AS DOUBLE)" for place, name in enumerate(names)}
        found = [np.ma.filled(each.astype(np.float64), np.nan) for each in read_columns(path, expressions).values()]
    except duckdb.Error as error:
        raise InvalidPredictions(f"{path.name} cannot be read: {str(error).splitlines()[0][:200]}") from error
    if not all(np.isfinite(column).all() for column in found):
        raise InvalidPredictions(f"{path.name} has values that are empty or not finite")
    group, row = found[0].astype(np.int64), found[1].astype(np.int64)
    if not len(row) or row.min() < 0 or row.max() >= train_rows:
        raise InvalidPredictions(f"{path.name} speaks of rows that train does not have")
    return group, row, np.column_stack(found[2:])


def _scores(plan: Plan, truth: Truth, folds: Folds, rule: Rule, rows: Integers, values: Floats) -> list[float]:
    """Return the score of all rows, then of each fold (NaN where it has too few of them or the metric no value)."""
    metric = METRICS[plan.metric]
    with np.errstate(all="ignore"):
        answers = Answers(metric, true_answers(plan, metric, truth.values[rows]), apply_rule(plan, rule, values))
        fold_of_row = folds.by_repeat[0, rows]
        parts = [np.flatnonzero(fold_of_row == fold) for fold in folds.validated]
        enough = [part for part in parts if len(part) >= FEWEST_ROWS_OF_FOLD]
        return answers.scores([np.arange(len(rows)), *enough])
