"""The range given for the test score holds as often as it claims; differences inside the noise are called so."""

from __future__ import annotations

from collections.abc import Callable
from statistics import NormalDist

import numpy as np
import numpy.typing as npt
import pytest

from autokaggle.skills.scoring.answers import Answers
from autokaggle.skills.scoring.comparison import compare
from autokaggle.skills.scoring.intervals import (
    bootstrap_deviation,
    expected_range,
    fold_scores,
    share_like_test,
    student_95,
)
from autokaggle.skills.scoring.metrics import METRICS

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

RANDOM = np.random.default_rng(2)


@pytest.fixture(autouse=True)
def same_numbers_in_any_order() -> None:
    """Draw the same numbers whichever tests ran before."""
    RANDOM.bit_generator.state = np.random.default_rng(2).bit_generator.state


def labels(rows: int, share_right: float = 0.8) -> Answers:
    truth = RANDOM.integers(0, 2, rows)
    told = np.where(RANDOM.random(rows) < share_right, truth, 1 - truth)
    return Answers(METRICS["accuracy"], (truth,), (told,))


def chances(rows: int) -> Answers:
    signal = RANDOM.normal(size=rows)
    truth = (RANDOM.random(rows) < 1 / (1 + np.exp(-signal))).astype(np.int64)
    return Answers(METRICS["roc_auc"], (truth,), (signal,))


def values(rows: int) -> Answers:
    truth = np.exp(RANDOM.normal(size=rows))
    return Answers(METRICS["rmsle"], (truth,), (truth * np.exp(0.3 * RANDOM.standard_t(5, size=rows)),))


def kappa(rows: int) -> Answers:
    truth = RANDOM.choice(5, rows, p=[0.05, 0.3, 0.4, 0.2, 0.05]).astype(float)
    told = np.clip(np.rint(truth + RANDOM.normal(0, 0.9, rows)), 0, 4)
    return Answers(METRICS["quadratic_weighted_kappa"], (truth,), (told,))


def test_the_bootstrap_agrees_with_the_closed_form_of_a_share() -> None:
    answers = labels(2000)
    share = answers.score()
    assert bootstrap_deviation(answers) == pytest.approx(np.sqrt(share * (1 - share) / 2000), rel=0.15)


def test_many_rows_are_sampled_and_the_deviation_scaled() -> None:
    answers = labels(200_000)
    share = answers.score()
    assert bootstrap_deviation(answers) == pytest.approx(np.sqrt(share * (1 - share) / 200_000), rel=0.15)


@pytest.mark.parametrize("draw", [labels, chances, values, kappa])
@pytest.mark.parametrize(("train_rows", "test_rows"), [(400, 200), (800, 3000)])
def test_the_range_covers_the_test_score_in_nineteen_of_twenty_cases(
    draw: Callable[[int], Answers], train_rows: int, test_rows: int
) -> None:
    hits = 0
    for _ in range(60):
        low, high = expected_range(draw(train_rows), np.arange(train_rows) % 5, test_rows, is_shifted=False)
        hits += low <= draw(test_rows).score() <= high
    # With a true coverage of .95, fewer than 51 of 60 happen once in 800 times.
    assert hits >= 51


def correlated(x: Floats, y: Integers) -> Floats:
    """Fit a line whose weights are the columns' covariances with the labels."""
    weights: Floats = x.T @ (y - y.mean())
    return weights


@pytest.mark.parametrize(("rows", "columns"), [(100, 300), (400, 300), (100, 10)])
def test_the_range_covers_the_luck_of_what_few_rows_teach(rows: int, columns: int) -> None:
    """The same rows train nearly every fold: where they mislead, they do so everywhere, and the other way round."""
    random, hits = np.random.default_rng(rows + columns), 0
    for _ in range(60):
        x = random.normal(size=(rows + 2000, columns))
        y = (x[:, :8].sum(axis=1) * 0.3 + random.logistic(size=len(x)) > 0).astype(np.int64)
        (train, test), (labels_of_train, labels_of_test) = np.split(x, [rows]), np.split(y, [rows])
        fold_of_row, told = np.arange(rows) % 5, np.empty(rows)
        for fold in range(5):
            inside = fold_of_row == fold
            told[inside] = train[inside] @ correlated(train[~inside], labels_of_train[~inside])
        answers = Answers(METRICS["roc_auc"], (labels_of_train,), (told,))
        low, high = expected_range(answers, fold_of_row, 2000, is_shifted=False)
        of_test = Answers(METRICS["roc_auc"], (labels_of_test,), (test @ correlated(train, labels_of_train),))
        hits += low <= of_test.score() <= high
    assert hits >= 54


def test_few_errors_among_very_many_rows_are_not_overlooked() -> None:
    for _ in range(5):
        truth = np.zeros(40_000, dtype=np.int64)
        told = truth.copy()
        told[RANDOM.choice(len(told), 2, replace=False)] = 1
        deviation = bootstrap_deviation(Answers(METRICS["accuracy"], (truth,), (told,)))
        assert deviation == pytest.approx(np.sqrt(2) / len(truth), rel=0.8)


def test_a_small_test_set_makes_the_range_wider() -> None:
    answers = labels(1000)
    widths = []
    for test_rows in (100, 1000, 100_000):
        low, high = expected_range(answers, np.arange(1000) % 5, test_rows, is_shifted=False)
        widths.append(high - low)
    assert widths[0] > 1.5 * widths[1] > 1.5 * widths[2]


@pytest.mark.parametrize(("draw", "worse"), [(chances, "low"), (values, "high")])
def test_the_range_reaches_farther_to_the_worse_side(draw: Callable[[int], Answers], worse: str) -> None:
    answers = draw(1000)
    low, high = expected_range(answers, np.arange(1000) % 5, 500, is_shifted=False)
    reach = {"low": answers.score() - low, "high": high - answers.score()}
    assert reach[worse] == pytest.approx(1.38 * min(reach.values()), rel=0.01)


def test_folds_that_differ_beyond_chance_widen_the_range_where_test_is_shifted_too() -> None:
    fold = np.arange(1000) % 5
    truth = RANDOM.integers(0, 2, 1000)
    right = RANDOM.random(1000) < np.array([0.95, 0.5, 0.9, 0.6, 0.8])[fold]
    answers = Answers(METRICS["accuracy"], (truth,), (np.where(right, truth, 1 - truth),))
    plain = expected_range(answers, fold, 1000, is_shifted=False)
    shifted = expected_range(answers, fold, 1000, is_shifted=True)
    assert shifted[0] < plain[0] - 0.2
    assert shifted[1] == 1.0


def test_a_test_set_that_is_told_from_train_widens_the_range() -> None:
    answers = values(1000)
    widths = []
    for auc in (None, 0.5, 0.6, 0.8, 1.0):
        low, high = expected_range(answers, np.arange(1000) % 5, 2000, is_shifted=False, adversarial_auc=auc)
        widths.append(high - low)
    assert widths[0] == widths[1]
    assert widths[1] < widths[2] < 1.1 * widths[1]
    assert 1.5 * widths[1] < widths[3] < widths[4]


@pytest.mark.parametrize("auc", [0.55, 0.7, 0.85])
def test_the_share_of_rows_like_test_is_that_of_rows_weighted_by_their_likelihood(auc: float) -> None:
    distance = np.sqrt(2) * NormalDist().inv_cdf(auc)
    # Rows of train lie around 0, those of test around the distance: the likelihood ratio of a row is known.
    weights = np.exp(distance * RANDOM.normal(size=2_000_000) - distance**2 / 2)
    kish = weights.sum() ** 2 / (weights**2).sum() / len(weights)
    assert share_like_test(auc, 2_000_000) == pytest.approx(kish, rel=0.1)


def test_a_range_from_few_folds_reaches_as_far_as_students_t() -> None:
    assert student_95(1e9) == pytest.approx(1.96, abs=1e-3)
    assert student_95(4) == 2.776
    assert student_95(20) == pytest.approx(2.086, abs=0.01)
    assert student_95(1) == student_95(2) == 4.303
    hits = 0
    for _ in range(200):
        shift = 0.3 * RANDOM.normal(size=6)
        fold = np.arange(1000) % 5
        errors = 1 + shift[fold] + 0.1 * RANDOM.normal(size=1000)
        answers = Answers(METRICS["mae"], (np.zeros(1000),), (errors,))
        low, high = expected_range(answers, fold, 1000, is_shifted=True)
        hits += low <= np.abs(1 + shift[5] + 0.1 * RANDOM.normal(size=1000)).mean() <= high
    # With a true coverage of .95, fewer than 181 of 200 happen once in 150 times.
    assert hits >= 181


def test_the_range_keeps_to_what_the_metric_can_be() -> None:
    low, high = expected_range(labels(50, share_right=0.99), np.arange(50) % 5, 20, is_shifted=False)
    assert high == 1.0
    low, _ = expected_range(values(30), np.arange(30) % 5, 3, is_shifted=False)
    assert low >= 0.0


def test_a_fold_without_a_positive_row_has_no_score() -> None:
    truth = np.array([0, 1, 0, 1, 0, 0])
    answers = Answers(METRICS["roc_auc"], (truth,), (np.arange(6.0),))
    assert len(fold_scores(answers, np.array([0, 0, 1, 1, 2, 2]))) == 2


def test_the_same_answers_give_the_same_range() -> None:
    answers = chances(700)
    fold = np.arange(700) % 5
    assert expected_range(answers, fold, 300, is_shifted=True) == expected_range(answers, fold, 300, is_shifted=True)


def _rival(answers: Answers, noise: float) -> Answers:
    return Answers(answers.metric, answers.truths, (answers.decided[0] + noise * RANDOM.normal(size=len(answers)),))


def test_a_pair_is_told_apart_more_finely_than_two_scores_alone() -> None:
    better = chances(4000)
    worse = _rival(better, 0.4)
    found = compare(better, worse)
    assert found.error < bootstrap_deviation(better)
    assert found.gain > 0
    assert not found.is_noise
    assert found.verdict.startswith("better by")
    assert compare(worse, better).verdict.startswith("worse by")


def test_a_gain_inside_the_noise_is_called_noise() -> None:
    truth, signal = np.array([0, 1] * 50), np.arange(100.0)
    rival = signal.copy()
    rival[[40, 43]] = signal[[43, 40]]
    auc = METRICS["roc_auc"]
    found = compare(Answers(auc, (truth,), (rival,)), Answers(auc, (truth,), (signal,)))
    assert found.gain != 0
    assert found.is_noise
    assert "inside the noise" in found.verdict


def test_equal_answers_differ_by_nothing() -> None:
    answers = chances(500)
    found = compare(answers, answers)
    assert (found.gain, found.error, found.errors) == (0.0, 0.0, 0.0)
    assert found.is_noise


def test_less_is_better_for_errors() -> None:
    answers = values(2000)
    worse = Answers(answers.metric, answers.truths, (answers.decided[0] * 1.5,))
    assert compare(answers, worse).gain > 0


def test_equivalent_models_are_told_apart_in_one_of_twenty_cases_at_most() -> None:
    false_alarms = 0
    for _ in range(40):
        answers = chances(600)
        first, second = _rival(answers, 0.5), _rival(answers, 0.5)
        false_alarms += not compare(first, second).is_noise
    assert false_alarms <= 7
