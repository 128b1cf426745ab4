"""A language model in the search, through the real client and the real sandbox: what it writes becomes candidates."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from autokaggle.orchestrator.candidate_search import CandidateSearch
from autokaggle.orchestrator.model_proposer import ModelProposer
from autokaggle.records.candidate import Candidate, Proposal
from autokaggle.records.prompt import PromptCall
from autokaggle.storage.records_file import read_record
from tests.judged_run import HereAtOnce, JudgedRun, judged_run, orchard
from tests.model_server import Reply
from tests.scripted_coder import Coder, answer, features

MODEL = "openai:test-model"


@contextmanager
def planned(folder: Path, **options: Any) -> Iterator[JudgedRun]:
    given = {"max_candidates": 14, "model": MODEL, "time_budget_seconds": 1800.0, **options}
    with judged_run(orchard(folder / "orchard"), folder, **given) as judged:
        yield judged


def search_beside(server: Coder, judged: JudgedRun) -> CandidateSearch:
    judged.context.settings = replace(judged.context.settings, environment=server.environment)
    return CandidateSearch(judged.context, judged.best, HereAtOnce())  # type: ignore[arg-type]


@contextmanager
def searching(tmp_path: Path, server: Coder, **options: Any) -> Iterator[tuple[JudgedRun, CandidateSearch]]:
    with planned(tmp_path, **options) as judged:
        yield judged, search_beside(server, judged)


@pytest.fixture(scope="module")
def untried(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JudgedRun]:
    """A planned run in which tests make no candidate."""
    with planned(tmp_path_factory.mktemp("untried")) as judged:
        yield judged


def by_model(judged: JudgedRun) -> list[Candidate]:
    return [one for one in judged.context.candidates() if one.proposal.author == "model"]


@pytest.mark.slow
def test_a_model_drafts_fails_is_debugged_improves_and_fuses(tmp_path: Path) -> None:
    with Coder() as server, searching(tmp_path, server, max_candidates=9) as (judged, search):
        assert search.model is not None
        search.proposers = [search.model]
        search.carry_out()
        found = {one.proposal.title: one for one in by_model(judged)}
        assert {"Sums, misspelt", "Distance to the scored rows"}.isdisjoint(found)
        lookup, repaired = found["A lookup that is too small"], found["A lookup of any size"]
        assert lookup.status == "failed"
        assert "the lookup table holds no more rows" in lookup.reason
        assert (repaired.status, repaired.proposal.operator, repaired.proposal.parent) == ("scored", "debug", lookup.id)
        assert found["Sums and distances"].proposal.operator == "fuse"
        assert (found["Boosting of another library"].status, found["Boosting of another library"].reason) == (
            "scored",
            "",
        )
        assert {one.proposal.operator for one in found.values()} == {"draft", "debug", "improve", "fuse"}
        assert all(one.sealing == "sealed" for one in found.values() if one.status == "scored")
        folder = judged.context.folder
        changes = folder.candidate(repaired.id).changes.read_text()
        assert "-    assert len(train) < 170" in changes
        assert f"--- {lookup.id}/features.py" in changes
        calls = [read_record(path, PromptCall) for path in folder.all_prompts()]
        asked_again = [call.messages[-1][1] for call in calls if "could not be used" in call.messages[-1][1]]
        assert any("no column 'heigh'; did you mean 'height'?" in text for text in asked_again)
        assert any("depends on other rows" in text for text in asked_again)
        assert any("same as an earlier attempt" in text for text in asked_again)
        (measured, *_) = [text for call in calls if "features is shuffled" in (text := call.messages[-1][1])]
        assert "- features of the template: " in measured
        assert "- other new features: " in measured
        assert repaired.gains


def test_a_draft_is_checked_tried_and_offered(untried: JudgedRun) -> None:
    with Coder() as server:
        proposal = offered(search_beside(server, untried))
        assert proposal is not None
        assert (proposal.title, proposal.author, proposal.operator) == ("Sums of numbers", "model", "draft")
        assert server.asked["draft"] >= 3
        assert {"features.py", "base_features.py"} == set(proposal.files)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (features("made['x'] = 1 +"), "syntax error"),
        (features("made['x'] = pd.read_csv('train.csv').iloc[:, 0]"), "read_csv is the host's work"),
        ("import os\n" + features("made['x'] = os.getpid()"), "os is not for candidates"),
        (features("made['x'] = undefined_thing"), "'undefined_thing' is not defined"),
        ("import polars_ext\n" + features("made['x'] = 1"), "'polars_ext' is not installed"),
        (features("return made.iloc[1:]"), "transform returned"),
        (features("made['x'] = rows['no such column at all']"), "KeyError"),
        (features("made['x'] = rows.iloc[:, 0].rank()"), "depends on other rows"),
        ("def fit(train):\n    return 1\n", "function 'transform' is missing"),
    ],
)
def test_what_would_fail_is_told_before_it_costs_a_run(code: str, said: str, untried: JudgedRun) -> None:
    class Stubborn(Coder):
        def reply(self, kind: str, number: int, text: str) -> Reply:
            return Reply(answer("A fault", code)) if kind == "draft" else super().reply(kind, number, text)

    with Stubborn() as server:
        assert offered(search_beside(server, untried)) is None
        assert said in server.received[-1].texts[-1]
        assert server.asked["draft"] == 3
        assert untried.context.candidates() == []


def offered(search: CandidateSearch) -> Proposal | None:
    """Ask the model alone for its first proposal, and wait for it."""
    model = search.model
    assert isinstance(model, ModelProposer)
    state = search._state(300.0)
    assert model.propose(state) is None
    model.settle(600)
    model._failures = 99  # no further request
    return model.propose(state)


@pytest.mark.parametrize(
    "reply",
    [
        Reply(status=401, message="no such key"),
        Reply(text="I cannot help with that.", chunks=1),
        Reply(raw=b"\xff\xfe nonsense"),
        Reply(status=500),
    ],
)
def test_a_model_that_fails_leaves_the_search_to_the_portfolio(reply: Reply, tmp_path: Path) -> None:
    class Broken(Coder):
        def reply(self, kind: str, number: int, text: str) -> Reply:
            return reply

    with Broken() as server, searching(tmp_path, server, max_candidates=1) as (judged, search):
        search.carry_out()
        assert [one.proposal.author for one in judged.context.candidates()] == ["portfolio"]
        assert judged.best.ensemble is not None


def test_a_model_that_hangs_costs_no_more_than_its_time(tmp_path: Path) -> None:
    class Hanging(Coder):
        def reply(self, kind: str, number: int, text: str) -> Reply:
            return Reply("so", pause_seconds=0.2, is_endless=True) if kind != "decide" else super().reply(kind, 1, text)

    options = {"max_candidates": None, "time_budget_seconds": 12.0}
    with Hanging() as server, searching(tmp_path, server, **options) as (judged, search):
        started = time.monotonic()
        search.carry_out()
        assert time.monotonic() - started < 12 + 20  # an answer without end
        assert judged.context.folder.submission.is_file()
