"""Many candidates as one; this file finds the combination that should do best on rows that nobody has seen.

Three methods compete: the best single candidate, the mean of the best five, and bagged greedy selection. Each is
fitted on all folds but one and judged on that one, by the smooth loss behind the metric.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from autokaggle.records import Ensemble, Member, Plan
from autokaggle.skills.scoring.decision_rules import fit_rule
from autokaggle.skills.scoring.evaluator import Evaluation, judge
from autokaggle.skills.scoring.folds import Folds
from autokaggle.skills.scoring.model_weights import bagged_greedy, best_single, mean_of_best
from autokaggle.skills.scoring.surrogate import Surrogate, make_surrogate
from autokaggle.skills.scoring.truth import Truth
from autokaggle.templates.ensemble.blend import blend

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Method = Literal["single", "mean", "greedy"]

METHODS: dict[Method, Callable[[Surrogate, Floats], Floats]] = {
    "single": best_single,
    "mean": mean_of_best,
    "greedy": bagged_greedy,
}
# A smaller weight changes next to nothing and costs a whole model when the pipeline is run again.
LEAST_WEIGHT = 0.01
MOST_ROWS = 50_000


@dataclass(frozen=True)
class Blend:
    """The chosen combination, and the evaluation of it.

    ``evaluation.oof`` and ``.test`` are blended with the published weights; its score and answers are those of blends
    whose weights and rule did not see the row. ``losses`` are the honest losses of all methods.
    """

    ensemble: Ensemble
    evaluation: Evaluation
    losses: dict[Method, float]

    @property
    def test(self) -> Floats:
        """The blended predictions of the test rows, in order."""
        return self.evaluation.test


def build_ensemble(plan: Plan, truth: Truth, folds: Folds, evaluations: Mapping[str, Evaluation]) -> Blend:
    """Combine the evaluated candidates, at least one; ``evaluations`` are by candidate id.

    The same candidates give the same ensemble, whatever their order.
    """
    names = sorted(evaluations, key=lambda name: (len(name), name))
    members = [evaluations[name] for name in names]
    rows = members[0].rows
    surrogate, evidence, sample = _evidence(make_surrogate(plan, truth.values[rows]), members)
    fold_of_row = folds.by_repeat[0, rows]
    honest = {method: _weights_by_fold(method, surrogate, evidence, fold_of_row[sample]) for method in METHODS}
    losses = {method: _honest_loss(honest[method], surrogate, evidence, fold_of_row[sample]) for method in METHODS}
    method = min(METHODS, key=lambda each: losses[each])
    weights = _without_crumbs(METHODS[method](surrogate, evidence))
    chosen = np.flatnonzero(weights)
    used, shares, scale = [members[place] for place in chosen.tolist()], weights[chosen].tolist(), surrogate.blend
    oof, test = (blend([getattr(each, part) for each in used], shares, scale) for part in ("oof", "test"))
    honest_oof = _blend_by_fold(honest[method], members, fold_of_row, scale)
    judged = judge(plan, truth, folds, rows, honest_oof, test)
    rule = fit_rule(plan, truth.values[rows], oof)
    ensemble = Ensemble(
        method=method if len(chosen) > 1 else "single",
        members=tuple(Member(candidate=names[place], weight=float(weights[place])) for place in chosen.tolist()),
        blend=scale,
        score=judged.score,
        rule=rule,
        correlation=_correlation(evidence[chosen]),
    )
    evaluation = Evaluation(score=judged.score, rule=rule, rows=rows, oof=oof, test=test, answers=judged.answers)
    return Blend(ensemble=ensemble, evaluation=evaluation, losses=losses)


def _evidence(surrogate: Surrogate, members: Sequence[Evaluation]) -> tuple[Surrogate, Floats, Integers]:
    """Return the loss and the members' evidence on all rows or, of very many, a fixed choice; and which rows."""
    rows = len(members[0].rows)
    sample = np.arange(rows, dtype=np.int64)
    if rows > MOST_ROWS:
        sample = np.sort(np.random.default_rng(rows).choice(sample, MOST_ROWS, replace=False))
    chosen = surrogate.on(sample)
    return chosen, np.stack([chosen.evidence(member.oof[sample]) for member in members]), sample


def _weights_by_fold(
    method: Method, surrogate: Surrogate, evidence: Floats, fold_of_row: Integers
) -> dict[int, Floats]:
    """Return for each fold the weights that the other folds' rows give."""
    numbers = [int(fold) for fold in np.unique(fold_of_row)]
    if len(numbers) < 2:
        return {fold: METHODS[method](surrogate, evidence) for fold in numbers}
    weights = {}
    for fold in numbers:
        others = np.flatnonzero(fold_of_row != fold)
        weights[fold] = _without_crumbs(METHODS[method](surrogate.on(others), evidence[:, others]))
    return weights


def _honest_loss(weights: Mapping[int, Floats], surrogate: Surrogate, evidence: Floats, fold_of_row: Integers) -> float:
    blended = np.empty(evidence.shape[1:])
    for fold, shares in weights.items():
        rows = fold_of_row == fold
        blended[rows] = np.tensordot(shares, evidence[:, rows], axes=1)
    return float(surrogate.losses(blended).mean())


def _blend_by_fold(
    weights: Mapping[int, Floats], members: Sequence[Evaluation], fold_of_row: Integers, scale: str
) -> Floats:
    blended = np.empty_like(members[0].oof)
    for fold, shares in weights.items():
        rows, chosen = fold_of_row == fold, np.flatnonzero(shares)
        parts = [members[place].oof[rows] for place in chosen.tolist()]
        blended[rows] = blend(parts, shares[chosen].tolist(), scale)
    return blended


def _without_crumbs(weights: Floats) -> Floats:
    kept: Floats = np.where(weights >= LEAST_WEIGHT, weights, 0.0)
    kept /= kept.sum()
    return kept


def _correlation(evidence: Floats) -> tuple[tuple[float, ...], ...]:
    """Return how alike the members' predictions are, 1 where they are the same."""
    flat = evidence.reshape(len(evidence), -1)
    centred = flat - flat.mean(axis=1, keepdims=True)
    lengths = np.sqrt(np.sum(centred**2, axis=1, keepdims=True))
    unit = np.divide(centred, lengths, out=np.zeros_like(centred), where=lengths > 0)
    return tuple(tuple(round(float(value), 4) for value in row) for row in unit @ unit.T)
