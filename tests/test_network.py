"""The network of the tabular template: its gradient is right, its members differ, and the clock can be replayed."""

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

from tests.template_files import template_file


@pytest.fixture(scope="module")
def mlp() -> Iterator[ModuleType]:
    with template_file("model_mlp") as module:
        yield module


def task(mlp: ModuleType, classes: int = 0, rows: int = 400, **parameters: Any) -> Any:
    """A target that steps where a number passes zero, and depends on a category; every third row is watched.

    The network is smaller than usual, and so are the seconds.
    """
    models = sys.modules["models"]
    random = np.random.default_rng(0)
    x = random.normal(size=(rows, 4)).astype(np.float32)
    x[:, 3] = random.integers(0, 3, rows)
    signal = np.where(x[:, 0] > 0, 2.0, 0.0) + x[:, 3]
    x[::7, 1] = np.nan
    y = 100 + 10 * signal if not classes else np.digitize(signal, [0.5, 2.5][: classes - 1]).astype(np.float64)
    watched = np.arange(rows) % 3 == 0
    return models.Task(
        rows=models.Rows(x[~watched], y[~watched]),
        watched=models.Rows(x[watched], y[watched]),
        objective="log_loss" if classes else "squared_error",
        classes=classes,
        category_columns=[3],
        seed=1,
        end=math.inf,
        parameters={"hidden_layer_sizes": (32, 16), "rounds": 40, **parameters},
    )


@pytest.mark.parametrize("outputs", [1, 3])
def test_the_gradient_is_what_small_changes_of_each_number_show(mlp: ModuleType, outputs: int) -> None:
    random = np.random.default_rng(0)
    made = mlp.network.start(5, np.zeros(outputs), (6, 4), 2, random, np.float64)
    x, weights = random.normal(size=(8, 5)), random.uniform(0, 2, 8)
    wanted = np.eye(3)[random.integers(0, 3, 8)] if outputs == 3 else random.normal(size=(8, 1))

    def loss() -> float:
        told = made.outputs(x)
        if outputs == 1:
            return float((weights * ((told - wanted) ** 2)[:, :, 0] / 2).sum() / 8)
        return float(-(weights * np.log((mlp.network.chances(told) * wanted).sum(axis=2))).sum() / 8)

    found = made.gradient(x, wanted, weights, 0.0, random)
    for place in range(len(made.values)):
        value, losses = made.values[place], []
        for change in (1e-5, -1e-5):
            made.values[place] = value + change
            losses.append(loss())
        made.values[place] = value
        assert found[place] == pytest.approx((losses[0] - losses[1]) / 2e-5, abs=1e-7)


def test_dropped_units_leave_the_mean_as_it_is(mlp: ModuleType) -> None:
    kept = mlp.network._kept(np.ones((400, 400), dtype=np.float32), 0.3, np.random.default_rng(0))
    assert kept.dtype == np.float32
    assert kept.mean() == pytest.approx(1, abs=0.01)
    assert (kept == 0).mean() == pytest.approx(0.3, abs=0.01)


@pytest.mark.parametrize("classes", [0, 2, 3])
def test_steps_and_categories_are_learned(mlp: ModuleType, classes: int) -> None:
    made = task(mlp, classes)
    told = mlp.fit(made).predict(made.watched.x)
    truth = made.watched.y
    assert told.shape == (len(truth), classes if classes > 2 else 1)
    assert told.dtype == np.float64
    if not classes:
        assert np.mean((told[:, 0] - truth) ** 2) < 0.1 * truth.var()
        assert made.rows.y.min() <= told.min()
        assert told.max() <= made.rows.y.max()
    else:
        assert ((told.argmax(axis=1) if classes > 2 else told[:, 0] > 0.5) == truth).mean() > 0.95


def test_the_same_seed_gives_the_same_network_and_another_seed_another(mlp: ModuleType) -> None:
    made = task(mlp, 2, rounds=3)
    first, again, other = (mlp.fit(replace(made, seed=seed)).network.values for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_rows_of_no_weight_say_nothing(mlp: ModuleType) -> None:
    made = task(mlp)
    weights = (np.arange(len(made.rows.y)) % 2).astype(np.float64)
    wrong = replace(made.rows, y=np.where(weights > 0, made.rows.y, made.rows.y.mean()[None]), weights=weights)
    told = mlp.fit(replace(made, rows=wrong)).predict(made.watched.x)[:, 0]
    assert np.mean((told - made.watched.y) ** 2) < 0.15 * made.watched.y.var()


@pytest.mark.parametrize("seconds", [0.0, 0.3])
@pytest.mark.parametrize("is_watched", [True, False])
def test_what_the_clock_cut_is_rebuilt_without_a_clock(mlp: ModuleType, seconds: float, is_watched: bool) -> None:
    long = {"flat": 10**5, "rounds": 10**5, "patience": 10**5}
    made = task(mlp, **long)
    made = made if is_watched else replace(made, watched=None)
    cut = mlp.fit(replace(made, end=time.time() + seconds))
    assert cut.replay or not is_watched
    assert cut.replay.get("steps", math.inf) == 1 or seconds  # a round of wide tables takes long
    again = mlp.fit(replace(made, parameters={**made.parameters, **cut.replay}))
    assert np.array_equal(cut.network.values, again.network.values)


def test_a_fit_with_time_enough_needs_no_replay(mlp: ModuleType) -> None:
    made = task(mlp, rounds=4)
    free, watched_clock = mlp.fit(made), mlp.fit(replace(made, end=time.time() + 1000))
    assert watched_clock.replay == {}
    assert np.array_equal(free.network.values, watched_clock.network.values)


def test_very_few_rows_do_not_blow_up(mlp: ModuleType) -> None:
    made = replace(task(mlp, rows=5), watched=None)
    assert np.isfinite(mlp.fit(made).predict(made.rows.x)).all()


def test_where_no_level_is_common_enough_for_a_column_the_mean_is_told(mlp: ModuleType) -> None:
    made = task(mlp, rows=60, watched=None)
    rare = replace(made.rows, x=np.arange(len(made.rows.y), dtype=np.float32)[:, None])
    told = mlp.fit(replace(made, rows=rare, category_columns=[0])).predict(rare.x)
    assert np.allclose(told, rare.y.mean(), atol=0.2 * rare.y.std())
