"""Lines through few columns; this file fits them by coordinate descent, and chooses how much weights are punished.

The penalty comes down step by step from the one that leaves no column, each fit starting where the last one ended. So
wherever the clock ends that, a fitted line is there. Parts of the rows that did not train choose among the penalties.
Source: Friedman, Hastie, Tibshirani (2010), "Regularization Paths for Generalized Linear Models via Coordinate
Descent".
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from sklearn.linear_model import lasso_path
from sklearn.model_selection import KFold

import clock
from encoding import Matrix
from models import Floats

# How many penalties there are, and the last one as a share of the first.
PENALTIES, LAST_PENALTY = 40, 1e-3
# So many are gone through where there is no time to judge any. Rows are then many, and a moderate penalty suits them.
UNJUDGED = 20
MOST_STEPS = 2_000
INNER_PARTS = 5
# Multiplications between two looks at the clock, while columns are multiplied with each other.
PRODUCTS_PER_LOOK, FEWEST_COLUMNS_PER_LOOK = 10_000_000_000, 16


@dataclass(frozen=True)
class Line:
    """Weights of columns (columns,), most of them 0, and the penalty, by the names of scikit-learn's models.

    ``height`` is what a row of zeros is predicted; so many ``penalties`` were gone through, this one the last.
    """

    coef_: Matrix
    alpha_: float
    height: float
    penalties: int

    def predict(self, x: Matrix) -> Floats:
        """Return (n_rows,)."""
        return np.asarray(x @ self.coef_, dtype=np.float64) + self.height


def fit(x: Matrix, y: Floats, weights: Floats, seed: int, end: float, most: int | None = None) -> tuple[Line, bool]:
    """Fit with the penalty that errs least on rows that did not train; also say whether the clock ended that early.

    ``x`` is (n_rows, columns), ``y`` and ``weights`` (n_rows,) with weights above 0; rows are at least as many as
    ``INNER_PARTS``. ``end`` is a moment (seconds since 1970). With ``most`` so many penalties are gone through instead,
    of which a line says by ``penalties`` how many make the same one again.
    """
    rows = _Rows(x, y, weights)
    highest = max(float(np.abs(rows.x.T @ rows.y).max()) / len(x), float(np.finfo(np.float64).resolution))
    penalties = np.geomspace(highest, highest * LAST_PENALTY, PENALTIES)
    is_cut = False
    if most is None:
        most, is_cut = _best(x, y, weights, penalties, seed, end)
    found = rows.path(penalties[:most], end)
    last, count = found[-1], len(found)
    line = Line(last, float(penalties[count - 1]), rows.height - float(rows.centre @ last), count)
    return line, is_cut or count < most


def _best(x: Matrix, y: Floats, weights: Floats, penalties: Floats, seed: int, end: float) -> tuple[int, bool]:
    """Return how many penalties to go through to the best, and whether the clock kept some from being tried.

    A fit on all rows is still to come: each part gets as much of the time as that.
    """
    losses = np.zeros(len(penalties))
    parts = KFold(INNER_PARTS, shuffle=True, random_state=seed).split(x)
    for fits_left, (inside, outside) in zip(range(INNER_PARTS + 1, 1, -1), parts, strict=True):
        now = time.time()
        rows = _Rows(x[inside], y[inside], weights[inside])
        found = rows.path(penalties[: len(losses)], now + max(0.0, end - now) / fits_left)
        told = (x[outside] - rows.centre) @ found.T + rows.height
        if len(found) == 1:
            return UNJUDGED, True
        losses = losses[: len(found)] + weights[outside] @ (told - y[outside, None]) ** 2
    return int(np.argmin(losses)) + 1, len(losses) < len(penalties)


class _Rows:
    """Rows around their mean, which lines go through; each is as long as its weight says.

    ``centre`` (columns,) and ``height`` are the means of ``x`` and ``y``.
    """

    def __init__(self, x: Matrix, y: Floats, weights: Floats) -> None:
        shares = weights / weights.sum()
        self.centre: Matrix = shares.astype(np.float32) @ x
        self.height = float(shares @ y)
        lengths = np.sqrt(shares * len(x))
        self.x = np.asfortranarray(x - self.centre)
        self.x *= lengths.astype(np.float32)[:, None]
        self.y: Matrix = ((y - self.height) * lengths).astype(np.float32)

    def path(self, penalties: Floats, end: float) -> Matrix:
        """Return weights (penalties, columns) for as many penalties as there was time for; the first leaves none."""
        found = [np.zeros(self.x.shape[1], dtype=np.float32)]
        products = self._products(end) if len(penalties) > 1 else None
        while products and len(found) < len(penalties) and not clock.is_over(end):
            weights = self._descend(penalties[len(found)], found[-1].copy(), products, end)
            if weights is None:
                break
            found.append(weights)
        return np.array(found)

    def _products(self, end: float) -> tuple[Matrix | bool, Matrix | None] | None:
        """Return those of all columns with each other and with the target; None where the clock ends that.

        False and None stand for them where columns are no fewer than rows: there they would save no time.
        """
        rows, columns = self.x.shape
        if rows <= columns:
            return False, None
        products = np.empty((columns, columns), dtype=np.float32)
        at_once = max(FEWEST_COLUMNS_PER_LOOK, PRODUCTS_PER_LOOK // self.x.size)
        for start in range(0, columns, at_once):
            if clock.is_over(end):
                return None
            stop = start + at_once
            some = self.x[:, start:stop].T @ self.x[:, start:]
            products[start:stop, start:], products[start:, start:stop] = some, some.T
        return products, self.x.T @ self.y

    def _descend(
        self, penalty: float, weights: Matrix, products: tuple[Matrix | bool, Matrix | None], end: float
    ) -> Matrix | None:
        """Return the weights for one penalty, near those for another; None where the clock ends that."""
        by_columns, by_target = products
        portion = clock.steps_per_look(by_columns.size if isinstance(by_columns, np.ndarray) else self.x.size)
        for start in range(0, MOST_STEPS, portion):
            if start and clock.is_over(end):
                return None
            _, found, _, (steps,) = lasso_path(
                self.x,
                self.y,
                alphas=[penalty],
                precompute=by_columns,
                Xy=by_target,
                coef_init=weights,
                max_iter=portion,
                return_n_iter=True,
                check_input=False,
            )
            weights = found[:, 0]
            if steps < portion:
                break
        return weights
