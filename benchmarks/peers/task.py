"""What every peer is given, as an expert would give it; this file reads a competition and writes a submission.

It runs inside a peer's environment. Columns that test lacks are dropped, dates are parsed and split into parts, the
target of a logarithmic metric is learned as its logarithm, an ordinal target as a number that is rounded.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

Predictions = Any
FitPredict = Callable[["Task"], Predictions]
DATE_SHARE = 0.9


@dataclass
class Task:
    """One target to predict.

    ``train`` and ``test`` hold the features, ``y`` the target of train in the same order. ``kind`` is binary,
    multiclass or regression. ``wants_probabilities``: (n_rows, classes in sorted order) instead of labels.
    """

    train: pd.DataFrame
    test: pd.DataFrame
    y: pd.Series
    kind: str
    metric: str
    wants_probabilities: bool
    seconds: float
    seed: int
    folder: Path


def main(fit_predict: FitPredict) -> None:
    """Read CASE FOLDER SECONDS SEED OUTPUT off the command line, fit and predict each target, write the submission."""
    case, data, seconds, seed, output = (
        Path(sys.argv[1]),
        Path(sys.argv[2]),
        *map(float, sys.argv[3:5]),
        Path(sys.argv[5]),
    )
    about = json.loads(case.read_text("utf-8"))
    train, test = (pd.read_csv(data / about["files"][role]) for role in ("train", "test"))
    targets, ids = about["target_columns"], about["id_column"]
    features = [column for column in test.columns if column in train.columns and column != ids]
    # An id that is a date tells more than an order.
    if ids in train.columns and not _numeric(train[ids]) and _dates(train[ids]) is not None:
        features.append(ids)
    frames = [_with_dates(frame[features]) for frame in (train, test)]
    submission = {ids: test[ids]}
    for target in targets:
        known = train[target].notna().to_numpy()
        task = Task(
            train=frames[0][known].reset_index(drop=True),
            test=frames[1],
            y=train[target][known].reset_index(drop=True),
            kind=_kind(about),
            metric=about["metric_id"],
            wants_probabilities=about["metric_id"] in ("roc_auc", "log_loss", "mlogloss", "balanced_log_loss"),
            seconds=seconds / len(targets),
            seed=int(seed),
            folder=output.parent,
        )
        submission |= _answers(about, target, task, fit_predict)
    pd.DataFrame(submission)[[ids, *about["submission_columns"]]].to_csv(output, index=False)


def _answers(about: dict[str, Any], target: str, task: Task, fit_predict: FitPredict) -> dict[str, Any]:
    labels = sorted(task.y.unique())
    if task.metric in ("rmsle", "msle"):
        task.y = np.log1p(task.y)
        return {target: np.expm1(np.asarray(fit_predict(task))).clip(min=0)}
    found = np.asarray(fit_predict(task))
    if task.kind == "regression":
        is_ordinal = about["task_type"] == "ordinal"
        return {target: found.round().clip(labels[0], labels[-1]).astype(int) if is_ordinal else found}
    if not task.wants_probabilities:
        return {target: found}
    if len(labels) == 2:
        return {target: found[:, 1]}
    return dict(zip(about["submission_columns"], found.T, strict=True))


def _kind(about: dict[str, Any]) -> str:
    task = about["task_type"]
    if task in ("regression", "ordinal", "time_series_forecasting"):
        return "regression"
    return "multiclass" if task == "multiclass_classification" else "binary"


def _numeric(column: pd.Series) -> bool:
    return bool(pd.api.types.is_numeric_dtype(column))


def _dates(column: pd.Series) -> pd.Series | None:
    parsed = pd.to_datetime(column, errors="coerce", format="ISO8601")
    return parsed if parsed.notna().mean() >= DATE_SHARE else None


def _with_dates(frame: pd.DataFrame) -> pd.DataFrame:
    made = frame.copy()
    for name in frame.columns:
        if _numeric(frame[name]) or frame[name].dtype == bool or (moments := _dates(frame[name])) is None:
            continue
        for part in ("year", "month", "day", "dayofweek", "hour"):
            made[f"{name}_{part}"] = getattr(moments.dt, part)
        made = made.drop(columns=name)
    return made
