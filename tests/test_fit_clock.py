"""The clock of a template's fits: time is shared among those to come, and the model for test keeps its share."""

from __future__ import annotations

import importlib.util
import math
import time
from pathlib import Path
from types import ModuleType

import pytest

import autokaggle.templates.tabular as template


@pytest.fixture
def clock() -> ModuleType:
    path = Path(template.__file__).with_name("clock.py")
    spec = importlib.util.spec_from_file_location("template_clock", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


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
