"""Every metric agrees with an independent computation, and is found by what competitions call it."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats  # type: ignore[import-untyped]
from sklearn import metrics as sk

from autokaggle.skills.scoring.metrics import METRICS, Metric, default_metric, identify_metric

Array = npt.NDArray[Any]
Reference = Callable[[Array, Array], float]

RANDOM = np.random.default_rng(7)
ROWS = 400
VALUES = np.round(np.exp(RANDOM.normal(size=ROWS)), 3)
GUESSES = np.round(VALUES * np.exp(0.4 * RANDOM.normal(size=ROWS)), 2)
CLASSES = RANDOM.integers(0, 4, ROWS)
TOLD = np.where(RANDOM.random(ROWS) < 0.6, CLASSES, RANDOM.integers(0, 4, ROWS))
FLAGS = (RANDOM.random(ROWS) < 0.3).astype(np.int64)
CALLED = np.where(RANDOM.random(ROWS) < 0.7, FLAGS, 1 - FLAGS)
# Rounded, so that there are ties.
CHANCES = np.round(np.clip(0.3 * FLAGS + 0.7 * RANDOM.random(ROWS), 0.01, 0.99), 2)
SHARES = RANDOM.dirichlet(np.ones(4), ROWS) * 0.5 + 0.5 * np.eye(4)[TOLD]
RANKED = np.argsort(-SHARES, axis=1)

VALUE_REFERENCES: dict[str, Reference] = {
    "rmse": sk.root_mean_squared_error,
    "mse": sk.mean_squared_error,
    "mcrmse": sk.root_mean_squared_error,
    "rmsle": sk.root_mean_squared_log_error,
    "msle": sk.mean_squared_log_error,
    "mae": sk.mean_absolute_error,
    "median_ae": sk.median_absolute_error,
    "mape": sk.mean_absolute_percentage_error,
    "r2": sk.r2_score,
    "explained_variance": sk.explained_variance_score,
    "pearson": lambda truth, told: stats.pearsonr(truth, told).statistic,
    "spearman": lambda truth, told: stats.spearmanr(truth, told).statistic,
    **{
        f"pinball_{percent:02d}": functools.partial(sk.mean_pinball_loss, alpha=percent / 100)
        for percent in (5, 10, 25, 50, 75, 90, 95)
    },
}
BINARY_REFERENCES: dict[str, Reference] = {
    "f1": sk.f1_score,
    "f_beta_05": lambda truth, told: sk.fbeta_score(truth, told, beta=0.5),
    "f_beta_2": lambda truth, told: sk.fbeta_score(truth, told, beta=2),
    "precision": sk.precision_score,
    "recall": sk.recall_score,
    "jaccard": sk.jaccard_score,
    "dice": sk.f1_score,
    "mcc": sk.matthews_corrcoef,
    "cohen_kappa": sk.cohen_kappa_score,
    "accuracy": sk.accuracy_score,
    "balanced_accuracy": sk.balanced_accuracy_score,
    "hamming_loss": sk.hamming_loss,
}
CLASS_REFERENCES: dict[str, Reference] = {
    "accuracy": sk.accuracy_score,
    "balanced_accuracy": sk.balanced_accuracy_score,
    "f1_macro": lambda truth, told: sk.f1_score(truth, told, average="macro"),
    "f1_micro": lambda truth, told: sk.f1_score(truth, told, average="micro"),
    "f1_weighted": lambda truth, told: sk.f1_score(truth, told, average="weighted"),
    "jaccard_macro": lambda truth, told: sk.jaccard_score(truth, told, average="macro"),
    "mcc": sk.matthews_corrcoef,
    "cohen_kappa": sk.cohen_kappa_score,
    "hamming_loss": sk.hamming_loss,
    "quadratic_weighted_kappa": lambda truth, told: sk.cohen_kappa_score(truth, told, weights="quadratic"),
    "linear_weighted_kappa": lambda truth, told: sk.cohen_kappa_score(truth, told, weights="linear"),
}
PROBABILITY_REFERENCES: dict[str, Reference] = {
    "roc_auc": sk.roc_auc_score,
    "average_precision": sk.average_precision_score,
    "log_loss": sk.log_loss,
    "brier": sk.brier_score_loss,
}


@pytest.mark.parametrize("name", VALUE_REFERENCES)
def test_distances_agree_with_an_independent_computation(name: str) -> None:
    assert METRICS[name].function(VALUES, GUESSES) == pytest.approx(VALUE_REFERENCES[name](VALUES, GUESSES), rel=1e-12)


@pytest.mark.parametrize("name", BINARY_REFERENCES)
def test_scores_of_two_labels_agree_with_an_independent_computation(name: str) -> None:
    assert METRICS[name].function(FLAGS, CALLED) == pytest.approx(BINARY_REFERENCES[name](FLAGS, CALLED), rel=1e-12)


@pytest.mark.parametrize("name", CLASS_REFERENCES)
def test_scores_of_several_labels_agree_with_an_independent_computation(name: str) -> None:
    assert METRICS[name].function(CLASSES, TOLD) == pytest.approx(CLASS_REFERENCES[name](CLASSES, TOLD), rel=1e-12)


@pytest.mark.parametrize("name", PROBABILITY_REFERENCES)
def test_scores_of_probabilities_agree_with_an_independent_computation(name: str) -> None:
    expected = PROBABILITY_REFERENCES[name](FLAGS, CHANCES)
    assert METRICS[name].function(FLAGS, CHANCES) == pytest.approx(expected, rel=1e-12)


def test_scores_of_class_probabilities_agree_with_an_independent_computation() -> None:
    one_hot = np.eye(4)[CLASSES]
    expected = {
        "mlogloss": sk.log_loss(CLASSES, SHARES),
        "log_loss": sk.log_loss(CLASSES, SHARES),
        "roc_auc": sk.roc_auc_score(CLASSES, SHARES, multi_class="ovr"),
        "average_precision": sk.average_precision_score(one_hot, SHARES, average="macro"),
        "brier": np.sum((SHARES - one_hot) ** 2) / ROWS,
        "balanced_log_loss": np.mean([-np.log(SHARES[k == CLASSES, k]).mean() for k in range(4)]),
        "map_at_3": np.mean(
            [sum((truth == row[n]) / (n + 1) for n in range(3)) for truth, row in zip(CLASSES, RANKED, strict=True)]
        ),
    }
    for name, value in expected.items():
        told = RANKED[:, :3] if name == "map_at_3" else SHARES
        assert METRICS[name].function(CLASSES, told) == pytest.approx(value, rel=1e-12), name


def test_ranked_labels_agree_with_an_independent_computation() -> None:
    one_hot = np.eye(4)[CLASSES]
    assert METRICS["ndcg_at_3"].function(CLASSES, RANKED[:, :3]) == pytest.approx(sk.ndcg_score(one_hot, SHARES, k=3))
    assert METRICS["top_accuracy_at_2"].function(CLASSES, RANKED[:, :2]) == pytest.approx(
        sk.top_k_accuracy_score(CLASSES, SHARES, k=2)
    )
    assert METRICS["map_at_1"].function(CLASSES, RANKED[:, :1]) == pytest.approx(np.mean(RANKED[:, 0] == CLASSES))


def test_metrics_without_a_library_agree_with_values_worked_out_by_hand() -> None:
    truth, told = np.array([0.0, 100.0, 50.0]), np.array([0.0, 50.0, 100.0])
    # Terms: 0 where both are 0, then 2 x 50 / 150 twice.
    assert METRICS["smape"].function(truth, told) == pytest.approx(100 * (4 / 3) / 2 * 2 / 3)
    # The zero is left out: (50 / 100)^2 and (50 / 50)^2.
    assert METRICS["rmspe"].function(truth, told) == pytest.approx(math.sqrt((0.25 + 1) / 2))
    # Sorted by prediction the truth is 50, 100, 0: cumulated shares 1/3, 1, 1 against the best 2/3, 1, 1.
    assert METRICS["gini"].function(truth, told) == pytest.approx((7 / 3 - 2) / (8 / 3 - 2))


def test_gini_of_labels_is_twice_the_area_under_the_curve_minus_one() -> None:
    scores = RANDOM.permutation(ROWS).astype(float)
    expected = 2 * sk.roc_auc_score(FLAGS, scores) - 1
    assert METRICS["gini"].function(FLAGS.astype(float), scores) == pytest.approx(expected)


def test_kappa_of_labels_with_gaps_uses_the_distance_of_the_labels() -> None:
    truth, told = np.array([3.0, 3.0, 5.0, 8.0]), np.array([3.0, 5.0, 5.0, 5.0])
    weights = (np.arange(9)[:, None] - np.arange(9)[None, :]) ** 2
    observed, expected = np.zeros((9, 9)), np.zeros((9, 9))
    for mine, theirs in zip(truth.astype(int), told.astype(int), strict=True):
        observed[mine, theirs] += 1
    expected = np.outer(observed.sum(1), observed.sum(0)) / 4
    by_hand = 1 - (weights * observed).sum() / (weights * expected).sum()
    assert METRICS["quadratic_weighted_kappa"].function(truth, told) == pytest.approx(by_hand)


def test_probabilities_of_zero_and_one_are_clipped_as_kaggle_does() -> None:
    assert METRICS["log_loss"].function(np.array([1, 0]), np.array([0.0, 0.0])) == pytest.approx(
        -math.log(1e-15) / 2, rel=1e-6
    )
    # Rows are rescaled before the clip.
    assert METRICS["mlogloss"].function(np.array([0]), np.array([[2.0, 2.0]])) == pytest.approx(math.log(2))


@pytest.mark.parametrize("name", ["roc_auc", "average_precision", "r2", "pearson", "gini", "cohen_kappa"])
def test_a_metric_that_is_not_defined_is_nan_and_warns_of_nothing(name: str) -> None:
    zeros = np.zeros(5)
    assert math.isnan(METRICS[name].function(zeros, zeros))


def test_rmsle_of_values_below_minus_one_is_nan() -> None:
    assert math.isnan(METRICS["rmsle"].function(np.ones(2), np.array([1.0, -1.5])))


def test_every_metric_prefers_the_truth_to_a_wrong_answer() -> None:
    for metric in METRICS.values():
        truth, right, wrong = _right_and_wrong(metric)
        good, bad = metric.function(truth, right), metric.function(truth, wrong)
        assert metric.is_better(good, bad), metric.id
        best = metric.highest if metric.greater_is_better else metric.lowest
        assert good == pytest.approx(best, abs=1e-12), metric.id


def _right_and_wrong(metric: Metric) -> tuple[Array, Array, Array]:
    """Return the truth, a perfect answer and a bad one in the form that the metric compares."""
    ascending, one_hot = np.sort(VALUES), np.eye(4)[CLASSES]
    match metric.input:
        case "value":
            return ascending, ascending, ascending[::-1] + 1
        case "label":
            return FLAGS, FLAGS, 1 - FLAGS
        case "probability":
            return FLAGS, FLAGS.astype(float), 1.0 - FLAGS
        case "class_probability":
            return CLASSES, one_hot, np.full((ROWS, 4), 0.25)
        case _:
            return CLASSES, CLASSES[:, None], CLASSES[:, None] + 1


def test_nan_is_never_better() -> None:
    metric = METRICS["rmse"]
    assert metric.is_better(1.0, math.nan)
    assert not metric.is_better(math.nan, 1.0)
    assert not metric.is_better(math.nan, math.nan)


def test_no_two_metrics_share_a_phrase() -> None:
    phrases = [phrase for metric in METRICS.values() for phrase in metric.aliases]
    assert len(phrases) == len(set(phrases))


def test_at_least_thirty_metrics_are_known_beside_lengths_and_percentiles() -> None:
    assert len({name.rstrip("0123456789") for name in METRICS}) >= 30


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("Categorization Accuracy", "accuracy"),
        ("Area Under Receiver Operating Characteristic Curve", "roc_auc"),
        ("Roc Auc Score", "roc_auc"),
        ("LogLoss", "log_loss"),
        ("Log Loss", "log_loss"),
        ("Multiclass Loss", "mlogloss"),
        ("multi-class logarithmic loss", "mlogloss"),
        ("Root Mean Squared Logarithmic Error", "rmsle"),
        ("Root Mean Squared Error", "rmse"),
        ("MCRMSE", "mcrmse"),
        ("Mean Columnwise Root Mean Squared Error", "mcrmse"),
        ("Mean Absolute Error", "mae"),
        ("Median Absolute Error", "median_ae"),
        ("SMAPE", "smape"),
        ("R2 Score", "r2"),
        ("R² score", "r2"),
        ("Quadratic Weighted Kappa", "quadratic_weighted_kappa"),
        ("QuadraticWeightedKappa", "quadratic_weighted_kappa"),
        ("Matthews Correlation Coefficient", "mcc"),
        ("F1-Score", "f1"),
        ("F1 Score (Macro)", "f1_macro"),
        ("Micro-averaged F1-Score", "f1_micro"),
        ("Balanced Accuracy Score", "balanced_accuracy"),
        ("Normalized Gini Index", "gini"),
        ("MAP@3", "map_at_3"),
        ("MAP@12", "map_at_12"),
        ("Mean Average Precision @ 5", "map_at_5"),
        ("NDCG@5", "ndcg_at_5"),
        ("Average Precision Score", "average_precision"),
        ("Brier Score", "brier"),
        ("Spearman's rank correlation coefficient", "spearman"),
        ("Root Mean Square Percentage Error", "rmspe"),
    ],
)
def test_the_metric_field_is_understood(field: str, expected: str) -> None:
    finding = identify_metric(field, "")
    assert finding.metric == expected
    assert finding.source == "field"
    assert finding.greater_is_better is METRICS[expected].greater_is_better
    assert finding.confidence >= 0.95


def test_a_sentence_about_logarithms_turns_the_error_into_the_logarithmic_one() -> None:
    page = "# Evaluation\n\nYou are scored on the RMSE between the logarithm of the prediction and that of the price."
    finding = identify_metric("", page)
    assert (finding.metric, finding.source) == ("rmsle", "page")
    assert "RMSE between the logarithm" in finding.evidence


def test_a_sentence_about_scoring_weighs_more_than_a_metric_mentioned_before() -> None:
    page = "Accuracy is easy to understand. But submissions are **evaluated** on the F1 score.\n\nGood luck."
    finding = identify_metric("", page)
    assert finding.metric == "f1"
    assert finding.evidence.startswith("But submissions")


def test_two_metrics_in_scoring_sentences_make_it_less_sure() -> None:
    one = identify_metric("", "Submissions are scored on accuracy.")
    two = identify_metric("", "Submissions are scored on accuracy. Ties are ranked by log loss.")
    assert two.metric == "accuracy"
    assert two.confidence < one.confidence


def test_an_unknown_metric_keeps_its_wording() -> None:
    finding = identify_metric("Galactic Distance Index", "Submissions are scored by experts.")
    assert finding.metric is None
    assert finding.wording == "Galactic Distance Index"


def test_a_page_that_contradicts_an_unknown_field_is_not_trusted_much() -> None:
    page = "Submissions are scored on accuracy."
    assert identify_metric("Galactic Distance Index", page).confidence < identify_metric("", page).confidence


def test_the_format_block_of_a_page_names_no_metric() -> None:
    assert identify_metric("", "# Evaluation\n\n```\nid,accuracy\n1,0.5\n```\n").metric is None


def test_the_title_is_the_last_resort() -> None:
    finding = identify_metric("", "", title="Predict with RMSE")
    assert finding.metric == "rmse"
    assert finding.confidence < 0.5


def test_defaults_are_known_metrics_and_hand_in_labels_unless_probabilities_are_asked() -> None:
    assert default_metric("binary_classification") == "accuracy"
    assert default_metric("binary_classification", "probability") == "roc_auc"
    assert default_metric("multiclass_classification", "class_probability") == "mlogloss"
    assert default_metric("multiclass_classification", "probability") == "accuracy"
    assert default_metric("ordinal") == "quadratic_weighted_kappa"
    assert default_metric("time_series_forecasting") == "rmse"
    assert default_metric("multiclass_classification", "ranked_labels") in METRICS


def test_every_measuring_case_is_understood_from_its_field_and_from_its_page(shared_folder: Path) -> None:
    cases = sorted([*(shared_folder / "cases").iterdir(), *(shared_folder / "broken_cases").iterdir()])
    for case in cases:
        facts = json.loads((case / "competition.json").read_text("utf-8"))
        page = (case / "pages" / "evaluation.md").read_text("utf-8")
        assert identify_metric(facts["evaluation_metric"], page).metric == facts["metric_id"], case.name
        assert identify_metric("", page).metric == facts["metric_id"], case.name
