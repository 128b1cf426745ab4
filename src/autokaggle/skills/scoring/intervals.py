"""How sure a score is; this file bounds the score to expect on the test set.

Two things move it: the rows that happened to be in train, shown by a bootstrap of out-of-fold rows, and the rows that
happen to be in test, of which there are as many as test has. Fold spread alone is too narrow by far.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from autokaggle.skills.scoring.answers import Answers

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

REPLICATES = 200
# A bootstrap of more rows costs time and tells no more: variance falls with the number of rows.
MOST_ROWS = 10_000
# A metric that runs in another process gets fewer and smaller samples.
REPLICATES_ELSEWHERE, MOST_ROWS_ELSEWHERE = 50, 2_000
NORMAL_95 = 1.959964
# Out-of-fold scores are a little too bright: the same rows chose when training stopped, the features and the models. On
# six public competitions the private score was worse by 1.1 deviations in the mean, and by at most 2.6.
OPTIMISM = 0.75


def bootstrap_deviation(answers: Answers, baseline: Answers | None = None) -> float:
    """Return the standard deviation of the score, or of its difference to ``baseline`` on the same rows.

    Rows are drawn with replacement; the same answers give the same value.
    """
    rows, elsewhere = len(answers), answers.metric.score_pairs is not None
    replicates, most_rows = (REPLICATES_ELSEWHERE, MOST_ROWS_ELSEWHERE) if elsewhere else (REPLICATES, MOST_ROWS)
    random = np.random.default_rng(rows)
    pool = np.arange(rows) if rows <= most_rows else random.choice(rows, most_rows, replace=False)
    samples = [pool[random.integers(0, len(pool), len(pool))] for _ in range(replicates)]
    scores = np.array(answers.scores(samples)) - np.array(baseline.scores(samples) if baseline else 0.0)
    known = scores[np.isfinite(scores)]
    return float(known.std() * np.sqrt(len(pool) / rows)) if len(known) > 1 else float("nan")


def expected_range(answers: Answers, fold_of_row: Integers, test_rows: int, *, is_shifted: bool) -> tuple[float, float]:
    """Return the bounds between which the score on the test set lies with 95 %; the worse side reaches farther.

    ``is_shifted`` says that test rows belong to other groups or times than train rows: then what sets one fold apart
    from the others, beyond chance, sets test apart as well.
    """
    score, deviation = answers.score(), bootstrap_deviation(answers)
    if not np.isfinite(deviation):
        deviation = 0.0
    variance = deviation**2 * (1 + len(answers) / max(1, test_rows))
    if is_shifted:
        variance += _variance_between(answers, fold_of_row, deviation)
    total = float(np.sqrt(variance))
    up, down = NORMAL_95 * total, (NORMAL_95 + OPTIMISM) * total
    if not answers.metric.greater_is_better:
        up, down = down, up
    return _bounded(answers, score - down), _bounded(answers, score + up)


def _variance_between(answers: Answers, fold_of_row: Integers, deviation: float) -> float:
    """Return the variance of folds' scores beyond that of drawing their rows.

    Source: DerSimonian and Laird 1986, the moment estimate of the variance between studies.
    """
    scores = fold_scores(answers, fold_of_row)
    if len(scores) < 2:
        return 0.0
    by_chance = deviation**2 * len(scores)
    return max(0.0, float(np.var(scores, ddof=1)) - by_chance)


def fold_scores(answers: Answers, fold_of_row: Integers) -> tuple[float, ...]:
    """Return the score of each fold in order; folds in which the metric is not defined are left out."""
    rows = [np.flatnonzero(fold_of_row == fold) for fold in np.unique(fold_of_row)]
    return tuple(score for score in answers.scores(rows) if np.isfinite(score))


def _bounded(answers: Answers, score: float) -> float:
    low, high = answers.metric.lowest, answers.metric.highest
    return float(np.clip(score, -np.inf if low is None else low, np.inf if high is None else high))
