"""What a search promises: a valid submission at any moment, the budget, the cap on costs, and the same result twice."""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

from autokaggle.orchestrator.best_so_far import BestSoFar
from autokaggle.orchestrator.candidate_search import CandidateSearch
from autokaggle.records.candidate import Proposal, Search
from autokaggle.records.data_profile import DataProfile
from autokaggle.records.plan import Plan
from autokaggle.records.prompt import PromptCall
from autokaggle.storage.artifacts import RunFolder
from autokaggle.storage.records_file import read_record
from tests.judged_run import QUICK, HereAtOnce, JudgedRun, judged_run, orchard
from tests.killable_world import FLAGS, World
from tests.scripted_coder import Coder
from tests.scripted_lifecycle import call
from tests.test_model_search import searching

# It cannot be talked out of it: no signal that a process may refuse ends it, and its children do the same.
DEAF = """
import os, signal, time
for number in range(1, 32):
    if number not in (signal.SIGKILL, signal.SIGSTOP):
        signal.signal(number, signal.SIG_IGN)
os.fork()
while True:
    time.sleep(1)
"""


@dataclass
class DeafProposer:
    """Proposes code that never ends, each time another."""

    name: str = "deaf"
    made: list[Proposal] = field(default_factory=list)

    def requirements(self, plan: Plan, profile: DataProfile) -> tuple[str, ...]:
        return ()

    def propose(self, search: Search) -> Proposal:
        code = f"{DEAF}# {len(search.candidates) + len(search.running)}\n"
        return Proposal(title="deaf", family="lightgbm", author="plugin", config=QUICK, files={"train.py": code})


@pytest.fixture
def judged(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[JudgedRun]:
    """A planned run, with the seconds that the test is parametrized with."""
    with judged_run(orchard(tmp_path / "orchard"), tmp_path, time_budget_seconds=request.param) as found:
        yield found


@pytest.mark.slow
@pytest.mark.parametrize("judged", [15.0], indirect=True)
def test_code_that_hears_no_signal_does_not_lengthen_the_budget(judged: JudgedRun) -> None:
    search = CandidateSearch(judged.context, judged.best, HereAtOnce())  # type: ignore[arg-type]
    search.proposers = [DeafProposer()]
    started = time.monotonic()
    used = judged.context.budget.used_seconds
    search.carry_out()
    assert used + time.monotonic() - started < 15.0 + 15.0  # the code has no end
    candidates = judged.context.candidates()
    assert candidates
    assert {one.status for one in candidates} <= {"failed", "running"}
    left = [one for one in psutil.process_iter() if _works_in(one, judged.context.folder.path)]
    assert left == []


def _works_in(process: psutil.Process, folder: Path) -> bool:
    try:
        return process.name() == "bwrap" and any(str(folder) in part for part in process.cmdline())
    except psutil.Error:
        return False


@pytest.mark.slow
def test_status_never_meets_a_submission_that_is_not_valid(
    world: World, undisturbed: dict[str, Any], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(world.folder)
    monkeypatch.setenv("AUTOKAGGLE_HOME", str(world.home))
    process = world.start("run", "orchard", *FLAGS)
    seen = set()
    while process.poll() is None:
        time.sleep(0.1)
        folder = world.run_folder()
        if folder is None:
            continue
        assert call("status", folder.id, "--json") == 0
        answer = json.loads(capsys.readouterr().out)
        best = answer["best"]["candidate"] if answer["best"] else ""
        if best:
            seen.add(best)
            check_submission(folder)
    # The same seed gives the same submission, also beside somebody who looks.
    assert world.finish(process)["submission"]["sha256"] == undisturbed["submission"]["sha256"]
    assert "constant" in seen
    assert len(seen) > 1


def check_submission(folder: RunFolder) -> None:
    rows = list(csv.reader(folder.submission.read_text().splitlines()))
    assert rows[0] == ["id", "sold"]
    assert [row[0] for row in rows[1:]] == [str(number) for number in range(110, 160)]
    assert all(row[1] in ("0", "1") for row in rows[1:])


@pytest.mark.slow
@pytest.mark.parametrize("judged", [900.0], indirect=True)
def test_a_resumed_combination_is_the_one_that_was_interrupted(judged: JudgedRun) -> None:
    search = CandidateSearch(judged.context, judged.best, HereAtOnce())  # type: ignore[arg-type]
    search.most = 4
    search.carry_out()
    undisturbed = judged.best.blend
    assert undisturbed is not None
    assert judged.context.run.ensemble == undisturbed.ensemble
    again = BestSoFar(judged.context)
    assert again.blend is not None
    assert again.blend.ensemble == undisturbed.ensemble
    assert again.blend.loss == undisturbed.loss


@pytest.mark.slow
def test_a_cap_on_costs_ends_the_questions_and_not_the_search(tmp_path: Path) -> None:
    cap = 0.12
    with Coder() as server, searching(tmp_path, server, max_candidates=5, max_cost_usd=cap) as (judged, search):
        search.carry_out()
        calls = [read_record(path, PromptCall) for path in judged.context.folder.all_prompts()]
        # A price that is not known is taken for the dearest.
        spent = sum(one.input_tokens * 15.0 + one.output_tokens * 75.0 for one in calls) / 1e6
        assert 0 < spent <= cap
        told = (judged.context.folder.events).read_text()
        assert "the limit of $0.12 is reached" in told
        assert len(judged.context.candidates()) == 5
        assert judged.best.ensemble is not None
        assert judged.context.folder.submission.is_file()
