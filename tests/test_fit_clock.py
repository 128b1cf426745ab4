"""The clock of a template's fits: time is shared among those to come, and the model for test keeps its share."""

from __future__ import annotations

import importlib
import math
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import autokaggle.templates.tabular as template
from autokaggle.templates.tabular import clock as template_clock


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The clock of a script that has just begun."""
    monkeypatch.setattr(template_clock, "STARTED", time.time())
    return template_clock


def test_without_a_deadline_there_is_no_limit(clock: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AUTOKAGGLE_DEADLINE", raising=False)
    assert clock.FitClock(5, 2).next_end() == math.inf


def test_the_first_of_five_fits_on_two_threads_gets_a_third(clock: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTOKAGGLE_DEADLINE", str(time.time() + 100))
    left = 100 * (1 - clock.RESERVE_SHARE) - clock.RESERVE_SECONDS
    assert clock.FitClock(5, 2).next_end() - time.time() == pytest.approx(left / 3, abs=1)


def test_a_fit_that_comes_last_and_alone_keeps_its_share(clock: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTOKAGGLE_DEADLINE", str(time.time() + 100))
    left = 100 * (1 - clock.RESERVE_SHARE) - clock.RESERVE_SECONDS
    shared = clock.FitClock(4, 2, alone=1)
    assert shared.next_end() - time.time() == pytest.approx(left / 3, abs=1)
    for _ in range(3):
        shared.next_end()
    assert shared.next_end() - time.time() == pytest.approx(left, abs=1)


def test_a_fit_after_the_deadline_ends_at_once(clock: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTOKAGGLE_DEADLINE", str(time.time() - 10))
    assert clock.FitClock(2, 2).next_end() <= time.time() + 0.1


@pytest.fixture
def stopping(clock: ModuleType, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(Path(template.__file__).parent))
    monkeypatch.setitem(sys.modules, "clock", clock)
    monkeypatch.delitem(sys.modules, "stopping", raising=False)
    return importlib.import_module("stopping")


def rounds_of(watch: Any, seconds_per_round: float, count: int, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Let rounds go by at a steady pace, and give the learning rates that were asked for."""
    start = time.time()
    rates = []
    for number in range(1, count + 1):
        monkeypatch.setattr(time, "time", lambda now=start + number * seconds_per_round: now)
        watch.is_over(1 / number)
        if watch.new_rate is not None:
            rates.append(watch.new_rate)
    return rates


def test_steps_grow_where_small_ones_would_not_come_to_their_end(
    stopping: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    hurried = stopping.Stopping(3000, 100, time.time() + 40, 0.05)
    # After ten rounds some 36 s are left, enough for 90 more; so small a rate usually takes 500.
    assert rounds_of(hurried, 0.4, 30, monkeypatch) == [pytest.approx(0.05 * 500 / 90, rel=0.1)]
    assert hurried.replay == {"faster": hurried.faster}
    again = stopping.Stopping(3000, 100, math.inf, 0.05, hurried.faster)
    assert rounds_of(again, 0.4, 30, monkeypatch) == [pytest.approx(0.05 * hurried.faster)]


def test_steps_stay_small_where_time_is_plenty(stopping: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    calm = stopping.Stopping(3000, 100, time.time() + 4000, 0.05)
    assert rounds_of(calm, 0.4, 30, monkeypatch) == []
    assert calm.replay == {}


def curve_of(stopping: ModuleType, losses: list[float], step: float = 1.0) -> Any:
    return stopping.Curve(tuple(losses), tuple(step * number for number in range(1, len(losses) + 1)))


def test_a_folds_rounds_are_chosen_by_the_other_folds(stopping: ModuleType) -> None:
    early, late = curve_of(stopping, [1.0, 0.5, 0.9, 1.1]), curve_of(stopping, [4.0, 3.6, 3.2, 2.8, 2.9])
    assert stopping.best_of_others([early, late]) == [4, 2]
    assert stopping.best_of_others([early, late, late]) == [4, 2, 2]


def test_folds_together_count_each_by_its_own_scale(stopping: ModuleType) -> None:
    large, small = curve_of(stopping, [100.0, 99.0, 98.5, 99.5]), curve_of(stopping, [1.0, 0.6, 0.9, 1.2])
    assert stopping.best_together([large]) == 3
    assert stopping.best_together([large, small]) == 2


def test_a_fit_that_ended_early_counts_with_its_last_loss(stopping: ModuleType) -> None:
    curves = [[1.0, 0.9], [1.0, 0.9, 0.8, 0.7, 0.75]]
    assert stopping.best_together([curve_of(stopping, losses) for losses in curves]) == 4


def test_a_fit_without_loss_to_begin_with_says_nothing_of_rounds(stopping: ModuleType) -> None:
    telling, nothing = curve_of(stopping, [1.0, 0.8, 0.6, 0.7]), curve_of(stopping, [0.0, 0.1, 0.1, 0.1])
    assert stopping.best_together([telling, nothing, telling]) == 3
    assert stopping.best_together([nothing, curve_of(stopping, [0.0, 0.1])]) == 4


def test_folds_whose_steps_the_clock_made_larger_are_compared_by_how_far_they_came(stopping: ModuleType) -> None:
    """Each would else keep the round that is best by its own watched rows, on which it is scored."""
    small = curve_of(stopping, [1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.6, 0.7])
    large = curve_of(stopping, [1.0, 0.7, 0.8, 0.9], step=2.0)
    of_small, of_large = stopping.best_of_others([small, large])
    assert (of_small, of_large) == (4, 6)
    assert (small.rounds_to(of_small), large.rounds_to(of_large)) == (4, 3)


@pytest.mark.parametrize(("from_the_start", "rounds"), [(False, 10 + 30), (True, 35)])
def test_larger_steps_come_to_the_same_end_in_fewer_rounds(
    stopping: ModuleType, from_the_start: bool, rounds: int
) -> None:
    watch = stopping.Stopping(70, 100, math.inf, 0.05, 2.0, from_the_start=from_the_start)
    assert next(number for number in range(1, 100) if watch.is_over(1 / number)) == rounds
    assert watch.curve.reached[-1] == 70
    assert watch.replay == {"faster": 2.0}


def test_a_fit_that_the_clock_ended_ends_there_again(stopping: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    hurried = stopping.Stopping(3000, 100, time.time() + 40, 0.05)
    rounds_of(hurried, 0.4, 105, monkeypatch)
    assert hurried.out_of_time
    replay = dict(hurried.replay)
    again = stopping.Stopping(replay.pop("rounds"), 100, math.inf, 0.05, **replay)
    assert next(number for number in range(1, 200) if again.is_over(1 / number)) == 105
