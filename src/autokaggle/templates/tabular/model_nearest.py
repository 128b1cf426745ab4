"""Nearest neighbours from scikit-learn; this file lets the rows that are most alike tell a row's value or class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from threadpoolctl import threadpool_limits

import dense
from encoding import Matrix
from models import Floats, Task, scores_of_classes

DEFAULTS: dict[str, Any] = {"neighbours": 24, "rows": 40_000}

threadpool_limits(1)


@dataclass
class Neighbours:
    """The rows that are asked, and how they see the matrix."""

    encoder: dense.Dense
    fitted: KNeighborsClassifier | KNeighborsRegressor
    classes: int
    note: str
    replay: dict[str, Any]
    rounds: int = 0

    def predict(self, x: Matrix) -> Floats:
        seen = self.encoder.encode(x)
        if self.classes:
            return scores_of_classes(self.fitted.predict_proba(seen), self.fitted.classes_, self.classes)
        return np.asarray(self.fitted.predict(seen), dtype=np.float64).reshape(len(x), 1)


def fit(task: Task) -> Neighbours:
    """Keep the rows, or a random choice of very many."""
    parameters = {**DEFAULTS, **task.parameters}
    rows = np.arange(len(task.rows.x))
    if len(rows) > parameters["rows"]:
        rows = np.sort(np.random.default_rng(task.seed).choice(rows, parameters["rows"], replace=False))
    encoder = dense.fit(task.rows.x[rows], task.category_columns, task.end, parameters)
    kind = KNeighborsClassifier if task.classes else KNeighborsRegressor
    model = kind(min(parameters["neighbours"], len(rows)), weights="distance", n_jobs=1)
    model.fit(encoder.encode(task.rows.x[rows]), task.rows.y[rows])
    return Neighbours(encoder, model, task.classes, f"{len(rows)} rows", dict(encoder.replay))
