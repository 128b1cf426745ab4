"""Extremely randomised trees from scikit-learn; this file grows as many as the time allows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor

import clock
from encoding import Matrix
from models import Floats, Task

TREES_PER_LOOK = 20
# A tree of single rows takes as much room as the data: leaves grow with the table, so that the model stays small.
ROWS_PER_LEAF_ROW = 4000
DEFAULTS = {"trees": 300, "min_samples_leaf": 2}


@dataclass
class ExtraTrees:
    """A fitted forest; missing values are below every value."""

    forest: ExtraTreesClassifier | ExtraTreesRegressor
    lowest: Matrix
    note: str
    rounds: int = 0

    def predict(self, x: Matrix) -> Floats:
        seen = np.where(np.isnan(x), self.lowest, x)
        if isinstance(self.forest, ExtraTreesRegressor):
            return np.asarray(self.forest.predict(seen), dtype=np.float64).reshape(len(x), 1)
        probabilities = np.asarray(self.forest.predict_proba(seen), dtype=np.float64)
        return probabilities if probabilities.shape[1] > 2 else probabilities[:, 1:]


def fit(task: Task) -> ExtraTrees:
    """Grow trees in portions until there are enough or the time is over."""
    parameters = {**DEFAULTS, **task.parameters}
    trees = parameters.pop("trees")
    parameters["min_samples_leaf"] = max(parameters["min_samples_leaf"], len(task.x) // ROWS_PER_LEAF_ROW)
    parameters |= {"random_state": task.seed, "n_jobs": 1, "warm_start": True, "n_estimators": 0}
    forest = ExtraTreesClassifier(**parameters) if task.classes else ExtraTreesRegressor(max_features=0.4, **parameters)
    with np.errstate(invalid="ignore"):
        lowest = np.nan_to_num(np.nanmin(task.x, axis=0, keepdims=True)) - 1
    seen = np.where(np.isnan(task.x), lowest, task.x)
    while forest.n_estimators < trees:
        forest.n_estimators = min(trees, forest.n_estimators + TREES_PER_LOOK)
        forest.fit(seen, task.y, sample_weight=task.weights)
        if clock.is_over(task.end):
            break
    return ExtraTrees(forest, lowest, f"{forest.n_estimators} trees")
