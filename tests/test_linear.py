"""The linear models of the tabular template: with few columns that matter among many, sparse ones find them."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LassoCV
from sklearn.model_selection import KFold

from tests.template_files import make_task, template_file

TRAINING = 150
# As the template's file itself has it: steps are taken in portions.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(scope="module")
def linear() -> Iterator[ModuleType]:
    with template_file("model_linear") as module:
        yield module


def task(classes: int, rows: int = TRAINING, **parameters: Any) -> Any:
    """Six columns of 300 add up to the target."""
    x, y = table(classes)
    return make_task(x[:rows], y[:rows], classes, parameters)


def table(classes: int) -> tuple[Any, Any]:
    random = np.random.default_rng(0)
    x = random.normal(size=(1_000, 300)).astype(np.float32)
    total = x[:, :6] @ np.array([3.0, -2.0, 2.0, 1.5, -1.5, 1.0]) + 0.3 * random.normal(size=1_000)
    return x, total if not classes else np.digitize(total, [-2.0, 2.0][: classes - 1]).astype(np.float64)


@pytest.mark.parametrize("classes", [0, 2, 3])
def test_few_columns_of_many_are_found(linear: ModuleType, classes: int) -> None:
    x, y = table(classes)

    def loss(model: Any) -> float:
        told = model.predict(x[TRAINING:])
        if not classes:
            return float(np.mean((told[:, 0] - y[TRAINING:]) ** 2))
        chances = told if classes > 2 else np.concatenate([1 - told, told], axis=1)
        return float(-np.log(chances[np.arange(len(chances)), y[TRAINING:].astype(int)] + 1e-9).mean())

    sparse, ridge = linear.fit(task(classes, sparse=True)), linear.fit(task(classes))
    assert loss(sparse) < 0.7 * loss(ridge)
    assert np.count_nonzero(np.atleast_2d(sparse.fitted.coef_).any(axis=0)) < 120
    assert np.atleast_2d(sparse.fitted.coef_)[:, :6].any(axis=0).all()


@pytest.mark.parametrize(("classes", "rows"), [(0, 2), (0, 9), (0, 11), (2, 4), (2, 6), (3, 8)])
def test_very_few_rows_do_not_blow_up(linear: ModuleType, classes: int, rows: int) -> None:
    made = task(classes, rows, sparse=True)
    assert np.isfinite(linear.fit(made).predict(made.rows.x)).all()


def test_what_the_clock_cut_is_rebuilt_without_a_clock(linear: ModuleType) -> None:
    made = task(3, sparse=True, C=10.0, rounds=400)
    cut = linear.fit(replace(made, end=time.time() + 0.01))
    assert cut.replay
    again = linear.fit(replace(made, parameters={**made.parameters, **cut.replay}))
    np.testing.assert_array_equal(cut.predict(made.rows.x), again.predict(made.rows.x))


# So many looks end the first parts of the rows that choose a penalty, or the last fit, on all rows.
@pytest.mark.parametrize("looks", [0, 20, 110, 205])
def test_a_sparse_fit_of_values_ends_by_its_clock_and_is_rebuilt_without_one(
    linear: ModuleType, monkeypatch: pytest.MonkeyPatch, looks: int
) -> None:
    left = iter(range(looks))
    monkeypatch.setattr(linear.clock, "is_over", lambda end: math.isfinite(end) and next(left, None) is None)
    made = task(0, sparse=True, dense_columns=300)
    cut = linear.fit(replace(made, end=time.time() + 1_000))
    assert next(left, None) is None
    told = cut.predict(made.rows.x)
    assert np.mean((told[:, 0] - made.rows.y) ** 2) <= 1.001 * np.var(made.rows.y)
    again = linear.fit(replace(made, parameters={**made.parameters, **cut.replay}))
    np.testing.assert_array_equal(told, again.predict(made.rows.x))


def test_without_the_time_to_choose_a_penalty_a_moderate_one_is_taken(
    linear: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = replace(task(0, 900, sparse=True, dense_columns=300), end=time.time() + 1_000)
    monkeypatch.setattr(linear.clock, "is_over", lambda end: end < made.end)  # the end of all but the last fit
    model = linear.fit(made)
    assert model.replay
    assert np.mean((model.predict(made.rows.x)[:, 0] - made.rows.y) ** 2) < 0.1 * np.var(made.rows.y)
    assert np.count_nonzero(model.fitted.coef_) < 60


@pytest.mark.parametrize("rows", [TRAINING, 900])
def test_with_time_a_sparse_fit_of_values_is_that_of_scikit_learn(linear: ModuleType, rows: int) -> None:
    made = task(0, rows, sparse=True)
    shown, y = linear.dense.fit(made.rows.x, []).encode(made.rows.x), made.rows.y
    known = LassoCV(alphas=40, cv=KFold(5, shuffle=True, random_state=made.seed), max_iter=10_000)
    known.fit(shown, (y - y.mean()) / y.std())
    model = linear.fit(made)
    np.testing.assert_allclose(model.fitted.coef_, known.coef_, atol=0.01)
    np.testing.assert_allclose(
        model.predict(made.rows.x)[:, 0], known.predict(shown) * y.std() + y.mean(), atol=0.03 * y.std()
    )


@pytest.mark.parametrize("classes", [2, 3])
def test_rows_of_one_class_say_that_class(linear: ModuleType, classes: int) -> None:
    made = task(classes)
    alone = sys.modules["models"].same(replace(made, rows=replace(made.rows, y=np.ones(TRAINING))))
    told = alone.predict(made.rows.x)
    np.testing.assert_array_equal(told, np.tile([1.0] if classes == 2 else [0.0, 1.0, 0.0], (TRAINING, 1)))


def test_rows_that_do_not_count_leave_enough_to_judge_penalties(linear: ModuleType) -> None:
    made = task(0, sparse=True)
    weights = np.zeros(TRAINING)
    weights[:2] = 75.0
    model = linear.fit(replace(made, rows=replace(made.rows, weights=weights)))
    assert np.isfinite(model.predict(made.rows.x)).all()


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize(("far", "scale"), [(0.0, 1e-20), (1e12, 1.0), (0.0, 1e100)])
def test_the_scale_of_the_target_does_not_matter(linear: ModuleType, sparse: bool, far: float, scale: float) -> None:
    made = task(0, sparse=sparse)
    usual = linear.fit(made).predict(made.rows.x)
    told = linear.fit(replace(made, rows=replace(made.rows, y=far + scale * made.rows.y))).predict(made.rows.x)
    np.testing.assert_allclose((told - far) / scale, usual, atol=0.02)
