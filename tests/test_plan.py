"""The plan brings profile, decisions and metric into agreement."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from autokaggle.errors import CompetitionUnusable, UsageError
from autokaggle.records.competition import Competition
from autokaggle.records.data_profile import ColumnProfile, DataProfile, Guess, SplitHints, SubmissionKind
from autokaggle.records.plan import Decision, Decisions, Plan
from autokaggle.records.run import RunOptions
from autokaggle.skills.pipeline.plan import make_plan

SURE = Guess(value="", confidence=1.0, evidence="")
GRADES = ("3", "4", "5")
PROFILE = DataProfile(
    files=(),
    columns=(
        ColumnProfile(name="id", kind="id", type="VARCHAR"),
        ColumnProfile(name="size", kind="number", type="DOUBLE"),
        ColumnProfile(name="always", kind="constant", type="BIGINT"),
        ColumnProfile(name="grade", kind="category", type="VARCHAR", in_test=False),
        ColumnProfile(name="ripe", kind="category", type="VARCHAR", in_test=False),
        ColumnProfile(name="weight", kind="number", type="DOUBLE", in_test=False),
    ),
    train="train.parquet",
    test="test.parquet",
    sample_submission="sample_submission.parquet",
    train_rows=1000,
    test_rows=100,
    target_columns=("grade",),
    target_guess=SURE,
    id_columns=("id",),
    id_guess=SURE,
    submission_columns=("id", "grade"),
    submission_kind="label",
    task_type="multiclass_classification",
    task_guess=SURE,
    classes={"grade": GRADES, "ripe": ("no", "yes")},
    metric_suggestion=SURE,
    split=SplitHints(scheme="stratified", reason="the rarest class has 50 rows"),
)


def plan(
    metric: str = "accuracy",
    metric_input: SubmissionKind = "label",
    profile: DataProfile = PROFILE,
    options: RunOptions | None = None,
    **decided: Any,
) -> Plan:
    decisions = Decisions(
        decisions=tuple(
            Decision(key=key, value=value, by="user", why="") for key, value in {"metric": metric, **decided}.items()
        )
    )
    return make_plan(
        Competition(slug="orchard"),
        profile,
        decisions,
        options or RunOptions(target="orchard"),
        metric_input=metric_input,
        greater_is_better=True,
    )


def changed(**fields: Any) -> DataProfile:
    return msgspec.structs.replace(PROFILE, **fields)


def test_several_classes_are_predicted_as_a_probability_each() -> None:
    made = plan()
    assert made.task_type == "multiclass_classification"
    assert made.prediction_columns == GRADES
    assert made.submission.kind == "label"
    assert made.submission.ids_from == "sample_submission.parquet"
    assert made.submission.id_columns == ("id",)


def test_kappa_makes_ordered_labels_a_number() -> None:
    made = plan("quadratic_weighted_kappa")
    assert made.task_type == "ordinal"
    assert made.prediction_columns == ("grade",)
    assert made.classes == {"grade": GRADES}


def test_kappa_over_words_stays_a_classification() -> None:
    words = {"grade": ("good", "poor", "rotten")}
    assert plan("quadratic_weighted_kappa", profile=changed(classes=words)).task_type == "multiclass_classification"


def test_a_metric_of_values_makes_counted_labels_a_regression() -> None:
    made = plan("rmse", "value")
    assert made.task_type == "regression"
    assert made.classes == {}


def test_two_classes_are_one_probability() -> None:
    made = plan("roc_auc", "probability", target=["ripe"], profile=changed(submission_columns=("id", "ripe")))
    assert made.task_type == "binary_classification"
    assert made.prediction_columns == ("ripe",)


def test_a_probability_per_class_of_two_classes_has_two_columns() -> None:
    made = plan("mlogloss", "class_probability", target=["ripe"])
    assert made.prediction_columns == ("no", "yes")
    assert made.submission.kind == "class_probability"


def test_several_targets_of_several_classes_name_both() -> None:
    made = plan(target=["grade", "ripe"])
    assert made.prediction_columns == ("grade=3", "grade=4", "grade=5", "ripe=no", "ripe=yes")


def test_prediction_columns_differ_by_more_than_case() -> None:
    made = plan(profile=changed(classes={"grade": ("A", "a", "Row")}))
    assert made.prediction_columns == ("A", "a (2)", "Row (3)")


def test_the_length_of_a_ranking_is_in_the_metrics_name() -> None:
    assert plan("map_at_3", "ranked_labels").submission.list_length == 3


def test_without_a_sample_the_rows_of_test_are_handed_in() -> None:
    made = plan(profile=changed(sample_submission=None, submission_columns=()))
    assert made.submission.ids_from == "test.parquet"
    assert made.submission.columns == ("id", "grade")


def test_folds_are_five_and_follow_the_profiles_hint() -> None:
    validation = plan().validation
    assert (validation.scheme, validation.folds, validation.repeats) == ("stratified", 5, 1)


def test_a_tiny_class_allows_fewer_folds() -> None:
    columns = (
        *(column for column in PROFILE.columns if column.name != "grade"),
        ColumnProfile(name="grade", kind="category", type="VARCHAR", top=(("3", 0.9), ("4", 0.097), ("5", 0.003))),
    )
    validation = plan(profile=changed(columns=columns)).validation
    assert validation.folds == 3
    assert "3 folds" in validation.reason


def test_flags_win() -> None:
    options = RunOptions(target="orchard", folds=8, seed=7, time_budget_seconds=60)
    made = plan(options=options, profile=changed(train_rows=20), validation={"scheme": "kfold", "folds": 8})
    assert (made.validation.folds, made.validation.scheme) == (8, "kfold")
    assert (made.seed, made.time_budget_seconds) == (7, 60)


def test_useless_columns_are_dropped_with_those_that_were_decided() -> None:
    assert plan(drop_columns=["size"]).drop_columns == ("size", "always")


@pytest.mark.parametrize(
    ("decided", "says"),
    [
        ({"target": ["grad"]}, "Did you mean 'grade'"),
        ({"families": ["lightgbm", "forest"]}, "no model family 'forest'"),
        ({"validation": {"scheme": "random"}}, "no validation scheme"),
        ({"validation": {"scheme": "kfold", "folds": 1}}, "cannot validate"),
    ],
)
def test_what_does_not_exist_is_a_usage_error(decided: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        plan(**decided)


@pytest.mark.parametrize("fields", [{"train_rows": 3}, {"target_columns": ()}])
def test_nothing_to_learn_from_is_said(fields: dict[str, Any]) -> None:
    with pytest.raises(CompetitionUnusable):
        plan(profile=changed(**fields))
