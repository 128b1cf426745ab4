"""How sure a score is; this file bounds the score to expect on the test set.

Two things move it: the rows that happened to be in train, shown by a bootstrap of out-of-fold rows, and the rows that
happen to be in test, of which there are as many as test has. Fold spread alone is too narrow by far. Few rows of train
also mislead all folds alike, which a bootstrap does not see. Where test is unlike train, fewer rows of train stand for
it; where it belongs to other groups or times, folds are few to tell from.
"""

from __future__ import annotations

import math
from statistics import NormalDist

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
# Two-sided 95 % points of Student's t by degrees of freedom; between them it is nearly linear in 1 / freedom. Less than
# two is not assumed: a range of thirteen deviations says nothing.
STUDENT_95 = {2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 8: 2.306, 10: 2.228, 15: 2.131, 30: 2.042}
# Up to so many rows mislead all folds alike in full, more of them less so. Learners of two kinds on made-up tables of
# seven shapes: the bootstrap's variance is short by 1.2 of itself with 150 rows, by .7 with 500 and 1,000, by none with
# 3,000.
ROWS_THAT_MISLEAD = 500
FEWEST_ROWS = 10
MOST_AUC = 0.99


def bootstrap_deviation(answers: Answers, baseline: Answers | None = None) -> float:
    """Return the standard deviation of the score, or of its difference to ``baseline`` on the same rows.

    Rows are drawn with replacement; the same answers give the same value.
    """
    rows, elsewhere = len(answers), answers.metric.score_pairs is not None
    replicates, most_rows = (REPLICATES_ELSEWHERE, MOST_ROWS_ELSEWHERE) if elsewhere else (REPLICATES, MOST_ROWS)
    random = np.random.default_rng(rows)
    pool = np.arange(rows) if rows <= most_rows else random.choice(rows, most_rows, replace=False)
    samples = [pool[random.integers(0, len(pool), len(pool))] for _ in range(replicates)]
    deviation = _deviation(answers, baseline, samples)
    if len(pool) < rows and not deviation > 0:
        # The few rows on which the score turns may all lie outside of the pool.
        samples = [random.integers(0, rows, len(pool)) for _ in range(replicates)]
        deviation = _deviation(answers, baseline, samples)
    return float(deviation * np.sqrt(len(pool) / rows))


def _deviation(answers: Answers, baseline: Answers | None, samples: list[Integers]) -> float:
    """Return the standard deviation of the score of samples, NaN where hardly any of them has one."""
    scores = np.array(answers.scores(samples)) - np.array(baseline.scores(samples) if baseline else 0.0)
    known = scores[np.isfinite(scores)]
    return float(known.std()) if len(known) > 1 else float("nan")


def expected_range(
    answers: Answers, fold_of_row: Integers, test_rows: int, *, is_shifted: bool, adversarial_auc: float | None = None
) -> tuple[float, float]:
    """Return the bounds between which the score on the test set lies with 95 %; the worse side reaches farther.

    ``is_shifted`` says that test rows belong to other groups or times than train rows: then what sets one fold apart
    from the others, beyond chance, sets test apart as well. Else ``adversarial_auc`` says how surely a model tells
    test from train.
    """
    score, deviation, rows = answers.score(), bootstrap_deviation(answers), len(answers)
    if not np.isfinite(deviation):
        deviation = 0.0
    alike = 1.0 if is_shifted else share_like_test(adversarial_auc or 0.5, rows)
    misled = misled_variance(rows, len(np.unique(fold_of_row)))
    variance = deviation**2 * ((1 + misled) / alike + rows / max(1, test_rows))
    reach = NORMAL_95
    if is_shifted:
        between, folds = _variance_between(answers, fold_of_row, deviation)
        variance += between
        # Source: Satterthwaite 1946, the freedom of a sum of variances of which one has folds - 1.
        reach = student_95((folds - 1) * (variance / between) ** 2) if between > 0 else NORMAL_95
    total = float(np.sqrt(variance))
    up, down = reach * total, (reach + OPTIMISM) * total
    if not answers.metric.greater_is_better:
        up, down = down, up
    return _bounded(answers, score - down), _bounded(answers, score + up)


def misled_variance(rows: int, folds: int) -> float:
    """Return the variance that the folds' models have in common, in units of that of drawing the rows: at most 2.

    Any two folds share most of the rows that train them, so that scores of out-of-fold rows are not independent.
    Source: Nadeau and Bengio 2003, "Inference for the generalization error": the rows of a fold over those that train,
    for each of the folds; here fading as rows grow many.
    """
    return folds / max(1, folds - 1) * min(1.0, ROWS_THAT_MISLEAD / max(1, rows))


def share_like_test(auc: float, rows: int) -> float:
    """Return which share of the train rows stands for test, where a model tells the two apart with this AUC.

    It is the effective share of rows weighted by how much likelier each is in test, if the model's scores are normal:
    exp(-d²) for means that are d deviations apart, of which the AUC is Phi(d / sqrt 2). Source: Kish 1965, "Survey
    Sampling", 11.7, for the share; Green and Swets 1966, "Signal Detection Theory", for the distance.
    """
    distance = math.sqrt(2) * NormalDist().inv_cdf(min(max(auc, 0.5), MOST_AUC))
    return max(math.exp(-(distance**2)), min(1.0, FEWEST_ROWS / max(1, rows)))


def student_95(freedom: float) -> float:
    """Return the two-sided 95 % point of Student's t."""
    inverse = [0.0, *(1 / known for known in reversed(STUDENT_95))]
    return float(np.interp(1 / max(freedom, 2.0), inverse, [NORMAL_95, *reversed(STUDENT_95.values())]))


def _variance_between(answers: Answers, fold_of_row: Integers, deviation: float) -> tuple[float, int]:
    """Return the variance of a new fold's score beyond that of drawing its rows, and from how many folds it is.

    Source: DerSimonian and Laird 1986, the moment estimate of the variance between studies; the mean of the folds is
    one of them, so a new one is farther from it.
    """
    scores = fold_scores(answers, fold_of_row)
    if len(scores) < 2:
        return 0.0, len(scores)
    by_chance = deviation**2 * len(scores)
    between = max(0.0, float(np.var(scores, ddof=1)) - by_chance)
    return between * (1 + 1 / len(scores)), len(scores)


def fold_scores(answers: Answers, fold_of_row: Integers) -> tuple[float, ...]:
    """Return the score of each fold in order; folds in which the metric is not defined are left out."""
    rows = [np.flatnonzero(fold_of_row == fold) for fold in np.unique(fold_of_row)]
    return tuple(score for score in answers.scores(rows) if np.isfinite(score))


def _bounded(answers: Answers, score: float) -> float:
    low, high = answers.metric.lowest, answers.metric.highest
    return float(np.clip(score, -np.inf if low is None else low, np.inf if high is None else high))
