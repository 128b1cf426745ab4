"""Linear models from scikit-learn; this file fits ridge regression for values and logistic regression for classes."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, RidgeCV

import clock
import dense
from encoding import Matrix
from models import Floats, Task

PENALTIES = np.logspace(-1, 3, 13)
STEPS_PER_LOOK = 50
DEFAULTS = {"C": 0.3, "steps": 500}

# Steps are taken in portions, to look at the clock between them: a portion that does not converge is no news.
warnings.filterwarnings("ignore", category=ConvergenceWarning)


@dataclass
class Linear:
    """A fitted linear model and how it sees the matrix."""

    encoder: dense.Dense
    fitted: LogisticRegression | RidgeCV
    note: str
    rounds: int = 0

    def predict(self, x: Matrix) -> Floats:
        seen = self.encoder.encode(x)
        if isinstance(self.fitted, RidgeCV):
            return np.asarray(self.fitted.predict(seen), dtype=np.float64).reshape(len(x), 1)
        probabilities = np.asarray(self.fitted.predict_proba(seen), dtype=np.float64)
        return probabilities if probabilities.shape[1] > 2 else probabilities[:, 1:]


def fit(task: Task) -> Linear:
    """Fit with the penalty of best leave-one-out error (values) or a fixed one (classes)."""
    encoder = dense.fit(task.x, task.category_columns)
    x = encoder.encode(task.x)
    if not task.classes:
        ridge = RidgeCV(alphas=PENALTIES).fit(x, task.y, sample_weight=task.weights)
        return Linear(encoder, ridge, f"{x.shape[1]} columns, penalty {ridge.alpha_:.3g}")
    logistic, steps = _logistic(task, x)
    return Linear(encoder, logistic, f"{x.shape[1]} columns, {steps} steps")


def _logistic(task: Task, x: Matrix) -> tuple[LogisticRegression, int]:
    parameters = {**DEFAULTS, **task.parameters}
    model = LogisticRegression(C=parameters["C"], max_iter=STEPS_PER_LOOK, warm_start=True)
    steps = 0
    while True:
        model.fit(x, task.y, sample_weight=task.weights)
        steps += int(model.n_iter_.max())
        if model.n_iter_.max() < STEPS_PER_LOOK or steps >= parameters["steps"] or clock.is_over(task.end):
            return model, steps
