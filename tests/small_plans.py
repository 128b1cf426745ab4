"""Small competitions for the judge's tests; this file builds plans, tables and prediction files of any kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from autokaggle.records.data_profile import SubmissionKind, TaskType, ValidationScheme
from autokaggle.records.plan import Plan, SubmissionFormat, Validation
from autokaggle.skills.scoring.metrics import METRICS
from autokaggle.storage.parquet_tables import write_columns

Floats = npt.NDArray[np.float64]
TRAIN, TEST, SAMPLE = "train.parquet", "test.parquet", "sample_submission.parquet"


@dataclass(frozen=True)
class SmallPlan:
    """A plan with its tables on disk."""

    plan: Plan
    tables: Path

    def write_predictions(self, name: str, values: Floats, rows: Sequence[int] | None = None) -> Path:
        """Write a prediction file beside the tables; rows 0, 1, ... unless given."""
        path = self.tables / name
        row = np.arange(len(values), dtype=np.int64) if rows is None else np.array(rows, dtype=np.int64)
        table = values[:, None] if values.ndim == 1 else values
        columns = {column: table[:, place] for place, column in enumerate(self.plan.prediction_columns)}
        write_columns(path, {"row": row, **columns})
        return path


def make_plan(
    metric: str,
    *,
    task: TaskType = "regression",
    kind: SubmissionKind = "value",
    classes: Mapping[str, Sequence[str]] | None = None,
    targets: Sequence[str] = ("y",),
    predictions: Sequence[str] | None = None,
    answers: Sequence[str] | None = None,
    scheme: ValidationScheme = "kfold",
    column: str | None = None,
    folds: int = 5,
    repeats: int = 1,
    list_length: int = 0,
) -> Plan:
    """Build a plan for tables with the id column ``id``."""
    labels = {name: tuple(each) for name, each in (classes or {}).items()}
    if predictions is None:
        predictions = labels[targets[0]] if task == "multiclass_classification" else targets
    return Plan(
        slug="small",
        task_type=task,
        target_columns=tuple(targets),
        id_columns=("id",),
        classes=labels,
        prediction_columns=tuple(predictions),
        metric=metric,
        greater_is_better=METRICS[metric].greater_is_better,
        submission=SubmissionFormat(
            kind=kind,
            columns=("id", *(answers or targets)),
            id_columns=("id",),
            ids_from=SAMPLE,
            list_length=list_length,
        ),
        train_table=TRAIN,
        test_table=TEST,
        validation=Validation(scheme=scheme, folds=folds, repeats=repeats, column=column),
    )


def write_tables(
    plan: Plan, folder: Path, train: Mapping[str, npt.NDArray[Any]], test: Mapping[str, npt.NDArray[Any]]
) -> SmallPlan:
    """Write train and test as given, and a sample submission with the ids of test in reversed order."""
    folder.mkdir(parents=True, exist_ok=True)
    write_columns(folder / TRAIN, train)
    write_columns(folder / TEST, test)
    ids = test["id"][::-1]
    answers = {name: np.full(len(ids), "0", dtype=object) for name in plan.submission.columns if name != "id"}
    write_columns(folder / SAMPLE, {"id": ids, **answers})
    return SmallPlan(plan, folder)


def text_column(values: Sequence[object] | npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return values as a column of text."""
    return np.array([None if value is None else str(value) for value in values], dtype=object)


def ids(prefix: str, count: int) -> npt.NDArray[Any]:
    """Return ids that only text can hold."""
    return text_column([f"{prefix}{number:05d}" for number in range(count)])
