"""Families of models; this file fits one by its name and says what every family gets and gives.

Each family has a file of its own, imported only when used, so that only its own libraries need to be installed.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from encoding import Matrix

Floats = npt.NDArray[np.float64]

FAMILIES = {
    "lightgbm": "model_lightgbm",
    "linear": "model_linear",
    "extra_trees": "model_extra_trees",
    "xgboost": "model_xgboost",
    "catboost": "model_catboost",
}
# These boost until rows that do not train stop gaining.
WATCHING = {"lightgbm", "xgboost", "catboost"}


@dataclass(frozen=True)
class Task:
    """What to fit.

    ``y`` holds values, or class positions. ``watched`` are rows with targets that do not train, on which boosting
    sees when to stop. ``classes`` is 0 for values. ``end`` is the moment (seconds since 1970) at which a fit must
    stop with what it has.
    """

    x: Matrix
    y: Floats
    watched: tuple[Matrix, Floats] | None
    objective: str
    classes: int
    category_columns: list[int]
    seed: int
    end: float
    weights: Floats | None = None
    parameters: dict[str, Any] = field(default_factory=dict)


class Model(Protocol):
    """A fitted model; ``note`` says in a few words how the fit went, ``rounds`` how many trees it kept (0: no such)."""

    note: str
    rounds: int

    def predict(self, x: Matrix) -> Floats:
        """Return (n_rows, outputs): values, probabilities of the last of two classes, or of each class."""
        ...


def fit(family: str, task: Task) -> Model:
    """Fit one model of the family.

    Raises:
        KeyError: no such family.
    """
    fit_family: Callable[[Task], Model] = importlib.import_module(FAMILIES[family]).fit
    return fit_family(task)
