"""Rules are fitted out of fold, agree with what the published pipeline writes, and stay honest."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from autokaggle.errors import CompetitionUnusable
from autokaggle.records.plan import Plan
from autokaggle.skills.scoring.answer_columns import answer_columns
from autokaggle.skills.scoring.answers import Answers, true_answers
from autokaggle.skills.scoring.decision_rules import apply_rule, cross_fit, fit_rule
from autokaggle.skills.scoring.metrics import METRICS
from autokaggle.templates.tabular.decision import decide
from tests.small_plans import Floats, make_plan

RANDOM = np.random.default_rng(11)
ROWS = 600
FOLDS = np.arange(ROWS) % 5


@pytest.fixture(autouse=True)
def same_numbers_in_any_order() -> None:
    """Draw the same numbers whichever tests ran before."""
    RANDOM.bit_generator.state = np.random.default_rng(11).bit_generator.state


def binary_plan(metric: str, kind: Any = "label") -> Plan:
    return make_plan(metric, task="binary_classification", kind=kind, classes={"y": ("no", "yes")})


def class_plan(metric: str, kind: Any = "label", **more: Any) -> Plan:
    answers = ("p_a", "p_b", "p_c") if kind == "class_probability" else ("y",)
    labels = {"y": ("a", "b", "c")}
    return make_plan(metric, task="multiclass_classification", kind=kind, classes=labels, answers=answers, **more)


def rare_positives() -> tuple[Floats, Floats]:
    """Return labels of which one in seven is positive, and honest probabilities for them."""
    probability = RANDOM.beta(0.6, 3.6, ROWS)
    truth = (RANDOM.random(ROWS) < probability).astype(float)
    return truth[:, None], probability[:, None]


def class_shares() -> tuple[Floats, Floats]:
    """Return labels of three classes, the first the commonest, and honest probabilities for them."""
    shares = RANDOM.dirichlet([4.0, 1.0, 0.4], ROWS)
    truth = np.array([RANDOM.choice(3, p=row) for row in shares], dtype=float)
    return truth[:, None], shares


def score(plan: Plan, truth: Floats, predictions: Floats, rule: dict[str, Any]) -> float:
    metric = METRICS[plan.metric]
    return Answers(metric, true_answers(plan, metric, truth), apply_rule(plan, rule, predictions)).score()


def test_accuracy_is_cut_at_one_half_and_calls_the_likeliest_class() -> None:
    truth, chances = rare_positives()
    assert fit_rule(binary_plan("accuracy"), truth, chances)["parts"][0]["threshold"] == 0.5
    truth, shares = class_shares()
    assert fit_rule(class_plan("accuracy"), truth, shares)["parts"][0]["multipliers"] == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("metric", ["f1", "mcc", "jaccard", "f_beta_2", "cohen_kappa"])
def test_a_tuned_threshold_beats_one_half_on_rows_that_it_was_not_fitted_on(metric: str) -> None:
    plan = binary_plan(metric)
    gains = []
    for _ in range(10):
        truth, chances = rare_positives()
        at_half = fit_rule(binary_plan("accuracy"), truth, chances)
        gains.append(cross_fit(plan, truth, chances, FOLDS).score() - score(plan, truth, chances, at_half))
    assert np.mean(gains) > 0.02


def test_balanced_accuracy_weighs_classes_by_what_they_lack() -> None:
    truth, chances = rare_positives()
    assert fit_rule(binary_plan("balanced_accuracy"), truth, chances)["parts"][0]["threshold"] == truth.mean()
    truth, shares = class_shares()
    plan = class_plan("balanced_accuracy")
    multipliers = np.array(fit_rule(plan, truth, shares)["parts"][0]["multipliers"])
    assert multipliers * np.bincount(truth[:, 0].astype(int)) == pytest.approx(multipliers[2] * np.sum(truth == 2))
    likeliest = fit_rule(class_plan("accuracy"), truth, shares)
    assert cross_fit(plan, truth, shares, FOLDS).score() > score(plan, truth, shares, likeliest) + 0.05


def test_macro_f1_gains_from_weighing_classes() -> None:
    truth, shares = class_shares()
    plan = class_plan("f1_macro")
    likeliest = fit_rule(class_plan("accuracy"), truth, shares)
    assert cross_fit(plan, truth, shares, FOLDS).score() > score(plan, truth, shares, likeliest)


def test_a_class_that_never_occurs_is_never_called() -> None:
    truth, shares = class_shares()
    truth[truth == 2] = 1.0
    part = fit_rule(class_plan("balanced_accuracy"), truth, shares)["parts"][0]
    assert part["multipliers"][2] == 0.0


def test_cut_points_give_each_label_as_often_as_it_is_true() -> None:
    plan = make_plan("quadratic_weighted_kappa", task="ordinal", kind="label", classes={"y": ("3", "4", "5", "8")})
    truth = RANDOM.choice(4, ROWS, p=[0.1, 0.5, 0.3, 0.1]).astype(float)
    shrunk = 4.5 + 0.3 * truth + 0.2 * RANDOM.normal(size=ROWS)
    rule = fit_rule(plan, truth[:, None], shrunk[:, None])
    texts = decide(shrunk[:, None], rule)["y"]
    assert [texts.count(label) for label in ("3", "4", "5", "8")] == np.bincount(truth.astype(int)).tolist()
    rounded = {**rule, "parts": [{**rule["parts"][0], "cuts": [3.5, 4.5, 6.5]}]}
    honest = cross_fit(plan, truth[:, None], shrunk[:, None], FOLDS).score()
    assert honest > score(plan, truth[:, None], shrunk[:, None], rounded) + 0.1


def test_one_prediction_for_all_rows_is_called_the_nearest_label() -> None:
    plan = make_plan("quadratic_weighted_kappa", task="ordinal", kind="label", classes={"y": ("3", "4", "5")})
    truth = RANDOM.choice(3, ROWS).astype(float)
    same = np.full((ROWS, 1), 4.2)
    assert set(decide(same, fit_rule(plan, truth[:, None], same))["y"]) == {"4"}


def test_values_keep_to_the_range_that_was_seen() -> None:
    truth = RANDOM.uniform(5, 9, ROWS)[:, None]
    part = fit_rule(make_plan("rmse"), truth, truth)["parts"][0]
    assert part == {
        "target": "y",
        "inputs": [0],
        "outputs": ["y"],
        "method": "value",
        "clip": [truth.min(), truth.max()],
    }


def test_later_values_may_leave_the_range_but_not_turn_negative() -> None:
    truth = RANDOM.uniform(5, 9, ROWS)[:, None]
    plan = make_plan("rmse", scheme="time", column="t")
    assert fit_rule(plan, truth, truth)["parts"][0]["clip"] == [0.0, None]
    assert fit_rule(plan, truth - 7, truth)["parts"][0]["clip"] == [None, None]


def test_counts_are_rounded_only_when_that_is_better() -> None:
    counts = RANDOM.poisson(3, ROWS).astype(float)[:, None]
    near, far = counts + RANDOM.uniform(-0.3, 0.3, (ROWS, 1)), counts + RANDOM.normal(0, 2, (ROWS, 1))
    assert fit_rule(make_plan("mae"), counts, near)["parts"][0].get("integer") is True
    assert "integer" not in fit_rule(make_plan("rmse"), counts, far)["parts"][0]
    assert "integer" not in fit_rule(make_plan("mae"), counts + 0.5, near)["parts"][0]


def test_metrics_of_order_alone_get_no_bounds() -> None:
    truth = RANDOM.normal(size=(ROWS, 1))
    assert "clip" not in fit_rule(make_plan("spearman"), truth, truth)["parts"][0]


def test_probabilities_are_kept_from_certainty_as_far_as_rows_can_tell() -> None:
    truth, chances = rare_positives()
    low, high = fit_rule(binary_plan("log_loss", "probability"), truth, chances)["parts"][0]["clip"]
    assert low == pytest.approx(0.1 / ROWS)
    assert high == 1 - low
    assert fit_rule(binary_plan("roc_auc", "probability"), truth, chances)["parts"][0]["clip"] == [0.0, 1.0]


PLANS: list[tuple[Plan, tuple[Floats, Floats]]] = [
    (binary_plan("accuracy"), rare_positives()),
    (binary_plan("f1"), rare_positives()),
    (binary_plan("roc_auc", "probability"), rare_positives()),
    (binary_plan("log_loss", "probability"), rare_positives()),
    (class_plan("f1_macro"), class_shares()),
    (class_plan("mlogloss", "class_probability"), class_shares()),
    (class_plan("map_at_2", "ranked_labels", list_length=2), class_shares()),
    (make_plan("rmse"), (RANDOM.normal(size=(ROWS, 1)), RANDOM.normal(size=(ROWS, 1)))),
    (make_plan("mae"), (RANDOM.poisson(5, (ROWS, 1)).astype(float), RANDOM.uniform(0, 9, (ROWS, 1)))),
    (
        make_plan("quadratic_weighted_kappa", task="ordinal", kind="label", classes={"y": ("3", "5", "9")}),
        (RANDOM.choice(3, (ROWS, 1)).astype(float), RANDOM.uniform(2, 9, (ROWS, 1))),
    ),
]


@pytest.mark.parametrize(("plan", "data"), PLANS, ids=[plan.metric for plan, _ in PLANS])
def test_what_is_scored_is_what_the_published_rule_writes(plan: Plan, data: tuple[Floats, Floats]) -> None:
    truth, predictions = data
    rule = fit_rule(plan, truth, predictions)
    written = decide(predictions, rule)
    decided = apply_rule(plan, rule, predictions)[0]
    labels = plan.classes.get("y", ())
    columns = list(written.values())
    if plan.submission.kind == "label":
        given = [float(text) for text in columns[0]] if plan.task_type == "ordinal" else map(labels.index, columns[0])
        assert list(given) == decided.tolist()
    elif plan.submission.kind == "ranked_labels":
        assert [[labels.index(label) for label in text.split()] for text in columns[0]] == decided.tolist()
    else:
        numbers = np.array([[float(text) for text in column] for column in columns]).T
        assert np.array_equal(numbers, decided.reshape(numbers.shape))


@pytest.mark.parametrize(("plan", "data"), PLANS, ids=[plan.metric for plan, _ in PLANS])
def test_no_row_takes_part_in_the_rule_that_decides_it(plan: Plan, data: tuple[Floats, Floats]) -> None:
    truth, predictions = data
    answers = cross_fit(plan, truth, predictions, FOLDS)
    changed = truth.copy()
    changed[FOLDS == 2] = truth[FOLDS == 2][::-1]
    again = cross_fit(plan, changed, predictions, FOLDS)
    assert np.array_equal(answers.decided[0][FOLDS == 2], again.decided[0][FOLDS == 2])


def test_a_tuned_threshold_on_noise_scores_no_better_than_without_labels() -> None:
    plan = binary_plan("mcc")
    scores = []
    for _ in range(20):
        truth = (RANDOM.random((ROWS, 1)) < 0.3).astype(float)
        scores.append(cross_fit(plan, truth, RANDOM.random((ROWS, 1)), FOLDS).score())
    assert abs(np.mean(scores)) < 0.03


def test_several_targets_each_get_their_own_part() -> None:
    plan = make_plan(
        "f1",
        task="multilabel_classification",
        kind="label",
        targets=("u", "v"),
        classes={"u": ("0", "1"), "v": ("n", "y")},
        answers=("v", "u"),
    )
    (first, chances), (second, others) = rare_positives(), rare_positives()
    truth, predictions = np.hstack([first, second]), np.hstack([chances, others])
    rule = fit_rule(plan, truth, predictions)
    assert [(part["target"], part["inputs"], part["outputs"]) for part in rule["parts"]] == [
        ("u", [0], ["u"]),
        ("v", [1], ["v"]),
    ]
    assert set(decide(predictions, rule)["v"]) == {"n", "y"}
    answers = cross_fit(plan, truth, predictions, FOLDS)
    each = [METRICS["f1"].function(answers.truths[n], answers.decided[n]) for n in (0, 1)]
    assert answers.score() == pytest.approx(np.mean(each))


@pytest.mark.parametrize(
    ("labels", "columns", "expected"),
    [
        (("C", "CL", "D"), ("Status_D", "Status_CL", "Status_C"), ("Status_C", "Status_CL", "Status_D")),
        (("0", "1", "2"), ("class_2", "class_0", "class_1"), ("class_0", "class_1", "class_2")),
        (("winter", "windy"), ("p_windy", "p_winter"), ("p_winter", "p_windy")),
        (("Low Risk", "High Risk"), ("high_risk", "low_risk"), ("low_risk", "high_risk")),
        (("x", "y"), ("first", "second"), ("first", "second")),
    ],
)
def test_class_columns_are_found_by_name_else_by_place(
    labels: tuple[str, ...], columns: tuple[str, ...], expected: tuple[str, ...]
) -> None:
    plan = make_plan(
        "mlogloss", task="multiclass_classification", kind="class_probability", classes={"y": labels}, answers=columns
    )
    assert answer_columns(plan)[0].outputs == expected


def test_a_submission_without_a_column_for_each_class_is_refused() -> None:
    plan = make_plan(
        "mlogloss",
        task="multiclass_classification",
        kind="class_probability",
        classes={"y": ("a", "b", "c")},
        answers=("a", "b"),
    )
    with pytest.raises(CompetitionUnusable, match="2 columns to fill"):
        answer_columns(plan)
