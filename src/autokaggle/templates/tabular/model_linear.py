"""Linear models from scikit-learn; this file fits ridge regression for values and logistic regression for classes."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, RidgeCV
from threadpoolctl import threadpool_limits

import clock
import dense
from encoding import Matrix
from models import Floats, Task, scores_of_classes

PENALTIES = np.logspace(-1, 3, 13)
STEPS_PER_LOOK = 50
DEFAULTS = {"C": 0.3, "rounds": 500}

# Several fits run side by side: threads inside each would only wait for each other.
threadpool_limits(1)
# Steps are taken in portions, to look at the clock between them: a portion that does not converge is no news.
warnings.filterwarnings("ignore", category=ConvergenceWarning)


@dataclass
class Linear:
    """A fitted linear model and how it sees the matrix."""

    encoder: dense.Dense
    fitted: LogisticRegression | RidgeCV
    classes: int
    note: str
    replay: dict[str, Any] = field(default_factory=dict)
    rounds: int = 0

    def predict(self, x: Matrix) -> Floats:
        seen = self.encoder.encode(x)
        if isinstance(self.fitted, RidgeCV):
            return np.asarray(self.fitted.predict(seen), dtype=np.float64).reshape(len(x), 1)
        return scores_of_classes(self.fitted.predict_proba(seen), self.fitted.classes_, self.classes)


def fit(task: Task) -> Linear:
    """Fit with the penalty of best leave-one-out error (values) or a fixed one (classes)."""
    encoder = dense.fit(task.rows.x, task.category_columns)
    x = encoder.encode(task.rows.x)
    if not task.classes:
        ridge = RidgeCV(alphas=PENALTIES).fit(x, task.rows.y, sample_weight=task.rows.weights)
        return Linear(encoder, ridge, 0, f"{x.shape[1]} columns, penalty {ridge.alpha_:.3g}")
    return _logistic(task, encoder, x)


def _logistic(task: Task, encoder: dense.Dense, x: Matrix) -> Linear:
    parameters = {**DEFAULTS, **task.parameters}
    model = LogisticRegression(C=parameters["C"], warm_start=True)
    steps, is_cut = 0, False
    while not is_cut and steps < parameters["rounds"]:
        model.max_iter = min(STEPS_PER_LOOK, parameters["rounds"] - steps)
        model.fit(x, task.rows.y, sample_weight=task.rows.weights)
        done = int(model.n_iter_.max())
        steps += done
        if done < model.max_iter:
            break
        is_cut = clock.is_over(task.end)
    note = f"{x.shape[1]} columns, {steps} steps"
    return Linear(encoder, model, task.classes, note, {"rounds": steps} if is_cut else {})
