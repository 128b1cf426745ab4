"""Extremely randomised trees from scikit-learn; this file grows as many as the time allows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor

import clock
from encoding import Matrix
from models import Floats, Task, scores_of_classes

TREES_PER_LOOK = 20
# A tree of single rows takes as much room as the data: leaves grow with the table, so that the model stays small.
ROWS_PER_LEAF_ROW = 4000
DEFAULTS = {"rounds": 300, "min_samples_leaf": 2}


@dataclass
class ExtraTrees:
    """A fitted forest; missing values are below every value."""

    forest: ExtraTreesClassifier | ExtraTreesRegressor
    lowest: Matrix
    classes: int
    note: str
    replay: dict[str, Any] = field(default_factory=dict)
    rounds: int = 0

    def predict(self, x: Matrix) -> Floats:
        seen = np.where(np.isnan(x), self.lowest, x)
        if isinstance(self.forest, ExtraTreesRegressor):
            return np.asarray(self.forest.predict(seen), dtype=np.float64).reshape(len(x), 1)
        return scores_of_classes(self.forest.predict_proba(seen), self.forest.classes_, self.classes)


def fit(task: Task) -> ExtraTrees:
    """Grow trees in portions until there are enough or the time is over."""
    x = task.rows.x
    parameters = {**DEFAULTS, "max_features": "sqrt" if task.classes else 0.4, **task.parameters}
    trees = parameters.pop("rounds")
    parameters["min_samples_leaf"] = max(parameters["min_samples_leaf"], len(x) // ROWS_PER_LEAF_ROW)
    parameters |= {"random_state": task.seed, "n_jobs": 1, "warm_start": True, "n_estimators": 0}
    forest = ExtraTreesClassifier(**parameters) if task.classes else ExtraTreesRegressor(**parameters)
    lowest = np.nan_to_num(np.fmin.reduce(x, axis=0, keepdims=True)) - 1
    seen = np.where(np.isnan(x), lowest, x)
    is_cut = False
    while not is_cut and forest.n_estimators < trees:
        forest.n_estimators = min(trees, forest.n_estimators + TREES_PER_LOOK)
        forest.fit(seen, task.rows.y, sample_weight=task.rows.weights)
        is_cut = clock.is_over(task.end)
    replay = {"rounds": forest.n_estimators} if is_cut else {}
    return ExtraTrees(forest, lowest, task.classes, f"{forest.n_estimators} trees", replay)
