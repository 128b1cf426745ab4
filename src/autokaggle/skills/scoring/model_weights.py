"""Weights of models; this file holds the ways to choose them, on evidence and the smooth loss alone.

Evidence is (models, n_rows, targets) as ``Surrogate.evidence`` gives it. Weights are (models,) and add up to 1; only
those of the linear stack may be negative.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from autokaggle.skills.scoring.surrogate import Surrogate

Floats = npt.NDArray[np.float64]

BAGS = 10
ROUNDS = 12
ROWS_IN_BAG = 0.6
MOST_ROWS_IN_BAG = 6_000
MOST_MODELS = 25
MEAN_OF = 5
CLEARLY = 2.0
RIDGE = 0.003
MOST_STEPS = 15
SMALLEST_STEP = 1e-7


def best_single(surrogate: Surrogate, evidence: Floats) -> Floats:
    """Give all weight to the earliest model that is as good as the one with the least loss, but for noise.

    Models come in the order in which they were tried: the quickest and simplest first.
    """
    losses = [surrogate.losses(each) for each in evidence]
    best = min(losses, key=lambda each: float(each.mean()))
    first = next(place for place, each in enumerate(losses) if is_as_good(each, best))
    return _equal(np.array([first], dtype=np.int64), len(evidence))


def is_as_good(losses: Floats, best: Floats, errors: float = 1.0) -> bool:
    """Say whether losses of the same rows exceed those of the best by less than so many standard errors.

    Source: Breiman, Friedman, Olshen, Stone 1984, "Classification and Regression Trees", the 1 SE rule; here paired.
    """
    excess = losses - best
    return bool(excess.mean() <= errors * excess.std() / np.sqrt(len(excess)))


def mean_of_best(surrogate: Surrogate, evidence: Floats) -> Floats:
    """Give the best five models the same weight, less those that are worse than the best beyond noise."""
    return _equal(_good(surrogate, evidence, _by_loss(surrogate, evidence)[:MEAN_OF]), len(evidence))


def mean_of_families(surrogate: Surrogate, evidence: Floats, families: Sequence[str]) -> Floats:
    """Give the best model of each family the same weight, less those that are worse than the best beyond noise.

    Which of several models alike is best is near random where rows are few; models of different kinds err differently.
    """
    order = _by_loss(surrogate, evidence)
    heads = [next(place for place in order if families[place] == family) for family in dict.fromkeys(families)]
    return _equal(_good(surrogate, evidence, np.array(heads, dtype=np.int64)), len(evidence))


def bagged_greedy(surrogate: Surrogate, evidence: Floats) -> Floats:
    """Add the model that lowers the loss of the mean most, again and again, and average this over samples of rows.

    Source: Caruana et al. 2004, "Ensemble selection from libraries of models".
    """
    models = np.sort(_by_loss(surrogate, evidence)[:MOST_MODELS])
    rows = evidence.shape[1]
    random = np.random.default_rng(rows)
    size = max(1, min(int(rows * ROWS_IN_BAG), MOST_ROWS_IN_BAG))
    chosen = np.zeros(len(models))
    for _ in range(BAGS):
        bag = random.choice(rows, size, replace=False)
        chosen += _greedy_counts(surrogate.on(bag), evidence[models][:, bag])
    weights = np.zeros(len(evidence))
    weights[models] = chosen / chosen.sum()
    return weights


def linear_stack(surrogate: Surrogate, evidence: Floats) -> Floats:
    """Minimise the loss over all weights that add up to 1, held towards equal weights by a small ridge.

    Ridge regression for squared losses, logistic regression for logits; other losses get the mean of the best.
    """
    if not surrogate.is_smooth:
        return mean_of_best(surrogate, evidence)
    models = np.sort(_by_loss(surrogate, evidence)[:MOST_MODELS])
    columns = evidence[models].reshape(len(models), -1).T
    # Weights that add up to 1 are the same for what is left of a common part; far from zero rounding would hide it.
    common = columns.mean(axis=1)
    columns = columns - common[:, None]
    equal = np.full(len(models), 1 / len(models))
    ridge = RIDGE * (1.0 if surrogate.of_truth else float(np.mean(surrogate.weights * surrogate.goals.var(axis=0))))
    stacked = equal
    for _ in range(MOST_STEPS):
        slope, bend = (
            part.reshape(-1) for part in surrogate.gradients((common + columns @ stacked).reshape(evidence.shape[1:]))
        )
        gradient = columns.T @ slope / len(columns) + 2 * ridge * (stacked - equal)
        curvature = (columns * bend[:, None]).T @ columns / len(columns) + 2 * ridge * np.eye(len(models))
        step = _step_within_sum(gradient, curvature)
        stacked = stacked + step
        if np.abs(step).max() < SMALLEST_STEP:
            break
    weights = np.zeros(len(evidence))
    weights[models] = stacked
    return weights


def _step_within_sum(gradient: Floats, curvature: Floats) -> Floats:
    """Return Newton's step that leaves the sum of the weights as it is."""
    towards = np.linalg.solve(curvature, np.column_stack([-gradient, np.ones(len(gradient))]))
    step: Floats = towards[:, 0] - towards[:, 1] * towards[:, 0].sum() / towards[:, 1].sum()
    return step


def _greedy_counts(surrogate: Surrogate, evidence: Floats) -> Floats:
    counts, total = np.zeros(len(evidence)), np.zeros(evidence.shape[1:])
    for done in range(ROUNDS):
        losses = surrogate.losses((total + evidence) / (done + 1)).mean(axis=-1)
        best = int(np.argmin(losses))
        counts[best] += 1
        total = total + evidence[best]
    return counts


def _by_loss(surrogate: Surrogate, evidence: Floats) -> npt.NDArray[np.int64]:
    """Return the models' positions, the best first."""
    losses = [float(surrogate.losses(each).mean()) for each in evidence]
    return np.argsort(losses, kind="stable").astype(np.int64)


def _good(surrogate: Surrogate, evidence: Floats, models: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return those of the models that are as good as the best of them but for noise."""
    losses = [surrogate.losses(evidence[place]) for place in models]
    best = min(losses, key=lambda each: float(each.mean()))
    return models[[is_as_good(each, best, CLEARLY) for each in losses]]


def _equal(models: npt.NDArray[np.int64], count: int) -> Floats:
    weights = np.zeros(count)
    weights[models] = 1 / len(models)
    return weights
