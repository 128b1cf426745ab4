"""Kernel methods from scikit-learn; this file fits a support vector machine for values, kernel regression for classes.

What a row is predicted is a weighted vote of rows like it: smooth, and good where rows are few. Time grows with the
square of the rows, so only so many of them train.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVR
from threadpoolctl import threadpool_limits

import dense
from encoding import Matrix
from models import Floats, Task, scores_of_classes

DEFAULTS: dict[str, Any] = {"C": 3.0, "epsilon": 0.05, "components": 300, "rows": 6000}
STEPS = 200

threadpool_limits(1)


@dataclass
class Kernel:
    """A fitted machine, how it sees the matrix, and the scale of values."""

    encoder: dense.Dense
    kernel: Nystroem | None
    fitted: SVR | LogisticRegression
    classes: int
    centre: float
    spread: float
    note: str
    replay: dict[str, Any]
    rounds: int = 0

    def predict(self, x: Matrix) -> Floats:
        seen = self.encoder.encode(x)
        if self.kernel is None:
            values = np.asarray(self.fitted.predict(seen), dtype=np.float64) * self.spread + self.centre
            return values.reshape(len(x), 1)
        found = self.fitted.predict_proba(self.kernel.transform(seen))
        return scores_of_classes(found, self.fitted.classes_, self.classes)


def fit(task: Task) -> Kernel:
    """Fit on all rows, or on a random choice of very many."""
    parameters = {**DEFAULTS, **task.parameters}
    chosen = _some(len(task.rows.x), int(parameters["rows"]), task.seed)
    weights = None if task.rows.weights is None else task.rows.weights[chosen]
    y = task.rows.y[chosen]
    encoder = dense.fit(task.rows.x[chosen], task.category_columns, task.end, parameters)
    x = encoder.encode(task.rows.x[chosen])
    note = f"{len(x)} rows, {x.shape[1]} columns"
    if task.classes:
        kernel = Nystroem(gamma=1 / x.shape[1], n_components=min(parameters["components"], len(x)))
        kernel.random_state = task.seed
        model = LogisticRegression(C=parameters["C"], max_iter=STEPS)
        model.fit(kernel.fit_transform(x), y, sample_weight=weights)
        return Kernel(encoder, kernel, model, task.classes, 0.0, 1.0, note, dict(encoder.replay))
    centre, spread = float(y.mean()), float(y.std()) or 1.0
    machine = SVR(C=parameters["C"], epsilon=parameters["epsilon"])
    machine.fit(x, (y - centre) / spread, sample_weight=weights)
    return Kernel(encoder, None, machine, 0, centre, spread, note, dict(encoder.replay))


def _some(rows: int, most: int, seed: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    if rows <= most:
        return np.arange(rows, dtype=np.int64)
    return np.sort(np.random.default_rng(seed).choice(rows, most, replace=False)).astype(np.int64)
