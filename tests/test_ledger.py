"""The ledger says what differences between submissions are worth, and which to pick."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats  # type: ignore[import-untyped]

from autokaggle.records.outcome import SentSubmission
from autokaggle.skills.submission.ledger import Entry, make_ledger


def entry(
    ref: int, public: float | None, mean: float | None = None, half_width: float = 0.02, status: Any = "complete"
) -> Entry:
    sent = SentSubmission(ref=ref, description=f"run {ref}", status=status, public_score=public)
    if mean is None:
        return Entry(sent)
    return Entry(sent, run_id=f"run-{ref}", mean=mean, low=mean - half_width, high=mean + half_width)


def test_the_best_public_score_stands_first_whichever_way_is_better() -> None:
    entries = [entry(1, 0.70), entry(2, 0.80), entry(3, None, status="pending")]
    up = make_ledger(entries, greater_is_better=True)
    down = make_ledger(entries, greater_is_better=False)
    assert [each.sent.ref for each in up.entries] == [2, 1, 3]
    assert [each.sent.ref for each in down.entries] == [1, 2, 3]


def test_small_differences_are_noise_and_large_ones_are_not() -> None:
    ledger = make_ledger(
        [entry(1, 0.800, 0.80), entry(2, 0.795, 0.80), entry(3, 0.70, 0.71), entry(4, None)], greater_is_better=True
    )
    assert ledger.steps == (False, True, None)


def test_without_any_expectation_nothing_is_said_about_noise() -> None:
    ledger = make_ledger([entry(1, 0.8), entry(2, 0.7)], greater_is_better=True)
    assert ledger.steps == (None,)
    assert ledger.correlation is None


def test_a_public_score_outside_the_expected_bounds_is_told() -> None:
    assert entry(1, 0.80, 0.81).is_as_expected is True
    assert entry(1, 0.70, 0.81).is_as_expected is False
    assert entry(1, None, 0.81).is_as_expected is None
    assert entry(1, 0.80).is_as_expected is None


def test_the_correlation_is_that_of_the_ranks() -> None:
    random = np.random.default_rng(0)
    public, expected = random.random(12), np.round(random.random(12), 1)
    ledger = make_ledger(
        [entry(n, float(public[n]), float(expected[n])) for n in range(12)] + [entry(99, 0.5)], greater_is_better=True
    )
    assert ledger.correlation == pytest.approx(stats.spearmanr(public, expected).statistic, abs=1e-3)


def test_two_pairs_are_too_few_for_a_correlation_and_equal_scores_have_none() -> None:
    two = [entry(1, 0.8, 0.8), entry(2, 0.7, 0.7)]
    assert make_ledger(two, greater_is_better=True).correlation is None
    same = [entry(n, 0.8, 0.1 * n) for n in range(4)]
    assert make_ledger(same, greater_is_better=True).correlation is None


def test_the_best_expectation_and_the_best_public_score_are_picked() -> None:
    ledger = make_ledger([entry(1, 0.82, 0.80), entry(2, 0.80, 0.83), entry(3, 0.85)], greater_is_better=True)
    assert [pick.ref for pick in ledger.picks] == [2, 3]
    assert "0.83" in ledger.picks[0].why
    assert "0.85" in ledger.picks[1].why


def test_one_submission_that_is_best_in_both_is_picked_once() -> None:
    ledger = make_ledger([entry(1, 0.1, 0.1), entry(2, 0.2, 0.2)], greater_is_better=False)
    assert [pick.ref for pick in ledger.picks] == [1, 2]


def test_refused_and_unscored_submissions_are_not_picked() -> None:
    ledger = make_ledger([entry(1, None, status="error"), entry(2, None, status="pending")], greater_is_better=True)
    assert ledger.picks == ()
