"""Linear models of words and columns; this file fits ridge regression for values and logistic regression for classes.

With ``naive_bayes`` each word first counts as much as it tells classes apart by itself.
Source: Wang and Manning (2012), "Baselines and Bigrams: Simple, Good Sentiment and Topic Classification".
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge
from threadpoolctl import threadpool_limits

import clock
import dense
from matrices import Mixed
from models import Floats, Rows, Task, scores_of_classes

STEPS_PER_LOOK = 25
# Words as they are weighed have length 1: columns, whose deviation is 1, would drown them.
COLUMN_SCALE = 0.1
DEFAULTS: dict[str, Any] = {"C": 4.0, "alpha": 1.0, "rounds": 200, "naive_bayes": False, "smoothing": 0.02}

threadpool_limits(1)
# Steps are taken in portions, to look at the clock between them: a portion that does not converge is no news.
warnings.filterwarnings("ignore", category=ConvergenceWarning)


@dataclass
class Linear:
    """Fitted models, one for values or all classes, or one per class; ``ratios`` are what each word counts."""

    encoder: dense.Dense | None
    ratios: list[Any]
    fitted: list[Any]
    classes: int
    note: str
    replay: dict[str, Any] = field(default_factory=dict)
    rounds: int = 0

    def predict(self, x: Any) -> Floats:
        if not self.classes:
            return np.asarray(self.fitted[0].predict(self._seen(x, 0)), dtype=np.float64).reshape(len(x), 1)
        if len(self.fitted) == 1:
            return self._probabilities(x, 0, self.classes)
        shares: Floats = np.column_stack([self._probabilities(x, place, 2)[:, 0] for place in range(len(self.fitted))])
        total: Floats = np.maximum(shares.sum(axis=1, keepdims=True), 1e-12)
        return np.divide(shares, total)

    def _probabilities(self, x: Any, place: int, classes: int) -> Floats:
        model = self.fitted[place]
        return scores_of_classes(model.predict_proba(self._seen(x, place)), model.classes_, classes)

    def _seen(self, x: Any, place: int) -> Any:
        return _side_by_side(x, self.encoder, self.ratios[place])


@dataclass
class OneClass:
    """What stands for a model of one label where all rows have it, or none has."""

    label: float

    @property
    def classes_(self) -> Floats:
        return np.array([self.label])

    def predict_proba(self, x: Any) -> Floats:
        return np.ones((x.shape[0], 1))


def fit(task: Task) -> Linear:
    """Fit until it converges or the time is over."""
    parameters = {**DEFAULTS, **task.parameters}
    x: Any = task.rows.x
    encoder = _encoder(x, task.category_columns)
    if not task.classes:
        model = Ridge(alpha=parameters["alpha"], solver="sparse_cg", max_iter=parameters["rounds"])
        model.fit(_side_by_side(x, encoder, None), task.rows.y, sample_weight=task.rows.weights)
        return Linear(encoder, [None], [model], 0, f"{x.shape[1]} columns")
    if not parameters["naive_bayes"] or not isinstance(x, Mixed):
        model, steps, is_cut = _logistic(_side_by_side(x, encoder, None), task.rows, task.end, parameters)
        replay = {"rounds": steps} if is_cut else {}
        return Linear(encoder, [None], [model], task.classes, f"{x.shape[1]} columns, {steps} steps", replay)
    ratios, fitted, steps = [], [], 0
    for label in range(1, 2) if task.classes == 2 else range(task.classes):
        own = Rows(task.rows.x, (task.rows.y == label).astype(np.float64), task.rows.weights)
        ratios.append(_ratio(x.words, own.y, float(parameters["smoothing"])))
        # Where time ends one class's fit, those after it go as far: that a later run can repeat.
        model, done, is_cut = _logistic(_side_by_side(x, encoder, ratios[-1]), own, task.end, parameters)
        fitted.append(model)
        steps = done if is_cut else steps
        parameters["rounds"] = done if is_cut else parameters["rounds"]
    replay = {"rounds": steps} if steps else {}
    return Linear(encoder, ratios, fitted, task.classes, f"{x.shape[1]} columns, naive Bayes", replay)


def _encoder(x: Any, category_columns: list[int]) -> dense.Dense | None:
    columns = x.dense if isinstance(x, Mixed) else x
    return dense.fit(columns, category_columns) if columns.shape[1] else None


def _side_by_side(x: Any, encoder: dense.Dense | None, ratio: Any) -> Any:
    if not isinstance(x, Mixed):
        return encoder.encode(x) if encoder else x
    words = x.words if ratio is None else x.words @ sparse.diags(ratio).tocsr()
    if encoder is None:
        return words
    columns = sparse.csr_matrix(COLUMN_SCALE * encoder.encode(x.dense))
    return sparse.hstack([columns, words], format="csr", dtype=np.float32)


def _ratio(words: Any, y: Floats, smoothing: float) -> Any:
    """Return for each word the logarithm of its share among rows of the class over that among the others."""
    inside = smoothing + np.asarray(words[y == 1].sum(axis=0)).ravel()
    outside = smoothing + np.asarray(words[y == 0].sum(axis=0)).ravel()
    return np.log((inside / inside.sum()) / (outside / outside.sum())).astype(np.float32)


def _logistic(x: Any, rows: Rows, end: float, parameters: dict[str, Any]) -> tuple[Any, int, bool]:
    """Return the model, the steps that it took, and whether the clock ended it."""
    if len(np.unique(rows.y)) < 2:  # one class alone among these rows: nothing to tell apart
        return OneClass(float(rows.y[0])), 0, False
    model = LogisticRegression(C=parameters["C"], warm_start=True)
    steps, is_cut = 0, False
    while not is_cut and steps < parameters["rounds"]:
        model.max_iter = min(STEPS_PER_LOOK, parameters["rounds"] - steps)
        model.fit(x, rows.y, sample_weight=rows.weights)
        done = int(model.n_iter_.max())
        steps += done
        if done < model.max_iter:
            break
        is_cut = clock.is_over(end)
    return model, steps, is_cut
