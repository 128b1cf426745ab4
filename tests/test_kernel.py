"""The kernel machine of the tabular template: rows left out are as refits say, columns count by what they do."""

from __future__ import annotations

import math
import time
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from tests.template_files import make_task, template_file


@pytest.fixture(scope="module")
def kernel() -> Iterator[ModuleType]:
    with template_file("model_kernel") as module:
        yield module


def task(classes: int = 0, rows: int = 300, columns: int = 12, **parameters: Any) -> Any:
    """A wave along the first of many columns, of which the others say nothing."""
    random = np.random.default_rng(0)
    x = random.normal(size=(rows, columns)).astype(np.float32)
    wave = np.sin(2 * x[:, 0]) + 0.05 * random.normal(size=rows)
    y = 100 + 10 * wave if not classes else np.digitize(wave, [-0.5, 0.5][: classes - 1]).astype(np.float64)
    return make_task(x, y, classes, parameters)


def examples(kernel: ModuleType, rows: int = 40) -> Any:
    random = np.random.default_rng(3)
    x = random.normal(size=(rows, 3))
    weights = random.uniform(0.2, 2, rows)
    wanted = np.stack([np.sin(x[:, 0]), x[:, 1] * x[:, 2]], axis=1)
    return kernel.Examples(x, wanted, weights)


def test_what_is_said_of_a_row_left_out_is_what_a_fit_without_it_says(kernel: ModuleType) -> None:
    rows, ridge = examples(kernel), kernel.kernel_ridge
    columns, said = np.array([0.5, 0.3, 0.2]), []

    def judge(left_out: Any) -> float:
        said.append(left_out)
        return float(len(said))  # the first is the least

    setting = ridge.choose(rows, columns, [0.7], judge)
    assert setting.penalty == ridge.PENALTIES[0]
    for row in (0, 17, 39):
        others = np.arange(len(rows.x)) != row
        without = kernel.Examples(rows.x[others], rows.wanted[others], rows.weights[others])
        machine = ridge.solve(without, columns, setting, np.random.default_rng(0))
        np.testing.assert_allclose(machine.predict(rows.x[[row]])[0], said[0][row], rtol=1e-6, atol=1e-8)
    whole = ridge.solve(rows, columns, setting, np.random.default_rng(0))
    np.testing.assert_allclose(whole.votes, setting.votes, rtol=1e-4, atol=1e-6)


def test_what_is_said_of_rows_left_out_together_is_what_a_fit_without_all_of_them_says(kernel: ModuleType) -> None:
    rows, ridge = examples(kernel), kernel.kernel_ridge
    rows = replace(rows, together=np.arange(40) % 7 * 5)
    columns, said = np.array([0.5, 0.3, 0.2]), []

    def judge(left_out: Any) -> float:
        said.append(left_out)
        return float(len(said))

    setting = ridge.choose(rows, columns, [0.7], judge)
    for number in (0, 15, 30):
        others = rows.together != number
        without = kernel.Examples(rows.x[others], rows.wanted[others], rows.weights[others])
        machine = ridge.solve(without, columns, setting, np.random.default_rng(0))
        np.testing.assert_allclose(machine.predict(rows.x[~others]), said[0][~others], rtol=1e-6, atol=1e-8)


def test_rows_that_all_belong_together_are_left_out_one_by_one(kernel: ModuleType) -> None:
    rows, columns = examples(kernel), np.full(3, 1 / 3)
    one_by_one, all_at_once = (
        kernel.kernel_ridge.choose(each, columns, [0.7], lambda _: 0.0).left_out
        for each in (rows, replace(rows, together=np.zeros(40, dtype=np.int64)))
    )
    np.testing.assert_array_equal(all_at_once, one_by_one)


@pytest.mark.parametrize("classes", [0, 2])
def test_rows_of_one_entity_do_not_tell_of_each_other_when_the_setting_is_chosen(
    kernel: ModuleType, classes: int
) -> None:
    def entities(seed: int, count: int, rows_of_each: int) -> Any:
        random = np.random.default_rng(seed)
        centres = np.repeat(random.normal(size=(count, 6)), rows_of_each, axis=0)
        own = np.repeat(random.normal(size=count), rows_of_each)
        y = np.sin(1.5 * centres[:, 0]) + 0.5 * centres[:, 1] + own + 0.3 * random.normal(size=len(own))
        x = (centres + 0.1 * random.normal(size=centres.shape)).astype(np.float32)
        return make_task(x, (y > 0).astype(np.float64) if classes else y, classes, {})

    made, others = entities(0, 80, 5), entities(1, 600, 1).rows
    folds = np.random.default_rng(2).integers(0, 4, 80).repeat(5)

    def loss(task: Any) -> float:
        told = kernel.fit(task).predict(others.x)[:, 0]
        if not classes:
            return float(np.mean((told - others.y) ** 2))
        return float(-np.log(np.where(others.y == 1, told, 1 - told)).mean())

    assert loss(replace(made, rows=replace(made.rows, together=folds))) < 0.93 * loss(made)


def test_weights_of_columns_are_the_mean_squares_of_slopes(kernel: ModuleType) -> None:
    rows, ridge = examples(kernel), kernel.kernel_ridge
    columns = np.array([0.5, 0.3, 0.2])
    setting = ridge.choose(rows, columns, [0.7], lambda left_out: float(np.mean((left_out - rows.wanted) ** 2)))
    machine = ridge.solve(rows, columns, setting, np.random.default_rng(0))
    slopes = np.zeros(3)
    for column in range(3):
        step = np.zeros(3)
        step[column] = 1e-5
        slope = (machine.predict(rows.x + step) - machine.predict(rows.x - step)) / 2e-5
        slopes[column] = np.average((slope**2).sum(axis=1), weights=rows.weights)
    np.testing.assert_allclose(ridge.weigh(rows, columns, setting), slopes / slopes.sum(), rtol=1e-4)


def test_where_nothing_can_be_learned_all_columns_keep_their_weight(kernel: ModuleType) -> None:
    rows, columns = replace(examples(kernel), wanted=np.zeros((40, 1))), np.full(3, 1 / 3)
    setting = kernel.kernel_ridge.choose(rows, columns, [1.0], lambda _: 0.0)
    assert kernel.kernel_ridge.weigh(rows, columns, setting).tolist() == columns.tolist()


@pytest.mark.parametrize("classes", [0, 2, 3])
def test_weighing_finds_the_column_that_matters(kernel: ModuleType, classes: int) -> None:
    made, x = task(classes), task(classes, rows=900).rows
    alike, weighed = (kernel.fit(replace(made, parameters={"weighings": count})) for count in (0, 2))
    columns = weighed.machines[-1].machine.scales ** 2
    assert columns[0] > 0.8 * columns.sum()

    def loss(model: Any) -> float:
        told = model.predict(x.x[300:])
        if not classes:
            return float(np.mean((told[:, 0] - x.y[300:]) ** 2))
        chances = told if classes > 2 else np.concatenate([1 - told, told], axis=1)
        np.testing.assert_allclose(chances.sum(axis=1), 1)
        return float(-np.log(chances[np.arange(600), x.y[300:].astype(int)]).mean())

    assert loss(weighed) < 0.7 * loss(alike)


def test_probabilities_of_scores_are_as_likely_as_they_say(kernel: ModuleType) -> None:
    random = np.random.default_rng(0)
    scores = random.normal(size=(2_000, 3))
    chances = kernel.probabilities(scores, 2.5, np.array([1.0, 0.0, -1.0]))
    classes = (random.random((2_000, 1)) > chances.cumsum(axis=1)[:, :2]).sum(axis=1)
    sharpness, leanings = kernel.calibrate(scores, np.eye(3)[classes], np.ones(2_000))
    assert abs(sharpness - 2.5) < 0.3
    np.testing.assert_allclose(leanings - leanings.mean(), [1, 0, -1], atol=0.2)


def test_what_makes_probabilities_does_not_depend_on_the_scale_of_row_weights(kernel: ModuleType) -> None:
    random = np.random.default_rng(2)
    scores = random.normal(size=(400, 3)) / 2
    classes = (scores + random.gumbel(size=(400, 3)) / 4 + [0.3, 0.0, 0.0]).argmax(axis=1)
    weights = random.uniform(0.2, 1.8, 400)
    usual, smaller = (np.append(*kernel.calibrate(scores, np.eye(3)[classes], weights * n)) for n in (1.0, 0.01))
    np.testing.assert_allclose(smaller, usual, rtol=0.01, atol=0.01)


def test_a_part_of_many_rows_votes_nearly_like_all(kernel: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    made = task(rows=500, columns=2)
    seen = made.rows.x[:50]
    exact = kernel.fit(made).predict(seen)
    monkeypatch.setattr(kernel.kernel_ridge, "MOST_VOTERS", 300)
    monkeypatch.setattr(kernel.kernel_ridge, "VOTERS_OF_MANY", 250)
    monkeypatch.setattr(kernel.kernel_ridge, "ROWS_AT_ONCE", 70)
    part = kernel.fit(made)
    assert len(part.machines[0].machine.voters) == 250
    assert np.sqrt(np.mean((part.predict(seen) - exact) ** 2)) < 0.1 * exact.std()


def test_a_few_rows_that_nothing_explains_do_not_choose_for_all(
    kernel: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, unseen = task(columns=2), task(rows=900, columns=2).rows
    y = made.rows.y.copy()
    y[:6] += 80
    spoiled = replace(made, rows=replace(made.rows, y=y))

    def usual_miss() -> float:
        return float(np.median(np.abs(kernel.fit(spoiled).predict(unseen.x[300:])[:, 0] - unseen.y[300:])))

    bounded = usual_miss()
    monkeypatch.setattr(kernel, "LARGEST_MISS", 1e9)
    assert bounded < 0.9 * usual_miss()


def test_rows_of_next_to_no_weight_say_nothing(kernel: ModuleType) -> None:
    made = task(columns=2)
    wrong = made.rows.y.copy()
    wrong[::2] += 500
    weights = np.arange(300) % 2.0
    told = kernel.fit(replace(made, rows=replace(made.rows, y=wrong, weights=weights))).predict(made.rows.x)[:, 0]
    assert np.median(np.abs(told - made.rows.y)) < 2


def test_what_the_clock_cut_is_rebuilt_without_a_clock(kernel: ModuleType) -> None:
    made = task(weighings=5)
    cut = kernel.fit(replace(made, end=time.time()))
    assert cut.replay == {"weighings": 0}
    assert "time over" in cut.note
    again = kernel.fit(replace(made, parameters={**made.parameters, **cut.replay}))
    np.testing.assert_array_equal(cut.predict(made.rows.x), again.predict(made.rows.x))
    assert kernel.fit(made).replay == {}


def test_what_the_clock_cut_between_weighings_is_rebuilt_with_the_same_voters(
    kernel: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = task(weighings=5)
    for name, rows in (("MOST_VOTERS", 200), ("VOTERS_OF_MANY", 100)):
        monkeypatch.setattr(kernel.kernel_ridge, name, rows)
    monkeypatch.setattr(kernel, "JUDGED_ROWS", 150)
    answers = iter([False, False, True])
    monkeypatch.setattr(kernel.clock, "is_over", lambda end: math.isfinite(end) and next(answers))
    cut = kernel.fit(replace(made, end=time.time() + 3_600))
    assert cut.replay == {"weighings": 2}
    again = kernel.fit(replace(made, parameters={**made.parameters, **cut.replay}))
    np.testing.assert_array_equal(cut.predict(made.rows.x), again.predict(made.rows.x))


@pytest.mark.parametrize("answers", [[True], [False] * 2 + [True], [False] * 3 + [True], [False] * 4 + [True]])
def test_rows_that_the_clock_left_out_of_a_machine_are_left_out_of_its_replay(
    kernel: ModuleType, monkeypatch: pytest.MonkeyPatch, answers: list[bool]
) -> None:
    """Each of two machines takes in three parts; the clock is looked at between them and after a machine."""
    made = task(weighings=1)
    for name, rows in (("MOST_VOTERS", 200), ("VOTERS_OF_MANY", 100), ("ROWS_AT_ONCE", 100)):
        monkeypatch.setattr(kernel.kernel_ridge, name, rows)
    looks = iter(answers)
    monkeypatch.setattr(kernel.clock, "is_over", lambda end: math.isfinite(end) and next(looks))
    cut = kernel.fit(replace(made, end=time.time() + 3_600))
    assert "time over" in cut.note
    monkeypatch.setattr(kernel.clock, "is_over", lambda end: False)
    again = kernel.fit(replace(made, parameters={**made.parameters, **cut.replay}))
    np.testing.assert_array_equal(cut.predict(made.rows.x), again.predict(made.rows.x))
    whole = kernel.fit(made)
    assert whole.replay == {}
    assert not np.array_equal(cut.predict(made.rows.x), whole.predict(made.rows.x))


@pytest.mark.parametrize(("classes", "rows"), [(0, 2), (0, 1), (3, 3), (2, 5)])
def test_very_few_rows_do_not_blow_up(kernel: ModuleType, classes: int, rows: int) -> None:
    made = task(classes, rows=rows, weighings=2)
    assert np.isfinite(kernel.fit(made).predict(made.rows.x)).all()


@pytest.mark.parametrize("classes", [0, 2, 3])
def test_one_value_or_class_in_all_rows_is_told(kernel: ModuleType, classes: int) -> None:
    made = task(classes)
    same = replace(made.rows, y=np.full(300, 1.0))
    told = kernel.fit(replace(made, rows=same, parameters={"weighings": 1})).predict(made.rows.x)
    assert told.shape == (300, 3 if classes == 3 else 1)
    assert (told[:, 1 if classes == 3 else 0] > 0.99).all()


def test_rows_that_are_all_alike_are_told_their_mean(kernel: ModuleType) -> None:
    made = task()
    x = np.ones_like(made.rows.x)
    told = kernel.fit(replace(made, rows=replace(made.rows, x=x), parameters={"weighings": 1})).predict(x)
    np.testing.assert_allclose(told[:, 0], made.rows.y.mean(), atol=0.5)


def test_very_many_rows_are_told_without_copies_of_them(kernel: ModuleType) -> None:
    made = task(rows=100, columns=100)
    model = kernel.fit(made)
    x = np.random.default_rng(5).normal(size=(40_000, 100)).astype(np.float32)
    tracemalloc.start()
    told = model.predict(x)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < x.nbytes
    np.testing.assert_allclose(told[-50:], model.predict(x[-50:]), rtol=1e-9)
    assert model.predict(x[:0]).shape == (0, 1)
