"""Families of models; this file fits one by its name and says what every family gets and gives.

Each family has a file of its own, ``model_NAME.py`` with ``fit(task) -> Model``, imported only when used, so that only
its own libraries need to be installed.
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
Integers = npt.NDArray[np.int64]

# These learn on until rows that do not train stop gaining; those that boost can be cut back to fewer rounds later.
BOOSTING = {"lightgbm", "xgboost", "catboost"}
WATCHING = {*BOOSTING, "mlp"}
COLUMNS_PER_LEAF = 0.5


@dataclass(frozen=True)
class Rows:
    """Rows of the matrix with what is to be learned: values, or class positions.

    Where folds keep groups of rows together, those of the same number in ``together`` may belong to one group: what
    they tell of each other says nothing of rows to come. Families in ``WATCHING`` are not told.
    """

    x: Matrix
    y: Floats
    weights: Floats | None = None
    together: Integers | None = None


@dataclass(frozen=True)
class Task:
    """What to fit.

    ``watched`` are rows that do not train, on which boosting sees when to stop. ``classes`` is 0 for values. ``end``
    is the moment (seconds since 1970) at which a fit must stop with what it has. ``quantile`` is for the objective of
    this name. With ``gpu`` a family that can trains on one; the fit is alone then, and has all threads.
    """

    rows: Rows
    watched: Rows | None
    objective: str
    classes: int
    category_columns: list[int]
    seed: int
    end: float
    parameters: dict[str, Any] = field(default_factory=dict)
    quantile: float = 0.5
    gpu: bool = False


class Model(Protocol):
    """A fitted model.

    ``note`` says in a few words how the fit went, ``rounds`` how many rounds of boosting it predicts with (0: it does
    not boost). One that boosts may keep a ``curve``, how the loss of its watched rows fell. ``replay`` are the
    parameters with which the same fit gives the same model without a clock, empty when the clock decided nothing.
    """

    note: str
    rounds: int
    replay: dict[str, Any]

    def predict(self, x: Matrix) -> Floats:
        """Return (n_rows, outputs): values, probabilities of the last of two classes, or of each class."""
        ...


@dataclass
class Same:
    """A model of rows that all have the same value or class: it says that of each row."""

    said: Floats
    note: str = "the same for all rows"
    rounds: int = 0
    replay: dict[str, Any] = field(default_factory=dict)

    def predict(self, x: Matrix) -> Floats:
        return np.tile(self.said, (x.shape[0], 1))


def same(task: Task) -> Same:
    """Return the model of a task of which there is nothing to learn; not every library takes one."""
    only = float(task.rows.y[0])
    if task.classes > 2:
        return Same(np.eye(task.classes)[int(only)])
    return Same(np.array([1.0 if task.classes == 1 else only]))


def fitter(family: str) -> Callable[[Task], Model]:
    """Return the function that fits one model of the family, its libraries imported.

    Raises:
        ModuleNotFoundError: no such family, or its library is missing.
    """
    fit: Callable[[Task], Model] = importlib.import_module(f"model_{family}").fit
    return fit


def column_share(share: float, leaves: int, columns: int) -> float:
    """Return which share of the columns a tree gets: ``share``, but never fewer columns than half its leaves.

    A part of the columns makes trees differ where columns are many. Of ten columns four leave out, more often than
    not, one of two that only together tell something.
    """
    return min(1.0, max(share, COLUMNS_PER_LEAF * leaves / max(1, columns)))


def scores_of_classes(probabilities: Floats, found: npt.NDArray[Any], classes: int) -> Floats:
    """Return scores from scikit-learn's probabilities, whose columns are the classes ``found`` among the rows."""
    whole = np.zeros((len(probabilities), classes))
    whole[:, np.asarray(found, dtype=np.int64)] = probabilities
    return whole if classes > 2 else whole[:, 1:]
