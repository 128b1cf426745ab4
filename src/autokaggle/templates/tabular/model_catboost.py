"""Gradient boosting with CatBoost; this file fits one model with one thread. It needs the package catboost."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from catboost import CatBoost, Pool

from encoding import Matrix
from models import Floats, Rows, Task
from stopping import PROBED_ROUNDS, Curve, Stopping

DEFAULTS: dict[str, Any] = {
    "learning_rate": 0.06,
    "depth": 5,
    "l2_leaf_reg": 3.0,
    "boosting_type": "Plain",
    "bootstrap_type": "Bernoulli",
    "subsample": 0.8,
    "rsm": 0.6,
    "max_ctr_complexity": 2,
    "border_count": 128,
    "one_hot_max_size": 15,
    "rounds": 2000,
    "patience": 80,
}
VALUES = {"squared_error": "RMSE", "absolute_error": "MAE"}


@dataclass
class CatBoostModel:
    """A fitted model and which of its columns are categories."""

    fitted: CatBoost
    category_columns: list[int]
    classes: int
    note: str
    rounds: int
    replay: dict[str, Any]
    curve: Curve | None

    def predict(self, x: Matrix) -> Floats:
        pool = Pool(_frame(x, self.category_columns), cat_features=self.category_columns)
        kind = "Probability" if self.classes else "RawFormulaVal"
        scores = np.asarray(self.fitted.predict(pool, kind, ntree_end=self.rounds, thread_count=1), dtype=np.float64)
        scores = scores.reshape(len(x), -1)
        return scores[:, 1:] if self.classes == 2 else scores


def fit(task: Task) -> CatBoostModel:
    """Boost until the watched rows stop gaining, the rounds are done, or the time is over."""
    parameters = {**DEFAULTS, **task.parameters}
    rounds, patience = float(parameters.pop("rounds")), int(parameters.pop("patience"))
    faster = parameters.pop("faster", None)
    loss = _loss(task)
    parameters |= {
        "loss_function": loss,
        **({"classes_count": task.classes} if task.classes > 2 else {}),
        "iterations": math.ceil(rounds),
        "random_seed": task.seed,
        "thread_count": 1,
        "allow_writing_files": False,
        "logging_level": "Silent",
    }
    columns = task.category_columns
    train, watched = _pool(task.rows, columns), _pool(task.watched, columns) if task.watched else None
    if faster is None and math.isfinite(task.end):
        faster = _needed_growth(parameters, train, task.end)
    stopping = Stopping(rounds, patience, task.end, parameters["learning_rate"], faster, from_the_start=True)
    model = CatBoost({**parameters, "learning_rate": parameters["learning_rate"] * stopping.faster})
    model.fit(train, eval_set=watched, use_best_model=False, callbacks=[_AfterRound(stopping, loss)])
    return CatBoostModel(
        model, columns, task.classes, stopping.note, stopping.best_round, stopping.replay, stopping.curve
    )


def _needed_growth(parameters: dict[str, Any], train: Pool, end: float) -> float:
    """Return by how much steps must grow: CatBoost cannot change them on the way, so a few rounds are tried first."""
    probe = Stopping(PROBED_ROUNDS, PROBED_ROUNDS, end, parameters["learning_rate"])
    CatBoost({**parameters, "iterations": PROBED_ROUNDS}).fit(train, callbacks=[_AfterRound(probe, "")])
    return probe.faster


def _loss(task: Task) -> str:
    if not task.classes:
        return f"Quantile:alpha={task.quantile}" if task.objective == "quantile" else VALUES[task.objective]
    return "Logloss" if task.classes == 2 else "MultiClass"


class _AfterRound:
    """Asks after each round whether to go on."""

    def __init__(self, stopping: Stopping, loss: str) -> None:
        self.stopping, self.loss = stopping, loss

    def after_iteration(self, info: Any) -> bool:
        losses = info.metrics.get("validation", {}).get(self.loss)
        return not self.stopping.is_over(losses[-1] if losses else None)


def _pool(rows: Rows, category_columns: list[int]) -> Pool:
    return Pool(_frame(rows.x, category_columns), rows.y, weight=rows.weights, cat_features=category_columns)


def _frame(x: Matrix, category_columns: list[int]) -> pd.DataFrame:
    """Return the matrix with categories as whole numbers, which CatBoost asks for; -1 is missing."""
    frame = pd.DataFrame(x)
    for position in category_columns:
        frame[position] = np.nan_to_num(x[:, position], nan=-1).astype(np.int32)
    return frame
