"""Many candidates as one; this file finds the combination that should do best on rows that nobody has seen.

Four methods compete: a mean (of the best five, of the best of each family, and of bagged greedy selection), greedy
selection alone, a linear stack of many rows, and the best single candidate. Each is fitted on all folds but one and
judged on that one, by the smooth loss behind the metric; of those that are as good as the best but for noise the
steadiest is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from autokaggle.records.outcome import Ensemble, EnsembleMethod, Member
from autokaggle.records.plan import Plan
from autokaggle.skills.scoring.decision_rules import fit_rule
from autokaggle.skills.scoring.evaluator import Evaluation, judge
from autokaggle.skills.scoring.folds import Folds
from autokaggle.skills.scoring.model_weights import (
    bagged_greedy,
    best_single,
    is_as_good,
    linear_stack,
    mean_of_best,
    mean_of_families,
)
from autokaggle.skills.scoring.surrogate import Surrogate, make_surrogate
from autokaggle.skills.scoring.truth import Truth
from autokaggle.templates.ensemble.blend import blend

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
FitWeights = Callable[[Surrogate, Floats], Floats]
# Of all rows, and of all but those of each fold.
Fitted = dict[int | None, Floats]

# A smaller weight changes next to nothing and costs a whole model when the pipeline is run again.
LEAST_WEIGHT = 0.01
MOST_ROWS = 50_000
# Of fewer rows weights of either sign fit how the folds were drawn: what trains lacks what is held out.
FEWEST_ROWS_TO_STACK = 1_000


@dataclass(frozen=True)
class Blend:
    """The chosen combination, and the evaluation of it.

    ``evaluation.oof`` and ``.test`` are blended with the published weights; its score and answers are those of blends
    whose weights and rule did not see the row. ``losses`` are the honest losses of all methods that competed,
    ``own_losses`` are those of rows under the chosen one.
    """

    ensemble: Ensemble
    evaluation: Evaluation
    losses: dict[EnsembleMethod, float]
    own_losses: Floats

    @property
    def own_loss(self) -> float:
        """The honest loss of the chosen method."""
        return float(self.own_losses.mean())

    @property
    def test(self) -> Floats:
        """The blended predictions of the test rows, in order."""
        return self.evaluation.test

    @property
    def loss(self) -> float:
        """The least honest loss of any method: steadier than the score when ensembles are compared."""
        return min(self.losses.values())


@dataclass(frozen=True)
class _Entry:
    """A method, its weights (``by_fold`` from the other folds' rows, ``weights`` from all) and its honest losses."""

    method: EnsembleMethod
    surrogate: Surrogate
    by_fold: dict[int, Floats]
    weights: Floats
    losses: Floats


def build_ensemble(
    plan: Plan,
    truth: Truth,
    folds: Folds,
    evaluations: Mapping[str, Evaluation],
    families: Mapping[str, str] | None = None,
) -> Blend:
    """Combine the evaluated candidates, at least one; ``evaluations`` and ``families`` are by candidate id.

    Without ``families`` each candidate is one of its own. The same candidates give the same ensemble, whatever their
    order.
    """
    names = sorted(evaluations, key=lambda name: (len(name), name))
    members = [evaluations[name] for name in names]
    rows = members[0].rows
    fold_of_row = folds.by_repeat[0, rows]
    kinds = [(families or {}).get(name, name) for name in names]
    entries = list(_compete(make_surrogate(plan, truth.values[rows]), members, kinds, fold_of_row))
    least = min((entry.losses for entry in entries), key=lambda losses: float(losses.mean()))
    best = next(entry for entry in entries if is_as_good(entry.losses, least))
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
        chosen_from=tuple(names),
    )
    losses = {entry.method: float(entry.losses.mean()) for entry in entries}
    evaluation = Evaluation(score=judged.score, rule=rule, rows=rows, oof=oof, test=test, answers=judged.answers)
    return Blend(ensemble=ensemble, evaluation=evaluation, losses=losses, own_losses=best.losses)


def _compete(
    surrogate: Surrogate, members: Sequence[Evaluation], families: Sequence[str], fold_of_row: Integers
) -> Iterator[_Entry]:
    """Fit each method that suits the loss, on all rows or, of very many, on a fixed choice of them; steadiest first."""
    rows = len(fold_of_row)
    sample = np.arange(rows, dtype=np.int64)
    if rows > MOST_ROWS:
        sample = np.sort(np.random.default_rng(rows).choice(sample, MOST_ROWS, replace=False))
    surrogate, fold_of_row = surrogate.on(sample), fold_of_row[sample]
    predictions = [member.oof[sample] for member in members]
    evidence = np.stack([surrogate.evidence(each) for each in predictions])
    greedy, best_five, heads, single = (
        _fit(fit, surrogate, evidence, fold_of_row)
        for fit in (bagged_greedy, mean_of_best, partial(mean_of_families, families=families), best_single)
    )
    mean: Fitted = {fold: np.mean([each[fold] for each in (greedy, best_five, heads)], axis=0) for fold in greedy}
    yield _enter("mean", mean, surrogate, evidence, fold_of_row)
    yield _enter("greedy", greedy, surrogate, evidence, fold_of_row)
    smooth = surrogate.in_logits()
    if smooth.is_smooth and rows >= FEWEST_ROWS_TO_STACK:
        logits = np.stack([smooth.evidence(each) for each in predictions])
        yield _enter("stacker", _fit(linear_stack, smooth, logits, fold_of_row), smooth, logits, fold_of_row)
    yield _enter("single", single, surrogate, evidence, fold_of_row)


def _fit(fit: FitWeights, surrogate: Surrogate, evidence: Floats, fold_of_row: Integers) -> Fitted:
    """Return the weights from all rows, and for each fold those from the rows of the others."""
    weights: Fitted = {None: fit(surrogate, evidence)}
    numbers = [int(fold) for fold in np.unique(fold_of_row)]
    for fold in numbers:
        others = np.flatnonzero(fold_of_row != fold if len(numbers) > 1 else fold_of_row == fold)
        weights[fold] = fit(surrogate.on(others), evidence[:, others])
    return weights


def _enter(
    method: EnsembleMethod, fitted: Fitted, surrogate: Surrogate, evidence: Floats, fold_of_row: Integers
) -> _Entry:
    kept = {fold: _without_crumbs(weights) for fold, weights in fitted.items()}
    by_fold, blended = {}, np.empty(evidence.shape[1:])
    for fold, weights in kept.items():
        if fold is not None:
            inside = fold_of_row == fold
            blended[inside] = np.tensordot(weights, evidence[:, inside], axes=1)
            by_fold[fold] = weights
    return _Entry(method, surrogate, by_fold, kept[None], surrogate.losses(blended))


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
