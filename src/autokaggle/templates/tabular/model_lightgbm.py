"""Gradient boosting with LightGBM; this file fits one model with one thread.

One thread each, several fits at once: on busy cores two threads per fit were up to a hundred times slower, because
OpenMP's threads spin while they wait for each other.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np

from encoding import Matrix
from models import Floats, Task, column_share
from stopping import Curve, Stopping

# LightGBM imports scikit-learn for wrappers that are not used here; that would be four fifths of its import time.
_absent = "sklearn" not in sys.modules
if _absent:
    sys.modules["sklearn"] = None  # type: ignore[assignment]
try:
    import lightgbm
finally:
    if _absent:
        del sys.modules["sklearn"]

OBJECTIVES = {"squared_error": "regression", "absolute_error": "regression_l1", "quantile": "quantile"}
METRICS = {"squared_error": "l2", "absolute_error": "l1", "quantile": "quantile"}
DEFAULTS: dict[str, Any] = {
    "learning_rate": 0.03,
    "num_leaves": 15,
    "feature_fraction": 0.4,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "min_data_in_leaf": 15,
    "lambda_l2": 3.0,
    "cat_smooth": 20.0,
    "rounds": 3000,
    "patience": 100,
}


@dataclass
class LightGBM:
    """A fitted booster."""

    booster: lightgbm.Booster
    note: str
    rounds: int
    replay: dict[str, Any]
    curve: Curve | None

    def predict(self, x: Matrix) -> Floats:
        scores = self.booster.predict(x, num_iteration=self.rounds, num_threads=1)
        return np.asarray(scores, dtype=np.float64).reshape(len(x), -1)


def fit(task: Task) -> LightGBM:
    """Boost until the scored rows stop gaining, the rounds are done, or the time is over."""
    parameters = {**DEFAULTS, **task.parameters}
    rounds, patience = float(parameters.pop("rounds")), int(parameters.pop("patience"))
    faster = parameters.pop("faster", None)
    share, leaves = float(parameters["feature_fraction"]), int(parameters["num_leaves"])
    parameters |= {
        "feature_fraction": column_share(share, leaves, task.rows.x.shape[1]),
        "objective": _objective(task),
        "metric": "None" if task.watched is None else _metric(task),
        "num_threads": 1,
        "seed": task.seed,
        "deterministic": True,
        "force_col_wise": True,
        "verbosity": -1,
    }
    if task.classes > 2:
        parameters["num_class"] = task.classes
    if task.objective == "quantile":
        parameters["alpha"] = task.quantile
    rows = task.rows
    train = lightgbm.Dataset(rows.x, rows.y, weight=rows.weights, categorical_feature=task.category_columns)
    watched = []
    if task.watched:
        watched = [train.create_valid(task.watched.x, task.watched.y, weight=task.watched.weights)]
    stopping = Stopping(rounds, patience, task.end, parameters["learning_rate"], faster)
    booster = lightgbm.train(
        parameters,
        train,
        math.ceil(rounds),
        valid_sets=watched,
        callbacks=[lambda state: _after_round(state, stopping)],
        keep_training_booster=True,  # else the model is written to text and read back at once
    )
    booster.free_dataset()
    return LightGBM(booster, stopping.note, stopping.best_round, stopping.replay, stopping.curve)


def _objective(task: Task) -> str:
    if task.objective == "log_loss":
        return "binary" if task.classes == 2 else "multiclass"
    return OBJECTIVES[task.objective]


def _metric(task: Task) -> str:
    if task.objective == "log_loss":
        return "binary_logloss" if task.classes == 2 else "multi_logloss"
    return METRICS[task.objective]


def _after_round(state: Any, stopping: Stopping) -> None:
    watched = state.evaluation_result_list
    if stopping.is_over(watched[0][2] if watched else None):
        raise lightgbm.EarlyStopException(stopping.best_round - 1, watched)
    if (rate := stopping.new_rate) is not None:
        state.model.reset_parameter({"learning_rate": rate})
