"""What the search does when time runs out."""

from __future__ import annotations

from pathlib import Path

import pytest

from autokaggle.orchestrator.budget import Budget
from autokaggle.orchestrator.candidate_search import GRACE_SECONDS, CandidateSearch
from tests.judged_run import HereAtOnce, JudgedRun, judged_run, orchard


@pytest.fixture
def judged(tmp_path: Path) -> JudgedRun:
    with judged_run(orchard(tmp_path / "orchard"), tmp_path) as found:
        return found


class Clock(Budget):
    """A budget of 60 s of which so many are used as a test says."""

    def __init__(self) -> None:
        super().__init__(60.0)
        self.now = 0.0

    @property
    def used_seconds(self) -> float:
        return self.now


def test_work_that_turns_out_slow_ends_no_candidate_before_its_time(judged: JudgedRun) -> None:
    judged.context.budget = clock = Clock()
    search = CandidateSearch(judged.context, judged.best, HereAtOnce())  # type: ignore[arg-type]
    search.promised_seconds = clock.left_for_search_seconds
    before = clock.reserved_seconds
    clock.note_work(20.0, 1.0)
    assert clock.reserved_seconds > before + GRACE_SECONDS
    clock.now = search.promised_seconds
    assert clock.left_for_search_seconds <= 0
    assert not search._is_overdue()
    clock.now += GRACE_SECONDS + 0.1
    assert search._is_overdue()
