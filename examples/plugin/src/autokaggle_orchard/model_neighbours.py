"""Nearest neighbours from scikit-learn; this file fits one model of the family.

It stands beside the template's files when it runs, and imports from them what it needs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

import dense
from models import scores_of_classes

DEFAULTS = {"neighbours": 15}


@dataclass
class Neighbours:
    """A fitted model; the clock decides nothing of it, so that it has nothing to repeat."""

    encoder: Any
    fitted: Any
    classes: int
    note: str
    rounds: int = 0
    replay: dict[str, Any] = field(default_factory=dict)

    def predict(self, x: Any) -> Any:
        """Return (n_rows, outputs): values, the probability of the last of two classes, or of each class."""
        seen = self.encoder.encode(x)
        if not self.classes:
            return np.asarray(self.fitted.predict(seen), dtype=np.float64).reshape(len(x), 1)
        return scores_of_classes(self.fitted.predict_proba(seen), self.fitted.classes_, self.classes)


def fit(task: Any) -> Neighbours:
    """Fit on the rows that train; near neighbours weigh more."""
    parameters = {**DEFAULTS, **task.parameters}
    encoder = dense.fit(task.rows.x, task.category_columns)
    count = min(int(parameters["neighbours"]), len(task.rows.y))
    model = (KNeighborsClassifier if task.classes else KNeighborsRegressor)(n_neighbors=count, weights="distance")
    model.fit(encoder.encode(task.rows.x), task.rows.y)
    return Neighbours(encoder, model, task.classes, f"{count} neighbours")
