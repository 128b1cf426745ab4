"""The talk before the search: without a language model the strategist decides and the same two files are written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from autokaggle.records.competition import Competition, MetricFinding
from autokaggle.records.data_profile import ColumnProfile, DataProfile, Guess, SplitHints
from autokaggle.records.plan import Decision, Decisions
from autokaggle.records.run import RunOptions
from autokaggle.skills.dialogue.brief import Brief
from autokaggle.skills.dialogue.chat_manager import hold_dialogue
from autokaggle.skills.dialogue.strategist import decide
from autokaggle.storage.artifacts import RunFolder
from autokaggle.storage.records_file import read_record

COMPETITION = Competition(
    slug="orchard",
    title="Orchard | yields\n# not a heading",
    metric=MetricFinding(metric="roc_auc", wording="ROC AUC", source="field", confidence=0.95, evidence="ROC AUC"),
)
SURE = Guess(value="sold", confidence=0.9, evidence="in train, not in test")


@pytest.fixture
def profile() -> DataProfile:
    return DataProfile(
        files=(),
        columns=(
            ColumnProfile(name="height", kind="number", type="DOUBLE"),
            ColumnProfile(name="always 1", kind="constant", type="BIGINT"),
        ),
        train="train.parquet",
        test="test.parquet",
        train_rows=100,
        test_rows=50,
        target_columns=("sold",),
        target_guess=SURE,
        id_columns=("id",),
        id_guess=SURE,
        submission_columns=("id", "sold"),
        submission_kind="probability",
        task_type="binary_classification",
        task_guess=SURE,
        metric_suggestion=Guess(value="roc_auc", confidence=0.5, evidence="probabilities in the sample"),
        split=SplitHints(scheme="stratified", reason="the rarer class has 20 rows"),
    )


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path, "orchard-20260801-101500-3f2a")


def brief(profile: DataProfile, **changes: Any) -> Brief:
    facts = {"competition": COMPETITION, "options": RunOptions(target="orchard"), "default_metric": "roc_auc"}
    return Brief(profile=profile, **{**facts, **changes})


def decided(decisions: Decisions, key: str) -> Decision:
    return next(decision for decision in decisions.decisions if decision.key == key)


def test_decisions_come_from_profile_and_pages(profile: DataProfile, folder: RunFolder) -> None:
    decisions = hold_dialogue(brief(profile), folder)
    assert decided(decisions, "metric").value == "roc_auc"
    assert decided(decisions, "target").value == ["sold"]
    assert decided(decisions, "validation").value == {
        "scheme": "stratified",
        "column": None,
        "folds": 5,
        "repeats": 5,
    }
    assert decided(decisions, "drop_columns").value == ["always 1"]
    assert {decision.by for decision in decisions.decisions} == {"strategist"}


def test_many_rows_are_shared_out_once_and_few_rows_again(profile: DataProfile, folder: RunFolder) -> None:
    repeats = {}
    for rows in (150, 400, 600, 20_000):
        decisions = hold_dialogue(brief(msgspec.structs.replace(profile, train_rows=rows)), folder)
        repeats[rows] = decided(decisions, "validation").value["repeats"]
    assert repeats == {150: 5, 400: 2, 600: 1, 20_000: 1}


def test_flags_overrule_and_are_named_as_such(profile: DataProfile, folder: RunFolder) -> None:
    options = RunOptions(
        target="orchard", metric="log_loss", validation="group:farm", folds=8, model_family="lightgbm,linear"
    )
    decisions = hold_dialogue(brief(profile, options=options), folder)
    assert decided(decisions, "metric") == Decision(
        key="metric", value="log_loss", by="flag", why="given with --metric"
    )
    validation = decided(decisions, "validation")
    assert validation.value == {"scheme": "group", "column": "farm", "folds": 8, "repeats": 1}
    assert validation.by == "flag"
    assert decided(decisions, "families").value == ["lightgbm", "linear"]


@pytest.mark.parametrize(
    ("flag", "found", "rows", "columns", "expected"),
    [
        ("auto", "", 10**6, 50, None),
        ("auto", "NVIDIA A10", 10**6, 50, ("on", "strategist")),
        ("auto", "NVIDIA A10", 100_000, 9, ("off", "strategist")),
        ("auto", "NVIDIA A10", 99_999, 50, ("off", "strategist")),
        ("on", "NVIDIA A10", 100, 2, ("on", "flag")),
        ("off", "", 10**6, 50, ("off", "flag")),
    ],
)
def test_a_gpu_is_used_where_the_table_is_large_or_the_flag_says_so(
    profile: DataProfile, flag: Any, found: str, rows: int, columns: int, expected: tuple[str, str] | None
) -> None:
    names = tuple(ColumnProfile(name=f"c{place}", kind="number", type="DOUBLE") for place in range(columns))
    large = msgspec.structs.replace(profile, train_rows=rows, columns=names)
    decisions = decide(COMPETITION, large, RunOptions(target="orchard", gpu=flag), "roc_auc", found)
    taken = [(one.value, one.by) for one in decisions.decisions if one.key == "gpu"]
    assert taken == ([expected] if expected else [])
    others = RunOptions(target="orchard", gpu=flag, model_family="lightgbm,linear")  # which train on no GPU
    decisions = decide(COMPETITION, large, others, "roc_auc", found)
    assert [one.by for one in decisions.decisions if one.key == "gpu"] == ([] if flag == "auto" else ["flag"])


@pytest.mark.parametrize(
    ("found", "train_rows", "seconds", "families", "expected", "why"),
    [
        ("NVIDIA A10", 200, 600, "auto", "on", "a network sees 300 images larger and faster on NVIDIA A10"),
        ("NVIDIA A10", 199, 600, "auto", "off", "299 images are too few"),
        ("NVIDIA A10", 5_000, 120, "auto", "off", "it is gigabytes"),
        ("NVIDIA A10", 5_000, 600, "linear", "on", "5,100 images"),
        ("NVIDIA A10", 5_000, 600, "extra_trees", "", ""),
        ("", 5_000, 600, "auto", "", ""),
    ],
)
def test_a_gpu_is_used_for_some_hundred_images_where_there_is_time_to_install_what_it_needs(
    profile: DataProfile, found: str, train_rows: int, seconds: float, families: str, expected: str, why: str
) -> None:
    images = msgspec.structs.replace(profile, modality="image", train_rows=train_rows, test_rows=100)
    options = RunOptions(target="orchard", time_budget_seconds=seconds, model_family=families)
    decisions = decide(COMPETITION, images, options, "roc_auc", found)
    taken = [one for one in decisions.decisions if one.key == "gpu"]
    assert [one.value for one in taken] == ([expected] if expected else [])
    assert all(why in one.why for one in taken)


def test_an_unknown_metric_falls_back_to_the_named_default_and_says_so(profile: DataProfile, folder: RunFolder) -> None:
    unknown = msgspec.structs.replace(COMPETITION, metric=MetricFinding(wording="Orchard Quality Index"))
    decisions = hold_dialogue(brief(profile, competition=unknown, default_metric="log_loss"), folder)
    metric = decided(decisions, "metric")
    assert metric.value == "log_loss"
    assert "Orchard Quality Index" in metric.why
    assert "--metric" in metric.why


def test_both_files_hold_what_was_decided(profile: DataProfile, folder: RunFolder) -> None:
    decisions = hold_dialogue(brief(profile), folder)
    assert read_record(folder.decisions, Decisions) == decisions
    transcript = folder.transcript.read_text("utf-8")
    assert "No language model took part" in transcript
    assert "| metric | roc_auc | strategist |" in transcript


def test_text_from_outside_cannot_break_the_transcript(profile: DataProfile, folder: RunFolder) -> None:
    hostile = msgspec.structs.replace(profile, warnings=("first\n# second | third",))
    hold_dialogue(brief(hostile), folder)
    lines = folder.transcript.read_text("utf-8").splitlines()
    assert lines[0] == "# Orchard | yields # not a heading"
    assert [line for line in lines[1:] if line.startswith("#")] == []


def test_the_same_input_gives_the_same_files(profile: DataProfile, folder: RunFolder) -> None:
    hold_dialogue(brief(profile), folder)
    first = folder.decisions.read_bytes(), folder.transcript.read_bytes()
    hold_dialogue(brief(profile), folder)
    assert (folder.decisions.read_bytes(), folder.transcript.read_bytes()) == first
