"""Decisions as people and models write them: read, refused when they cannot be, doubted when data or rules object."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from autokaggle.errors import UsageError
from autokaggle.records.candidate import Candidate, Proposal, Score
from autokaggle.records.competition import Competition, MetricFinding
from autokaggle.records.data_profile import SplitHints
from autokaggle.records.plan import Decision
from autokaggle.records.run import RunOptions
from autokaggle.skills.dialogue import strategist
from autokaggle.skills.dialogue.agreement import Agreement, Doubt
from autokaggle.skills.dialogue.answers import ProposedSetting
from autokaggle.skills.dialogue.decision_keys import READERS, read_value, written
from tests import dialogue_facts as facts


def agreement(**changes: Any) -> Agreement:
    brief = facts.brief(**changes)
    return Agreement(strategist.decide(brief.competition, brief.profile, brief.options, brief.default_metric), brief)


def value_of(held: Agreement, key: str) -> Any:
    return next(decision.value for decision in held.decisions if decision.key == key)


# ---------------------------------------------------------------- reading


@pytest.mark.parametrize(
    ("key", "text", "expected"),
    [
        ("metric", "ROC-AUC", "roc_auc"),
        ("target", "sold", ["sold"]),
        ("target", '["sold"]', ["sold"]),
        ("validation", "kfold", {"scheme": "kfold", "column": None, "folds": 5, "repeats": 1}),
        ("validation", "group:farm, folds=4", {"scheme": "group", "column": "farm", "folds": 4, "repeats": 1}),
        (
            "validation",
            '{"scheme": "time", "column": "planted", "folds": 3}',
            {"scheme": "time", "column": "planted", "folds": 3, "repeats": 1},
        ),
        (
            "validation",
            'group:part(farm, "-", 0)',
            {"scheme": "group", "column": 'part(farm, "-", 0)', "folds": 5, "repeats": 1},
        ),
        ("validation", "group:day(planted)", {"scheme": "group", "column": "day(planted)", "folds": 5, "repeats": 1}),
        (
            "validation",
            "group:days(planted, 7)",
            {"scheme": "group", "column": "days(planted, 7)", "folds": 5, "repeats": 1},
        ),
        ("families", "LightGBM, linear", ["lightgbm", "linear"]),
        ("families", "auto", []),
        ("template", "tabular", "tabular"),
        ("drop_columns", "height, always 1", ["height", "always 1"]),
        ("drop_columns", "[]", []),
        ("features_to_try", "height by farm; age, in days", ["height by farm", "age, in days"]),
        ("constraints", '["at most one model"]', ["at most one model"]),
        ("budget", "1h30m", 5400.0),
        ("budget", "90", 90.0),
        ("gpu", "OFF", "off"),
    ],
)
def test_values_are_read_and_can_be_written_again(key: str, text: str, expected: object) -> None:
    value, doubt = read_value(key, text, facts.brief())
    assert (value, doubt) == (expected, "")
    assert read_value(key, written(value), facts.brief())[0] == expected


@pytest.mark.parametrize(
    ("key", "text", "said"),
    [
        ("colour", "red", "no decision 'colour'"),
        ("metric", "roc auc score", "Did you mean 'roc_auc'"),
        ("metric", "", "no metric ''"),
        ("target", "price", "no column 'price'"),
        ("target", "", "A target is needed"),
        ("target", "id", "'id' is an id"),
        ("validation", "random", "no validation scheme"),
        ("validation", "group", "group needs a column"),
        ("validation", "kfold:farm", "takes no column"),
        ("validation", "group:days(planted, 0)", "no column 'days(planted, 0)'"),
        ("validation", "group:days(farm, 3)", "'farm' holds no dates"),
        ("validation", "group:day(height)", "'height' holds no dates"),
        ("gpu", "on", "No GPU was found"),
        ("gpu", "maybe", "no choice 'maybe'"),
        ("validation", "group:fram", "Did you mean 'farm'"),
        ("validation", "group:sold", "is the target"),
        ("validation", "kfold,folds=many", "no number"),
        ("validation", "kfold,folds=1", "1 folds cannot be"),
        ("validation", "kfold,folds=1000", "1000 folds cannot be"),
        ("validation", '{"scheme": "kfold", "code": "import os"}', "no validation scheme"),
        ("validation", "{broken", "cannot be read as JSON"),
        ("families", "lightgbm,forest", "no model family 'forest'"),
        ("template", "cobol", "no template 'cobol'"),
        ("drop_columns", "Height", "Did you mean 'height'"),
        ("drop_columns", "sold", "is the target"),
        ("drop_columns", "height,colour,farm,owner,note,planted,always 1", "no feature is left"),
        ("budget", "soon", "no duration"),
        ("budget", "0s", "out of range"),
        ("budget", "9000h", "out of range"),
    ],
)
def test_what_cannot_be_is_refused_with_what_would_do(key: str, text: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_value(key, text, facts.brief())
    assert said in str(caught.value)


GROUPED = facts.profile(split=SplitHints(scheme="group", column="farm", reason="test has other farms", confidence=0.9))
NUMBER = facts.profile(classes={}, task_type="regression", submission_kind="value")


@pytest.mark.parametrize(
    ("key", "text", "changes", "said"),
    [
        ("metric", "log_loss", {}, "the competition names roc_auc"),
        ("target", "colour", {}, "test has 'colour' as well"),
        ("validation", "kfold", {"profile": GROUPED}, "the data speak for group:farm"),
        ("validation", "stratified", {"profile": NUMBER}, "the target is a number"),
        ("validation", "group:id", {}, "every row has a 'id' of its own"),
        ("features_to_try", "join external data on weather", {}, "External data are not allowed"),
        ("features_to_try", "height; a pretrained image model", {}, "External data are not allowed"),
        ("constraints", "scrape the farms' web sites", {}, "External data are not allowed"),
        ("budget", "5s", {}, "so little time"),
    ],
)
def test_what_contradicts_data_or_rules_is_doubted(key: str, text: str, changes: dict[str, Any], said: str) -> None:
    _, doubt = read_value(key, text, facts.brief(**changes))
    assert said in doubt


def test_a_metric_that_cannot_score_the_target_is_refused() -> None:
    brief = facts.brief(metric_problems={"rmse": "it compares numbers, and 'sold' holds labels"})
    with pytest.raises(UsageError, match="'sold' holds labels"):
        read_value("metric", "rmse", brief)


def test_an_unsure_finding_of_the_metric_may_be_overruled_without_doubt() -> None:
    unsure = MetricFinding(metric="roc_auc", confidence=0.4, source="page")
    brief = facts.brief(competition=Competition(slug="orchard", metric=unsure))
    assert read_value("metric", "log_loss", brief) == ("log_loss", "")


def test_scores_that_exist_settle_what_they_are_measured_by() -> None:
    score = Score(metric="roc_auc", greater_is_better=True, mean=0.8, std=0.1, folds=(0.8,), low=0.7, high=0.9)
    tried = Candidate(id="c001", proposal=Proposal(title="a", family="linear"), status="scored", score=score)
    brief = facts.brief(candidates=(tried,))
    for key, text in (("metric", "log_loss"), ("target", "sold"), ("validation", "kfold"), ("template", "tabular")):
        with pytest.raises(UsageError, match="settled"):
            read_value(key, text, brief)
    assert read_value("families", "linear", brief) == (["linear"], "")


def test_every_key_is_read() -> None:
    assert set(READERS) == {
        "metric", "target", "validation", "families", "template", "drop_columns", "features_to_try",
        "features_to_avoid", "constraints", "budget", "gpu",
    }  # fmt: skip


# ---------------------------------------------------------------- agreeing


def test_a_decision_stands_with_who_took_it_and_why() -> None:
    held = agreement()
    taken = held.decide("validation", "group:farm", "user", "said so")
    assert taken == Decision(key="validation", value=value_of(held, "validation"), by="user", why="said so")
    assert value_of(held, "validation")["column"] == "farm"
    assert [decision.key for decision in held.decisions] == [decision.key for decision in held.base.decisions]


def test_a_person_may_insist_and_what_was_doubted_is_written_down() -> None:
    held = agreement()
    doubt = held.decide("metric", "log_loss", "user", "said so")
    assert isinstance(doubt, Doubt)
    assert value_of(held, "metric") == "roc_auc"
    assert isinstance(held.decide("metric", "accuracy", "user", "said so", over=doubt), Doubt)
    taken = held.decide("metric", "log_loss", "user", "said so", over=doubt)
    assert isinstance(taken, Decision)
    assert "taken although the competition names roc_auc" in taken.why


def test_undo_takes_back_the_last_change_alone() -> None:
    held = agreement()
    held.decide("drop_columns", "height", "user", "said so")
    held.decide("drop_columns", "colour", "user", "said so")
    assert value_of(held, "drop_columns") == ["always 1", "height", "colour"]
    assert held.undo() is not None
    assert value_of(held, "drop_columns") == ["always 1", "height"]
    held.decide("drop_columns", "[]", "user", "said so")
    assert value_of(held, "drop_columns") == []
    while held.undo():
        pass
    assert held.decisions == held.base.decisions


def test_a_model_may_not_insist_nor_set_what_is_a_persons() -> None:
    held = agreement()
    assert "contradicts" in held.objection(ProposedSetting("metric", "log_loss", "because"))
    assert "no column" in held.objection(ProposedSetting("drop_columns", "Embark", "because"))
    for key in ("budget", "template"):
        with pytest.raises(UsageError, match="Only a person"):
            held.decide(key, "tabular", "model", "because")
    assert held.objection(ProposedSetting("validation", "group:farm", "because")) == ""
    assert held.changes == []


def test_a_model_may_not_overrule_a_flag() -> None:
    held = agreement(options=RunOptions(target="orchard", validation="kfold", model_family="linear"))
    assert "flag" in held.objection(ProposedSetting("validation", "group:farm", "because"))
    assert "flag" in held.objection(ProposedSetting("families", "lightgbm", "because"))
    assert isinstance(held.decide("families", "lightgbm", "user", "said so"), Decision)


def test_a_number_of_folds_by_flag_leaves_the_scheme_open() -> None:
    held = agreement(options=RunOptions(target="orchard", folds=8))
    assert held.objection(ProposedSetting("validation", "group:farm", "because")) == ""


def test_what_stands_already_is_no_change() -> None:
    held = agreement()
    assert held.changes_nothing(ProposedSetting("metric", "roc_auc", ""))
    assert held.changes_nothing(ProposedSetting("drop_columns", "always 1", ""))
    assert held.changes_nothing(ProposedSetting("features_to_try", "[]", ""))
    assert not held.changes_nothing(ProposedSetting("validation", "group:farm", ""))
    assert not held.changes_nothing(ProposedSetting("drop_columns", "no such", ""))


def test_decisions_survive_being_written_as_json() -> None:
    held = agreement()
    held.decide("validation", "group:farm", "user", "said so")
    held.decide("budget", "5m", "user", "said so")
    data = msgspec.json.encode(held.decisions)
    assert msgspec.json.decode(data, type=tuple[Decision, ...]) == held.decisions
