"""Many candidates as one; this file finds the combination that should do best on rows that nobody has seen.

Four methods compete: the best single candidate, the mean of the best five, bagged greedy selection, and a linear stack.
Each is fitted on all folds but one and judged on that one, by the smooth loss behind the metric.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from autokaggle.records import Ensemble, Member, Plan
from autokaggle.skills.scoring.decision_rules import fit_rule
from autokaggle.skills.scoring.evaluator import Evaluation, judge
from autokaggle.skills.scoring.folds import Folds
from autokaggle.skills.scoring.model_weights import bagged_greedy, best_single, linear_stack, mean_of_best
from autokaggle.skills.scoring.surrogate import Surrogate, make_surrogate
from autokaggle.skills.scoring.truth import Truth
from autokaggle.templates.ensemble.blend import blend

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Method = Literal["single", "mean", "greedy", "stacker"]
FitWeights = Callable[[Surrogate, Floats], Floats]

# A smaller weight changes next to nothing and costs a whole model when the pipeline is run again.
LEAST_WEIGHT = 0.01
MOST_ROWS = 50_000


@dataclass(frozen=True)
class Blend:
    """The chosen combination, and the evaluation of it.

    ``evaluation.oof`` and ``.test`` are blended with the published weights; its score and answers are those of blends
    whose weights and rule did not see the row. ``losses`` are the honest losses of all methods that competed.
    """

    ensemble: Ensemble
    evaluation: Evaluation
    losses: dict[Method, float]

    @property
    def test(self) -> Floats:
        """The blended predictions of the test rows, in order."""
        return self.evaluation.test

    @property
    def loss(self) -> float:
        """The honest loss of the chosen method: steadier than the score when ensembles are compared."""
        return min(self.losses.values())


@dataclass(frozen=True)
class _Entry:
    """A method, its weights (``by_fold`` from the other folds' rows, ``weights`` from all) and its honest losses."""

    method: Method
    surrogate: Surrogate
    by_fold: dict[int, Floats]
    weights: Floats
    losses: Floats

    @property
    def loss(self) -> float:
        return float(self.losses.mean())


def build_ensemble(plan: Plan, truth: Truth, folds: Folds, evaluations: Mapping[str, Evaluation]) -> Blend:
    """Combine the evaluated candidates, at least one; ``evaluations`` are by candidate id.

    The same candidates give the same ensemble, whatever their order.
    """
    names = sorted(evaluations, key=lambda name: (len(name), name))
    members = [evaluations[name] for name in names]
    rows = members[0].rows
    fold_of_row = folds.by_repeat[0, rows]
    entries = list(_compete(make_surrogate(plan, truth.values[rows]), members, fold_of_row))
    best = min(entries, key=lambda entry: entry.loss)
    chosen: list[int] = np.flatnonzero(best.weights).tolist()
    used, shares, scale = [members[place] for place in chosen], best.weights[chosen].tolist(), best.surrogate.blend
    oof, test = (blend([getattr(each, part) for each in used], shares, scale) for part in ("oof", "test"))
    judged = judge(plan, truth, folds, rows, _blend_by_fold(best, members, fold_of_row), test)
    rule = fit_rule(plan, truth.values[rows], oof)
    ensemble = Ensemble(
        method=best.method if len(chosen) > 1 else "single",
        members=tuple(Member(candidate=names[place], weight=float(best.weights[place])) for place in chosen),
        blend=scale,
        score=judged.score,
        rule=rule,
        correlation=_correlation([each.oof for each in used]),
    )
    evaluation = Evaluation(score=judged.score, rule=rule, rows=rows, oof=oof, test=test, answers=judged.answers)
    return Blend(ensemble=ensemble, evaluation=evaluation, losses={entry.method: entry.loss for entry in entries})


def _compete(surrogate: Surrogate, members: Sequence[Evaluation], fold_of_row: Integers) -> Iterator[_Entry]:
    """Fit each method that suits the loss, on all rows or, of very many, on a fixed choice of them."""
    rows = len(fold_of_row)
    sample = np.arange(rows, dtype=np.int64)
    if rows > MOST_ROWS:
        sample = np.sort(np.random.default_rng(rows).choice(sample, MOST_ROWS, replace=False))
    surrogate, fold_of_row = surrogate.on(sample), fold_of_row[sample]
    predictions = [member.oof[sample] for member in members]
    methods: dict[Method, FitWeights] = {"single": best_single, "mean": mean_of_best, "greedy": bagged_greedy}
    evidence = np.stack([surrogate.evidence(each) for each in predictions])
    for method, fit in methods.items():
        yield _enter(method, fit, surrogate, evidence, fold_of_row)
    smooth = surrogate.in_logits()
    if smooth.is_smooth:
        evidence = np.stack([smooth.evidence(each) for each in predictions])
        yield _enter("stacker", linear_stack, smooth, evidence, fold_of_row)


def _enter(method: Method, fit: FitWeights, surrogate: Surrogate, evidence: Floats, fold_of_row: Integers) -> _Entry:
    by_fold, blended = {}, np.empty(evidence.shape[1:])
    numbers = [int(fold) for fold in np.unique(fold_of_row)]
    for fold in numbers:
        inside = fold_of_row == fold
        others = np.flatnonzero(~inside if len(numbers) > 1 else inside)
        by_fold[fold] = _without_crumbs(fit(surrogate.on(others), evidence[:, others]))
        blended[inside] = np.tensordot(by_fold[fold], evidence[:, inside], axes=1)
    losses = surrogate.losses(blended)
    return _Entry(method, surrogate, by_fold, _without_crumbs(fit(surrogate, evidence)), losses)


def _blend_by_fold(entry: _Entry, members: Sequence[Evaluation], fold_of_row: Integers) -> Floats:
    """Blend each fold's rows with weights that the other folds' rows gave."""
    blended = np.empty_like(members[0].oof)
    for fold, weights in entry.by_fold.items():
        rows, chosen = fold_of_row == fold, np.flatnonzero(weights)
        parts = [members[place].oof[rows] for place in chosen.tolist()]
        blended[rows] = blend(parts, weights[chosen].tolist(), entry.surrogate.blend)
    return blended


def _without_crumbs(weights: Floats) -> Floats:
    kept: Floats = np.where(np.abs(weights) >= LEAST_WEIGHT, weights, 0.0)
    kept /= kept.sum()
    return kept


def _correlation(predictions: Sequence[Floats]) -> tuple[tuple[float, ...], ...]:
    """Return how alike the members' predictions are, 1 where they are the same."""
    flat = np.stack([each.ravel() for each in predictions])
    centred = flat - flat.mean(axis=1, keepdims=True)
    lengths = np.sqrt(np.sum(centred**2, axis=1, keepdims=True))
    unit = np.divide(centred, lengths, out=np.zeros_like(centred), where=lengths > 0)
    return tuple(tuple(round(float(value), 4) for value in row) for row in unit @ unit.T)
