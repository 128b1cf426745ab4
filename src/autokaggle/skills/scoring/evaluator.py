"""The judge; this file scores what a candidate predicted, out of fold, and believes nothing else that it says.

The decision rule is fitted here, on out-of-fold predictions; the score is that of answers whose rule was fitted
without them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from autokaggle.errors import CompetitionUnusable
from autokaggle.records.candidate import Score
from autokaggle.records.plan import Plan
from autokaggle.skills.scoring.answers import Answers
from autokaggle.skills.scoring.constant import constant_predictions
from autokaggle.skills.scoring.decision_rules import Rule, cross_fit, fit_rule
from autokaggle.skills.scoring.folds import Folds
from autokaggle.skills.scoring.information import check_information
from autokaggle.skills.scoring.intervals import expected_range, fold_scores
from autokaggle.skills.scoring.metrics import find_metric
from autokaggle.skills.scoring.prediction_files import InvalidPredictions, check_variation, read_predictions
from autokaggle.skills.scoring.truth import Truth, read_truth

__all__ = ["Evaluation", "InvalidPredictions", "Truth", "constant_evaluation", "evaluate", "judge", "read_truth"]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

SHIFTED_SCHEMES = ("group", "stratified_group", "time")


@dataclass(frozen=True)
class Evaluation:
    """What the judge found.

    ``rows`` are the train rows that were scored, ascending; ``oof`` their predictions, ``test`` those of the test
    rows in order, both (n_rows, prediction columns). ``answers`` are the cross-fitted decisions on ``rows``, ``rule``
    is fitted on all of them.
    """

    score: Score
    rule: Rule
    rows: Integers
    oof: Floats
    test: Floats
    answers: Answers


def evaluate(
    plan: Plan, truth: Truth, folds: Folds, oof_path: Path, test_predictions_path: Path, test_rows: int
) -> Evaluation:
    """Score the prediction files of a candidate.

    Raises:
        InvalidPredictions: the files break the candidate contract, or know nothing of the rows that they are for.
    """
    validated = folds.validated_rows
    oof = read_predictions(oof_path, plan, validated)
    test = read_predictions(test_predictions_path, plan, np.arange(test_rows, dtype=np.int64))
    known = truth.is_known[validated]
    if len(np.unique(truth.values[validated[known]], axis=0)) > 1:
        check_variation(oof_path.name, plan, oof)
        check_variation(test_predictions_path.name, plan, test)
    evaluation = judge(plan, truth, folds, validated[known], oof[known], test)
    check_information(oof_path.name, plan, truth.values[evaluation.rows], evaluation.oof)
    return evaluation


def judge(plan: Plan, truth: Truth, folds: Folds, rows: Integers, oof: Floats, test: Floats) -> Evaluation:
    """Score predictions of the train rows ``rows`` that did not see their own labels.

    Raises:
        InvalidPredictions: the metric is not defined for them.
    """
    values, fold_of_row = truth.values[rows], folds.by_repeat[0, rows]
    with np.errstate(all="ignore"):  # what overflows is not finite, and told below
        answers = cross_fit(plan, values, oof, fold_of_row)
        score = answers.score()
    if not np.isfinite(score):
        raise InvalidPredictions(f"{plan.metric} is not defined for these predictions")
    return Evaluation(
        score=_score(plan, answers, fold_of_row, len(test)),
        rule=fit_rule(plan, values, oof),
        rows=rows,
        oof=oof,
        test=test,
        answers=answers,
    )


def constant_evaluation(plan: Plan, truth: Truth, folds: Folds, test_rows: int) -> Evaluation:
    """Score the best answer that is the same for all rows: what a candidate must beat.

    Raises:
        CompetitionUnusable: the metric is not defined for this target, for instance because all labels are the same.
    """
    rows = _scored_rows(truth, folds)
    row = constant_predictions(plan, truth.values[rows])
    try:
        return judge(plan, truth, folds, rows, np.tile(row, (len(rows), 1)), np.tile(row, (test_rows, 1)))
    except InvalidPredictions as error:
        raise CompetitionUnusable(
            f"{plan.metric} is not defined for the values of {', '.join(plan.target_columns)}; do they vary at all?",
            "Check the target column, or choose another --metric.",
        ) from error


def _scored_rows(truth: Truth, folds: Folds) -> Integers:
    validated = folds.validated_rows
    return validated[truth.is_known[validated]]


def _score(plan: Plan, answers: Answers, fold_of_row: Integers, test_rows: int) -> Score:
    """``mean`` is over all rows at once, as a test set is scored; ``std`` is that of the folds."""
    by_fold = fold_scores(answers, fold_of_row)
    is_shifted = plan.validation.scheme in SHIFTED_SCHEMES
    low, high = expected_range(
        answers, fold_of_row, test_rows, is_shifted=is_shifted, adversarial_auc=plan.validation.adversarial_auc
    )
    return Score(
        metric=plan.metric,
        greater_is_better=find_metric(plan.metric).greater_is_better,
        mean=answers.score(),
        std=float(np.std(by_fold, ddof=1)) if len(by_fold) > 1 else 0.0,
        folds=by_fold,
        low=low,
        high=high,
    )
