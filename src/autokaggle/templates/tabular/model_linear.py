"""Linear models from scikit-learn; this file fits ridge regression for values and logistic regression for classes.

With ``sparse`` the sum of absolute weights is punished instead of their squares: most become 0, which finds the few
columns that matter where columns are many and rows few.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, RidgeCV
from threadpoolctl import threadpool_limits

import clock
import dense
import lasso
from encoding import Matrix
from models import Floats, Task, scores_of_classes

PENALTIES = np.logspace(-1, 5, 19)
# Inverse penalties for classes; of so small a matrix each is tried on parts of the rows that train.
STRENGTHS = (0.001, 0.01, 0.03, 0.1, 0.3, 1.0)
MOST_CELLS_TO_TRY = 100_000
INNER_PARTS = 5
SMALLEST_PROBABILITY = 1e-6
# Of the mean: parts of the rows, of which none counts, cannot be judged.
SMALLEST_WEIGHT = 1e-6
# Steps with each inverse penalty that is tried.
STEPS_TO_TRY = 50
# ``penalties`` of sparse models of values: how many were gone through, where the clock ended that.
DEFAULTS: dict[str, Any] = {"C": 0.3, "rounds": 500, "sparse": False, "penalties": None}
# How sparse models of classes are asked for, and from how many rows on there are those of values.
SPARSE: dict[str, Any] = {"l1_ratio": 1.0, "solver": "saga"}
FEWEST_ROWS_OF_SPARSE = 10

# Several fits run side by side: threads inside each would only wait for each other.
threadpool_limits(1)
# Steps are taken in portions, to look at the clock between them: a portion that does not converge is no news.
warnings.filterwarnings("ignore", category=ConvergenceWarning)


@dataclass
class Linear:
    """A fitted linear model, how it sees the matrix, and for values the scale of what it says."""

    encoder: dense.Dense
    fitted: LogisticRegression | RidgeCV | lasso.Line
    classes: int
    note: str
    replay: dict[str, Any] = field(default_factory=dict)
    rounds: int = 0
    centre: float = 0.0
    spread: float = 1.0

    def predict(self, x: Matrix) -> Floats:
        seen = self.encoder.encode(x)
        if isinstance(self.fitted, RidgeCV | lasso.Line):
            said = np.asarray(self.fitted.predict(seen), dtype=np.float64)
            return said.reshape(len(x), 1) * self.spread + self.centre
        return scores_of_classes(self.fitted.predict_proba(seen), self.fitted.classes_, self.classes)


def fit(task: Task) -> Linear:
    """Fit with the penalty of best leave-one-out error (values), or of best loss where rows are few (classes)."""
    encoder = dense.fit(task.rows.x, task.category_columns, task.end, task.parameters)
    x = encoder.encode(task.rows.x)
    if task.classes:
        return _logistic(task, encoder, x)
    parameters = {**DEFAULTS, **task.parameters}
    y, weights = task.rows.y, task.rows.weights
    if weights is not None:
        weights = np.maximum(weights / weights.mean(), SMALLEST_WEIGHT)
    # The models take the 32 bits of x for y too: too few for small steps far from zero.
    centre, spread = float(np.average(y, weights=weights)), float(y.std()) or 1.0
    scaled, replay = (y - centre) / spread, dict(encoder.replay)
    model: RidgeCV | lasso.Line
    if parameters["sparse"] and len(x) >= FEWEST_ROWS_OF_SPARSE:
        counts = np.ones(len(y)) if weights is None else weights
        model, is_cut = lasso.fit(x, scaled, counts, task.seed, task.end, parameters["penalties"])
        replay |= {"penalties": model.penalties} if is_cut else {}
    else:
        model = RidgeCV(alphas=PENALTIES).fit(x, scaled, sample_weight=weights)
    used = int(np.count_nonzero(model.coef_))
    note = f"{used} columns, penalty {model.alpha_:.3g}"
    return Linear(encoder, model, 0, note, replay, centre=centre, spread=spread)


def _logistic(task: Task, encoder: dense.Dense, x: Matrix) -> Linear:
    parameters = {**DEFAULTS, **task.parameters}
    kind = SPARSE if parameters["sparse"] else {}
    strength = parameters["C"] if "C" in task.parameters else _best_strength(task, x, kind)
    model = LogisticRegression(C=strength, warm_start=True, random_state=task.seed, **kind)
    steps, is_cut = 0, False
    portion = clock.steps_per_look(x.size)
    while not is_cut and steps < parameters["rounds"]:
        model.max_iter = min(portion, parameters["rounds"] - steps)
        model.fit(x, task.rows.y, sample_weight=task.rows.weights)
        done = int(model.n_iter_.max())
        steps += done
        if done < model.max_iter:
            break
        is_cut = clock.is_over(task.end)
    used = np.count_nonzero(model.coef_.any(axis=0))
    note = f"{used} columns, inverse penalty {strength:g}, {steps} steps"
    return Linear(encoder, model, task.classes, note, {**encoder.replay, **({"rounds": steps} if is_cut else {})})


def _best_strength(task: Task, x: Matrix, kind: dict[str, Any]) -> float:
    """Return the inverse penalty with the least log loss on parts of the rows that did not train."""
    y = task.rows.y
    parts = np.random.default_rng(task.seed).permutation(len(y)) % INNER_PARTS
    has_classes = all(len(np.unique(y[parts != part])) > 1 for part in range(INNER_PARTS))
    if x.size > MOST_CELLS_TO_TRY or len(y) < INNER_PARTS or not has_classes:
        return float(DEFAULTS["C"])
    losses = []
    for strength in STRENGTHS:
        model = LogisticRegression(C=strength, max_iter=STEPS_TO_TRY, random_state=task.seed, **kind)
        chances = np.empty(len(y))
        for part in range(INNER_PARTS):
            inside = parts == part
            model.fit(x[~inside], y[~inside], sample_weight=_some(task.rows.weights, ~inside))
            found = np.zeros((int(inside.sum()), task.classes))
            found[:, model.classes_.astype(np.int64)] = model.predict_proba(x[inside])
            chances[inside] = found[np.arange(len(found)), y[inside].astype(np.int64)]
        losses.append(np.average(-np.log(np.maximum(chances, SMALLEST_PROBABILITY)), weights=task.rows.weights))
    return STRENGTHS[int(np.argmin(losses))]


def _some(weights: Floats | None, rows: npt.NDArray[np.bool_]) -> Floats | None:
    return None if weights is None else weights[rows]
