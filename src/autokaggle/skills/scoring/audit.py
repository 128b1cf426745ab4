"""A second look before a candidate may win; this file says whether its score survives without the labels at hand.

The candidate has been run once more on an input in which one fold's labels do not exist (``sealing``). Honest code
predicts that fold as it did before, but for chance; code that had seen the labels does not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from autokaggle.records.candidate import Check
from autokaggle.records.plan import Plan
from autokaggle.skills.scoring.answers import Answers, true_answers
from autokaggle.skills.scoring.comparison import compare, mean_in_errors
from autokaggle.skills.scoring.constant import constant_predictions
from autokaggle.skills.scoring.decision_rules import apply_rule, fit_rule
from autokaggle.skills.scoring.evaluator import Evaluation
from autokaggle.skills.scoring.folds import Folds
from autokaggle.skills.scoring.metrics import find_metric
from autokaggle.skills.scoring.surrogate import make_surrogate
from autokaggle.skills.scoring.truth import Truth

Floats = npt.NDArray[np.float64]

# By chance a loss on the same rows differs so much once in thousands of honest candidates.
LEAK_ERRORS = 4.0
# Training again moves every prediction a little; less than this share of the loss is no leak worth the name.
LEAST_RISE = 0.02
# Of a constant's loss so little is left only where the target is all but given.
NEARLY_PERFECT = 0.1
MOST_DRIFT = 0.25


@dataclass(frozen=True)
class Audit:
    """Scores of one fold: as it was handed in, and as predicted without its labels.

    ``loss_rise`` is how much larger the smooth loss is without the labels, as a share; ``errors`` the same in standard
    errors. ``drifting`` names the prediction columns whose distribution in test is unlike that out of fold.
    """

    fold: int
    score: float
    sealed_score: float
    loss_rise: float
    errors: float
    drifting: tuple[str, ...] = ()

    @property
    def is_leaking(self) -> bool:
        """Tell whether the score rests on labels that the code should not have had."""
        return self.errors > LEAK_ERRORS and self.loss_rise > LEAST_RISE

    @property
    def verdict(self) -> str:
        """Say it in a sentence."""
        scores = f"fold {self.fold} scores {self.score:.5g}, and {self.sealed_score:.5g} when its labels are absent"
        if self.is_leaking:
            return f"leaking: {scores}; the loss is {self.loss_rise:.0%} larger, {self.errors:.1f} standard errors"
        return f"honest: {scores}"


def audit(plan: Plan, truth: Truth, folds: Folds, evaluation: Evaluation, fold: int, sealed: Floats) -> Audit:
    """Compare predictions of the rows of ``fold``, ascending, that were made without their labels with those scored."""
    rows = folds.rows_of(fold)
    sealed = sealed[truth.is_known[rows]]
    rows = rows[truth.is_known[rows]]
    inside = np.isin(evaluation.rows, rows)
    rule = fit_rule(plan, truth.values[evaluation.rows[~inside]], evaluation.oof[~inside])
    goals, metric = truth.values[rows], find_metric(plan.metric)
    before, after = (
        Answers(metric, true_answers(plan, metric, goals), apply_rule(plan, rule, values))
        for values in (evaluation.oof[inside], sealed)
    )
    as_handed_in, without_labels = _losses(plan, goals, evaluation.oof[inside], sealed)
    return Audit(
        fold=fold,
        score=before.score(),
        sealed_score=after.score(),
        loss_rise=_share(without_labels - as_handed_in, as_handed_in),
        errors=max(mean_in_errors(without_labels - as_handed_in), -compare(after, before).errors),
        drifting=drifting_columns(plan, evaluation),
    )


def beats_chance(plan: Plan, truth: Truth, folds: Folds, fold: int, predictions: Floats) -> Check:
    """Judge predictions of a fold's rows by code whose labels to learn from were shuffled: they can know nothing."""
    rows = folds.rows_of(fold)
    known = truth.is_known[rows]
    goals = truth.values[rows[known]]
    own, constant = _losses(plan, goals, predictions[known], _constant(plan, goals))
    share = _share(constant - own, constant)
    if mean_in_errors(constant - own) > LEAK_ERRORS and share > LEAST_RISE:
        detail = (
            f"having learned from shuffled labels it still saves {share:.0%} of the loss: it finds labels elsewhere"
        )
        return Check(name="shuffled target", status="leak", detail=detail)
    return Check(name="shuffled target", status="ok", detail="learning from shuffled labels predicts nothing")


def is_suspicious(plan: Plan, truth: Truth, evaluation: Evaluation) -> bool:
    """Say whether predictions leave so little of a constant's loss that one should ask where they have it from."""
    goals = truth.values[evaluation.rows]
    own, constant = _losses(plan, goals, evaluation.oof, _constant(plan, goals))
    return bool(own.mean() < NEARLY_PERFECT * constant.mean())


def drifting_columns(plan: Plan, evaluation: Evaluation) -> tuple[str, ...]:
    """Name the prediction columns whose values in test are distributed unlike those out of fold.

    Test may well differ from train; a distance this large more often means that test was prepared differently.
    """
    distances = [
        _largest_gap(evaluation.oof[:, place], evaluation.test[:, place]) for place in range(evaluation.oof.shape[1])
    ]
    return tuple(name for name, gap in zip(plan.prediction_columns, distances, strict=True) if gap > MOST_DRIFT)


def _losses(plan: Plan, goals: Floats, *predictions: Floats) -> list[Floats]:
    """Return the smooth loss of each row, once for each of the predictions (n_rows, prediction columns)."""
    surrogate = make_surrogate(plan, goals)
    return [surrogate.losses(surrogate.evidence(values)) for values in predictions]


def _constant(plan: Plan, goals: Floats) -> Floats:
    """Return the best predictions that are the same for all rows."""
    return np.tile(constant_predictions(plan, goals), (len(goals), 1))


def _share(change: Floats, losses: Floats) -> float:
    """Return the mean change as a share of the mean loss, which may be 0."""
    return float(change.mean() / max(float(losses.mean()), np.finfo(np.float64).tiny))


def _largest_gap(left: Floats, right: Floats) -> float:
    """Return the Kolmogorov-Smirnov distance: the largest difference of the two cumulative shares."""
    both = np.concatenate([left, right])
    shares = [np.searchsorted(np.sort(side), both, side="right") / len(side) for side in (left, right)]
    return float(np.max(np.abs(shares[0] - shares[1])))
