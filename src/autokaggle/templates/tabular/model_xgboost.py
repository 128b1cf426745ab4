"""Gradient boosting with XGBoost; this file fits one model, with one thread or on a GPU.

It needs the package xgboost, for a GPU that which is built for CUDA.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import xgboost

import device
import files
from encoding import Matrix
from models import Floats, Rows, Task, column_share
from stopping import Curve, Stopping

DEFAULTS: dict[str, Any] = {
    "eta": 0.03,
    "max_depth": 4,
    "min_child_weight": 3,
    "subsample": 0.8,
    "colsample_bytree": 0.5,
    "lambda": 3.0,
    "rounds": 3000,
    "patience": 100,
}
VALUES = {
    "squared_error": ("reg:squarederror", "rmse"),
    "absolute_error": ("reg:absoluteerror", "mae"),
    "quantile": ("reg:quantileerror", "quantile"),
}


@dataclass
class XGBoost:
    """A fitted booster and the kinds of its columns."""

    booster: xgboost.Booster
    kinds: list[str]
    note: str
    rounds: int
    replay: dict[str, Any]
    curve: Curve | None

    def predict(self, x: Matrix) -> Floats:
        matrix = xgboost.DMatrix(x, feature_types=self.kinds, enable_categorical=True, nthread=1)
        scores = self.booster.predict(matrix, iteration_range=(0, self.rounds))
        return np.asarray(scores, dtype=np.float64).reshape(len(x), -1)


def fit(task: Task) -> XGBoost:
    """Boost until the watched rows stop gaining, the rounds are done, or the time is over."""
    if not task.gpu:
        return _boost(task, device.PROCESSOR)
    model, where = device.run_somewhere(partial(_boost, task), (device.GpuMissing, xgboost.core.XGBoostError))
    model.note += f", {where}"
    return model


def _boost(task: Task, where: str) -> XGBoost:
    parameters = {**DEFAULTS, **task.parameters}
    rounds, patience = float(parameters.pop("rounds")), int(parameters.pop("patience"))
    faster = parameters.pop("faster", None)
    objective, metric = _objective(task)
    share, leaves = float(parameters["colsample_bytree"]), 2 ** int(parameters["max_depth"])
    parameters["colsample_bytree"] = column_share(share, leaves, task.rows.x.shape[1])
    parameters |= {"objective": objective, "eval_metric": metric, "seed": task.seed, "verbosity": 0}
    parameters |= {"tree_method": "hist", "device": where, "nthread": files.threads() if task.gpu else 1}
    if task.classes > 2:
        parameters["num_class"] = task.classes
    if task.objective == "quantile":
        parameters["quantile_alpha"] = task.quantile
    kinds = ["c" if position in task.category_columns else "q" for position in range(task.rows.x.shape[1])]
    train = _matrix(task.rows, kinds)
    watched = [(_matrix(task.watched, kinds), "watched")] if task.watched else []
    stopping = Stopping(rounds, patience, task.end, parameters["eta"], faster)
    after_round = _AfterRound(stopping, metric, where)
    booster = xgboost.train(
        parameters, train, math.ceil(rounds), evals=watched, callbacks=[after_round], verbose_eval=False
    )
    # Predictions are the processor's: they run side by side, and must not need what only training had.
    booster.set_param({"device": device.PROCESSOR})
    return XGBoost(booster, kinds, stopping.note, stopping.best_round, stopping.replay, stopping.curve)


class _AfterRound(xgboost.callback.TrainingCallback):  # type: ignore[misc]
    """Asks after each round whether to go on."""

    def __init__(self, stopping: Stopping, metric: str, where: str) -> None:
        super().__init__()
        self.stopping, self.metric, self.where = stopping, metric, where

    def after_iteration(self, model: Any, epoch: int, evals_log: dict[str, Any]) -> bool:
        if epoch == 0 and self.where == device.GPU and _device_of(model) == device.PROCESSOR:
            raise device.GpuMissing("XGBoost found none")
        losses = evals_log.get("watched", {}).get(self.metric)
        is_over = self.stopping.is_over(losses[-1] if losses else None)
        if (rate := self.stopping.new_rate) is not None:
            model.set_param("eta", rate)
        return is_over


def _device_of(booster: Any) -> str:
    """Return what a booster trains on: without a GPU XGBoost takes the processor and says so in its log alone."""
    return str(json.loads(booster.save_config())["learner"]["generic_param"]["device"])


def _matrix(rows: Rows, kinds: list[str]) -> xgboost.DMatrix:
    return xgboost.DMatrix(rows.x, rows.y, weight=rows.weights, feature_types=kinds, enable_categorical=True, nthread=1)


def _objective(task: Task) -> tuple[str, str]:
    if task.objective != "log_loss":
        return VALUES[task.objective]
    return ("binary:logistic", "logloss") if task.classes == 2 else ("multi:softprob", "mlogloss")
