"""Kernel ridge regression; this file solves it, judges it by rows left out, and weighs columns by what they do.

Rows vote for the rows that are like them. How far a vote reaches and how smooth the whole must be is judged by what is
said of each row when it is left out, alone or with those that folds keep together with it, which needs no further fit.
Columns count by the mean square of the slope along them: what does not matter no longer makes rows unlike.
Sources: Radhakrishnan, Beaglehole, Pandit, Belkin (2024), "Mechanism for feature learning in neural networks and
backpropagation-free machine learning models", of whose matrix the diagonal alone is kept; Rasmussen and Williams
(2006), "Gaussian Processes for Machine Learning", 5.4.2 for rows left out (which holds for several at once too), 8.3.1
where a part of the rows votes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve, eigh

from models import Floats, Integers

# For a row of weight 1: the variance of what no column explains, over that of the function that is looked for.
PENALTIES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
# Of more rows these many, by lot, may vote, while all say how.
MOST_VOTERS, VOTERS_OF_MANY = 4_000, 2_000
# A block of so many rows and as many voters takes 32 MB.
ROWS_AT_ONCE = 2_000
# Added to the diagonal where voters are fewer than rows, as a share of its mean: else rounding can spoil the solution.
RIDGE_FOR_ROUNDING = 1e-9


@dataclass(frozen=True)
class Examples:
    """Dense rows (n_rows, columns), what is wanted of them (n_rows, outputs; mean 0), and weights of mean 1.

    Rows of the same number in ``together`` tell of each other more than of rows to come.
    """

    x: Floats
    wanted: Floats
    weights: Floats
    together: Integers | None = None


@dataclass(frozen=True)
class Setting:
    """How far votes reach and what smoothness costs, with what that gave.

    ``left_out`` (n_rows, outputs) is what is said of each row when it is left out, and with it the rows that belong
    together with it; ``loss`` is what that costs, ``votes`` (n_rows, outputs) are those of the same rows. A vote counts
    exp(-distance / ``reach``), the distance squared and of weighed columns.
    """

    reach: float
    penalty: float
    loss: float
    left_out: Floats
    votes: Floats


@dataclass(frozen=True)
class Machine:
    """Voters (voters, columns), whose ``scales`` make the reach 1, their votes (voters, outputs), and rows taken in."""

    scales: Floats
    voters: Floats
    votes: Floats
    rows: int

    def predict(self, x: Floats) -> Floats:
        """Return (n_rows, outputs)."""
        parts = (x[start : start + ROWS_AT_ONCE] * self.scales for start in range(0, len(x), ROWS_AT_ONCE))
        found = [_likeness(part, self.voters) @ self.votes for part in parts]
        return np.concatenate(found) if found else np.zeros((0, self.votes.shape[1]))


def choose(rows: Examples, columns: Floats, reaches: Iterable[float], judge: Callable[[Floats], float]) -> Setting:
    """Return the setting of least loss among ``reaches`` and ``PENALTIES``.

    ``columns`` are weights that add up to 1. ``judge`` gets what is said of each row left out (n_rows, outputs), and
    returns its loss. Time grows with the cube of the rows.
    """
    root = np.sqrt(rows.weights)[:, None]
    x = rows.x * np.sqrt(columns)
    distances, parts = _distances(x, x), _parts(rows.together)
    best = None
    for reach in reaches:
        values, vectors = eigh(np.exp(distances / -reach) * root * root.T, overwrite_a=True, check_finite=False)
        turned = vectors.T @ (rows.wanted * root)
        squares, of_parts = vectors * vectors, [vectors[part] for part in parts]
        for penalty in PENALTIES:
            shrunk = 1 / (np.maximum(values, 0) + penalty)
            votes = vectors @ (turned * shrunk[:, None])
            missed = np.empty_like(votes) if parts else votes / (squares @ shrunk)[:, None]
            for part, own in zip(parts, of_parts, strict=True):
                half = own * np.sqrt(shrunk)
                missed[part] = np.linalg.solve(half @ half.T, votes[part])
            left_out = rows.wanted - missed / root
            loss = judge(left_out)
            if best is None or loss < best.loss:
                best = Setting(reach, penalty, loss, left_out, votes * root)
    assert best is not None
    return best


def weigh(rows: Examples, columns: Floats, setting: Setting) -> Floats:
    """Return new weights of columns, which add up to 1: the mean square of the slope along each, over rows and outputs.

    ``rows``, ``columns`` and ``setting`` belong together, as ``choose`` took and gave them.
    """
    x = rows.x * np.sqrt(columns)
    likeness = np.exp(_distances(x, x) / -setting.reach)
    found = np.zeros(rows.x.shape[1])
    for votes in setting.votes.T:
        pulls = likeness * votes
        slopes = (pulls.sum(axis=1)[:, None] * rows.x - pulls @ rows.x) * columns
        found += np.average(slopes * slopes, axis=0, weights=rows.weights)
    total = found.sum()
    return found / total if total > 0 else columns


def solve(
    rows: Examples,
    columns: Floats,
    setting: Setting,
    random: np.random.Generator,
    is_over: Callable[[], bool] = lambda: False,
    most_rows: int | None = None,
) -> Machine:
    """Fit all rows with a setting that the same or fewer rows chose; of very many a part votes, drawn by ``random``.

    Those are taken in part by part in an order that is drawn too, until ``is_over`` or ``most_rows`` were.

    Raises:
        numpy.linalg.LinAlgError: rounding leaves no solution.
    """
    scales = np.sqrt(columns / setting.reach)
    if len(rows.x) <= MOST_VOTERS:
        voters = rows.x * scales
        matrix = _likeness(voters, voters)
        matrix.flat[:: len(voters) + 1] += setting.penalty / rows.weights
        return Machine(scales, voters, cho_solve(cho_factor(matrix, overwrite_a=True), rows.wanted), len(voters))
    voters = rows.x[np.sort(random.choice(len(rows.x), VOTERS_OF_MANY, replace=False))] * scales
    matrix = _likeness(voters, voters) * setting.penalty
    wanted = np.zeros((len(voters), rows.wanted.shape[1]))
    order, taken = random.permutation(len(rows.x))[:most_rows], 0
    while taken < len(order) and not (taken and is_over()):
        part = order[taken : taken + ROWS_AT_ONCE]
        taken += len(part)
        likeness = _likeness(rows.x[part] * scales, voters)
        weighted = (likeness * rows.weights[part, None]).T
        matrix += weighted @ likeness
        wanted += weighted @ rows.wanted[part]
    matrix.flat[:: len(voters) + 1] += RIDGE_FOR_ROUNDING * np.trace(matrix) / len(voters)
    return Machine(scales, voters, cho_solve(cho_factor(matrix, overwrite_a=True), wanted), taken)


def _parts(together: Integers | None) -> list[Integers]:
    """Return the positions of rows that are left out together, none where each row is left out alone."""
    if together is None or not np.ptp(together):  # without all of them nothing could be said
        return []
    order = np.argsort(together, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(together[order])) + 1)


def _likeness(a: Floats, b: Floats) -> Floats:
    found = _distances(a, b)
    np.negative(found, out=found)
    return np.exp(found, out=found)


def _distances(a: Floats, b: Floats) -> Floats:
    """Return squared distances (rows of a, rows of b)."""
    found = a @ b.T
    found *= -2
    found += np.einsum("ij,ij->i", a, a)[:, None]
    found += np.einsum("ij,ij->i", b, b)
    return np.maximum(found, 0, out=found)
