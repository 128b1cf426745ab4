"""The budget: counts from its start, over processes, and keeps back what the end needs."""

from __future__ import annotations

import time

import pytest

from autokaggle.orchestrator.budget import Budget


def test_nothing_is_used_before_the_start() -> None:
    budget = Budget(60)
    time.sleep(0.02)
    assert budget.left_seconds == 60


def test_time_counts_from_the_first_start() -> None:
    budget = Budget(60)
    budget.start()
    time.sleep(0.05)
    budget.start()
    assert 0.05 <= budget.used_seconds < 5


def test_a_resumed_run_has_what_earlier_processes_left() -> None:
    budget = Budget(60, used_before=50)
    assert budget.left_seconds == 10


def test_what_is_left_is_never_negative() -> None:
    budget = Budget(60, used_before=100)
    assert budget.left_seconds == 0
    assert budget.left_for_search_seconds == 0


@pytest.mark.parametrize(("total", "reserved"), [(10, 2), (120, 6), (36_000, 30)])
def test_the_end_keeps_a_bounded_share(total: float, reserved: float) -> None:
    assert Budget(total).reserved_seconds == pytest.approx(reserved)


def test_the_end_keeps_more_where_our_own_work_takes_long() -> None:
    budget = Budget(120)
    budget.note_work(seconds=4.0, processor_seconds=2.8)
    assert budget.reserved_seconds == 6
    budget.note_work(seconds=20.0, processor_seconds=2.0)
    assert 15 < budget.reserved_seconds < 25
    for _ in range(5):
        budget.note_work(seconds=40.0, processor_seconds=0.5)
    assert budget.reserved_seconds == 36
    assert budget.left_for_search_seconds == 84


def test_a_machine_that_is_free_again_is_believed_after_a_while() -> None:
    budget = Budget(120)
    budget.note_work(seconds=10.0, processor_seconds=1.0)
    for _ in range(6):
        budget.note_work(seconds=1.0, processor_seconds=1.0)
    assert budget.slowness == 1


def test_work_is_measured_by_both_clocks() -> None:
    budget = Budget(120)
    with budget.measured():
        time.sleep(0.2)
    assert budget.slowness > 1
