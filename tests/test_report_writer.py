"""The report: one file without network that holds the facts, with hostile text shown as text."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from autokaggle.records.candidate import Candidate, Proposal, Score
from autokaggle.records.competition import Competition
from autokaggle.records.data_profile import DataProfile, Guess, SplitHints
from autokaggle.records.outcome import Ensemble, Member, Metrics, SubmissionFacts
from autokaggle.records.plan import Decision, Decisions
from autokaggle.records.run import Run, RunOptions, StageRecord
from autokaggle.skills.report.report_writer import ReportMaterial, write_report
from autokaggle.skills.report.wording import number, percent, plain

SURE = Guess(value="sold", confidence=1.0, evidence="named so")


def scored(name: str, mean: float) -> Candidate:
    score = Score(
        metric="rmse", greater_is_better=False, mean=mean, std=0.1, folds=(mean,), low=mean - 1, high=mean + 1
    )
    return Candidate(id=name, proposal=Proposal(title=f"model {name}", family="linear"), status="scored", score=score)


def material(title: str = "Orchard", metrics: bool = True) -> ReportMaterial:
    run = Run(
        id="orchard-20260801-101500-3f2a",
        slug="orchard",
        target="orchard",
        options=RunOptions(target="orchard"),
        status="running",
        created="2026-08-01T10:15:00Z",
        stages=(
            StageRecord(name="fetch", status="done", started="2026-08-01T10:15:00Z", seconds=1.5, message="3 files"),
        ),
    )
    profile = DataProfile(
        files=(),
        columns=(),
        train="train.parquet",
        test="test.parquet",
        train_rows=100,
        test_rows=50,
        target_columns=("sold",),
        target_guess=SURE,
        id_columns=("id",),
        id_guess=SURE,
        submission_columns=("id", "sold"),
        submission_kind="value",
        task_type="regression",
        task_guess=SURE,
        metric_suggestion=SURE,
        split=SplitHints(),
        warnings=("40 rows occur twice",),
    )
    result = Metrics(
        metric="rmse",
        greater_is_better=False,
        cv={"mean": 1.2345678, "std": 0.1, "folds": [1.2, 1.3], "low": 1.1, "high": 1.4, "constant": 9.9},
        candidates=3,
        ensemble=(Member(candidate="c002", weight=0.75),),
        submission=SubmissionFacts(rows=50, sha256="ab" * 32),
        seconds={"fetch": 1.5},
        isolation="strong",
    )
    decisions = Decisions(decisions=(Decision(key="families", value=["linear"], by="flag", why="given"),))
    failed = Candidate(id="c003", proposal=Proposal(title="odd", family="odd"), status="failed", reason="exit code 1")
    candidates = (scored("c001", 2.0), best := scored("c002", 1.0), failed)
    if metrics and best.score:
        ensemble = Ensemble(method="single", members=result.ensemble, score=best.score, rule={})
        run = msgspec.structs.replace(run, ensemble=ensemble)
    return ReportMaterial(
        run, Competition(slug="orchard", title=title), profile, decisions, candidates, result if metrics else None
    )


@pytest.fixture
def page(tmp_path: Path) -> str:
    write_report(material(), tmp_path / "report.html")
    return (tmp_path / "report.html").read_text("utf-8")


def test_the_page_says_what_to_expect_and_of_what_it_is_made(page: str) -> None:
    for fact in (
        "1.2346",
        "lower is better",
        "1.1 to 1.4",
        "the best constant answer</dt><dd>9.9</dd>",
        "75%",
        "40 rows occur twice",
    ):
        assert fact in page


def test_candidates_stand_in_the_order_in_which_they_were_made(page: str) -> None:
    places = [page.index(f'<span class="id">{name}</span>') for name in ("c001", "c002", "c003")]
    assert places == sorted(places)


def test_the_page_loads_nothing(page: str) -> None:
    assert re.findall(r"(?:src|href)\s*=|@import|url\(|<script", page) == []
    assert "default-src 'none'" in page


def test_hostile_text_is_shown_as_text(tmp_path: Path) -> None:
    write_report(material(title="<script>alert(1)</script>{{ 7*7 }}"), tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text("utf-8")
    assert "<script>" not in page
    assert "{{ 7*7 }}" in page


def test_characters_that_steer_what_is_shown_are_written_out(tmp_path: Path) -> None:
    write_report(material(title="or\x1b[31mch\u202eard\x9b, \N{WOMAN}\u200d\N{EAR OF RICE}"), tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text("utf-8")
    assert "<h1>or\\x1b[31mch\\u202eard\\x9b, \N{WOMAN}\u200d\N{EAR OF RICE}</h1>" in page
    assert not any(char in page for char in "\x1b\u202e\x9b")


def test_a_run_without_submission_says_so(tmp_path: Path) -> None:
    write_report(material(metrics=False), tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text("utf-8")
    assert "The run has no submission." in page
    assert "written and not run" in page
    assert "autokaggle reproduce" not in page


def test_a_submission_with_models_of_a_gpu_is_not_promised_to_come_out_equal(tmp_path: Path, page: str) -> None:
    write_report(replace(material(), gpu_members=("c002", "c004")), tmp_path / "report.html")
    assert "Set to use a GPU: c002, c004." in (tmp_path / "report.html").read_text("utf-8")
    assert "GPU" not in page


def test_a_run_whose_answer_is_a_constant_has_no_code_to_replay(tmp_path: Path) -> None:
    made = material()
    write_report(replace(made, run=msgspec.structs.replace(made.run, ensemble=None)), tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text("utf-8")
    assert f"autokaggle improve {made.run.id}" in page
    assert "autokaggle reproduce" not in page
    assert "code/train.py" not in page


@pytest.mark.parametrize(("value", "text"), [(0.123456789, "0.12346"), (123456.7, "1.2346e+05"), (None, "-")])
def test_numbers_have_five_digits(value: float | None, text: str) -> None:
    assert number(value) == text


def test_decided_values_read_like_words() -> None:
    assert plain({"scheme": "group", "column": None, "folds": 5}) == "scheme group, folds 5"
    assert plain(["a", "b"]) == "a, b"
    assert plain([]) == "-"


@pytest.mark.parametrize(("share", "text"), [(0.0, "0%"), (0.001, "<1%"), (0.5, "50%"), (0.999, ">99%"), (None, "-")])
def test_a_share_that_is_neither_none_nor_all_never_looks_like_it(share: float | None, text: str) -> None:
    assert percent(share) == text
