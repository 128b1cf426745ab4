"""Weights of models; this file holds the three ways to choose them, on evidence and the smooth loss alone.

Evidence is (models, n_rows, targets) as ``Surrogate.evidence`` gives it. Weights are (models,), never negative, and add
up to 1.
"""

from __future__ import annotations

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


def best_single(surrogate: Surrogate, evidence: Floats) -> Floats:
    """Give all weight to the model with the least loss."""
    return _equal(_by_loss(surrogate, evidence)[:1], len(evidence))


def mean_of_best(surrogate: Surrogate, evidence: Floats) -> Floats:
    """Give the best five models the same weight."""
    return _equal(_by_loss(surrogate, evidence)[:MEAN_OF], len(evidence))


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


def _equal(models: npt.NDArray[np.int64], count: int) -> Floats:
    weights = np.zeros(count)
    weights[models] = 1 / len(models)
    return weights
