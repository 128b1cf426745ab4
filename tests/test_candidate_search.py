"""What the search does when time runs out."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from autokaggle.orchestrator import candidate_search
from autokaggle.orchestrator.budget import Budget
from autokaggle.orchestrator.candidate_search import GRACE_SECONDS, CandidateSearch, offers, requirements
from autokaggle.skills.pipeline.configurations import XGBOOST, XGBOOST_FOR_GPU
from autokaggle.skills.pipeline.proposals import wants_gpu
from tests.judged_run import HereAtOnce, JudgedRun, judged_run, orchard
from tests.killable_world import events


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


@pytest.mark.parametrize(("too_late", "besides"), [((), "that were there."), (("alpha",), "; alpha would have taken")])
def test_a_search_that_tried_nothing_says_why(
    judged: JudgedRun, monkeypatch: pytest.MonkeyPatch, too_late: tuple[str, ...], besides: str
) -> None:
    judged.context.budget = clock = Clock()
    clock.now = 59.9
    monkeypatch.setattr(candidate_search, "RunEnvironments", lambda *asked: HereAtOnce(too_late=too_late))
    assert candidate_search.search(judged.context).startswith("0 candidates tried")
    warning = [event.message for event in events(judged.context.folder) if event.kind == "warning"][-1]
    assert warning.startswith("No candidate was tried")
    assert besides in warning


def test_without_the_packages_of_a_gpu_its_models_are_proposed_for_the_processor(judged: JudgedRun) -> None:
    plan = msgspec.structs.replace(judged.context.plan, gpu=True, families=("xgboost",))
    judged.context.run, judged.best.plan = msgspec.structs.replace(judged.context.run, plan=plan), plan
    _, later, without_gpu = requirements(judged.context)
    assert set(later) - set(without_gpu) == {XGBOOST_FOR_GPU}
    assert set(without_gpu) - set(later) == {XGBOOST}
    environments = HereAtOnce()
    search = CandidateSearch(judged.context, judged.best, environments)  # type: ignore[arg-type]
    with_gpu = next(offers(search.proposers, search._state(60.0)))
    environments.leaves_gpu = True
    without = next(offers(search.proposers, search._state(60.0)))
    assert (wants_gpu(with_gpu), wants_gpu(without)) == (True, False)
    assert (with_gpu.family, with_gpu.title) == (without.family, without.title)
    assert XGBOOST in without.requirements
