"""A small neural network in numpy; this file trains one, whose members are averaged (``network.py``).

Beside its value each number tells which part of the range it has passed, so that a step is as easy to learn as a
line. Once the watched rows stop gaining, or little time is left, the network goes back to what it was at its best, and
the rate falls to nothing along a half cosine; what counts is the round after which the watched rows are predicted best.

Source of the pieces of numbers: Gorishniy et al. 2022, arXiv 2203.05556.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

import clock
import dense
import network
from encoding import Matrix
from models import Floats, Rows, Task
from network import Network

# The decay of weights is divided by the rows that train, so many at least: the fewer they are, the less they can tell.
FEW_ROWS = 500
# ``flat`` are the most rounds before the rate falls, ``rounds`` the most in all; it falls sooner
# where ``patience`` rounds gained nothing.
DEFAULTS: dict[str, Any] = {
    "hidden_layer_sizes": (256, 128),
    "members": 2,
    "pieces": 16,
    "learning_rate": 0.002,
    "weight_decay": 5000.0,
    "dropout": 0.35,
    "batch_size": 128,
    "patience": 8,
    "flat": 80,
    "rounds": 120,
}
# Larger batches keep an epoch short where there are many rows.
BATCHES = 400
# All numbers together have no more pieces: of very many columns each has fewer, or none.
MOST_PIECES = 600
# A round is an epoch of at least and at most so many steps: after it the watched rows are looked at.
STEPS_PER_ROUND = (10, 50)
# The rate grows over the first steps, while AdamW knows little of the gradient's size.
FIRST_STEPS = 50
# The rate falls over this share of the rounds that were best before, and over at least so many.
FALLING_SHARE, FEWEST_FALLING = 0.5, 4
# Where nothing is watched the rate begins to fall after so many rounds, about what tables need.
FLAT_UNWATCHED = 10
# More rows are not watched, but a part of them.
MOST_WATCHED = 10_000
ROWS_AT_ONCE = 2_000
SMALLEST_PROBABILITY = 1e-6

threadpool_limits(1)


@dataclass(frozen=True)
class View:
    """How the network sees the matrix: dense columns, then pieces (of a column, where it starts, 1 / its width)."""

    encoder: dense.Dense
    columns: npt.NDArray[np.int64]
    starts: Matrix
    slopes: Matrix

    def widened(self, values: Matrix) -> Matrix:
        """Add the pieces to dense columns: each 0 before its start, 1 after its end, a straight line between."""
        pieces = np.clip((values[:, self.columns] - self.starts) * self.slopes, 0, 1)
        return np.concatenate([values, pieces], axis=1)


@dataclass(frozen=True)
class Examples:
    """Rows as the network learns them: dense columns, (n_rows, outputs) wanted of it, weights of mean 1."""

    values: Matrix
    wanted: Matrix
    weights: Matrix


@dataclass
class MLP:
    """A fitted network, how it sees the matrix, and the scale and range of values."""

    view: View
    network: Network
    classes: int
    centre: float
    spread: float
    limits: tuple[float, float]
    note: str
    replay: dict[str, Any]
    rounds: int = 0

    def predict(self, x: Matrix) -> Floats:
        told = _told(self.network, self.view, self.view.encoder.encode(x)).astype(np.float64)
        if not self.classes:
            return np.clip(told * self.spread + self.centre, *self.limits)
        return told if self.classes > 2 else told[:, 1:]


def fit(task: Task) -> MLP:
    """Train until the rounds are done or the time is over."""
    parameters = {**DEFAULTS, **task.parameters}
    y = task.rows.y
    centre, spread = (0.0, 1.0) if task.classes else (float(y.mean()), float(y.std()) or 1.0)
    encoder = dense.fit(task.rows.x, task.category_columns, task.end, parameters)
    values = encoder.encode(task.rows.x)
    view = _view(encoder, values, int(parameters["pieces"]))
    rows = _examples(values, task.rows, task.classes, centre, spread)
    watched = None
    if task.watched:
        some = _some(task.watched)
        watched = _examples(encoder.encode(some.x), some, task.classes, centre, spread)
    random = np.random.default_rng(task.seed)
    usual = np.average(rows.wanted, axis=0, weights=rows.weights)
    learner = network.start(
        rows.values.shape[1] + len(view.columns),
        np.log(np.maximum(usual, SMALLEST_PROBABILITY)) if task.classes else usual,
        parameters["hidden_layer_sizes"],
        int(parameters["members"]),
        random,
    )
    best, replay, note = _train(learner, view, rows, watched, parameters, random, task.end)
    limits, replay = (float(y.min()), float(y.max())), {**encoder.replay, **replay}
    return MLP(view, best, task.classes, centre, spread, limits, f"{rows.values.shape[1]} columns, {note}", replay)


def _train(
    learner: Network,
    view: View,
    rows: Examples,
    watched: Examples | None,
    parameters: dict[str, Any],
    random: np.random.Generator,
    end: float,
) -> tuple[Network, dict[str, Any], str]:
    """Return the network as it was after its best round, what the clock decided, and how it went."""
    count, began = len(rows.values), time.time()
    size = min(count, max(int(parameters["batch_size"]), count // BATCHES))
    steps = min(max(count // size, STEPS_PER_ROUND[0]), STEPS_PER_ROUND[1])
    most, most_flat = int(parameters["rounds"]), int(parameters["flat"])
    if not watched:
        most_flat = min(most_flat, FLAT_UNWATCHED)
    batches = _batches(count, size, random)
    optimizer = network.AdamW(learner, parameters["weight_decay"] / max(count, FEW_ROWS))
    best, best_loss, best_round = learner.copy() if watched else learner, math.inf, 0
    done, flat, falling, is_cut, is_over = 0, 0, 0, False, False
    while done < most and not is_over and (not falling or done < flat + falling):
        for step in range(steps):
            fallen = (done - flat + step / steps) / falling if falling else 0.0
            rate = parameters["learning_rate"] * min(1.0, (optimizer.steps + 1) / FIRST_STEPS)
            chosen = next(batches)
            x = view.widened(rows.values[chosen])
            slopes = learner.gradient(x, rows.wanted[chosen], rows.weights[chosen], parameters["dropout"], random)
            optimizer.step(slopes, rate * (1 + math.cos(math.pi * fallen)) / 2)
            # Of very many columns a round takes long: the clock may end it anywhere, and a replay where the clock did.
            is_over = clock.is_over(end) or optimizer.steps == parameters.get("steps")
            if is_over:
                break
        done += 1
        loss = _loss(learner, view, watched) if watched else -float(done)
        if loss < best_loss:
            best, best_loss, best_round = learner.copy() if watched else learner, loss, done
        if is_over:
            is_cut = True
        elif not falling:
            needed, now = max(FEWEST_FALLING, round(FALLING_SHARE * best_round)), time.time()
            is_late = now + needed * (now - began) / done > end
            if is_late or done >= most_flat or done - best_round >= parameters["patience"]:
                flat, falling, is_cut = done, needed, is_late
                learner.values[:] = best.values
    note = f"{len(learner.values)} weights, round {best_round} of {done}{', time over' if is_cut else ''}"
    return best, {"flat": flat or done, "steps": optimizer.steps} if is_cut else {}, note


def _batches(rows: int, size: int, random: np.random.Generator) -> Iterator[npt.NDArray[np.int64]]:
    """Yield positions of rows in an order that is drawn anew for each epoch; what is less than a batch is left out."""
    while True:
        order = random.permutation(rows)
        yield from (order[place : place + size] for place in range(0, rows - size + 1, size))


def _view(encoder: dense.Dense, values: Matrix, pieces: int) -> View:
    """Learn pieces of numbers that hold as many of the encoded rows each; a flag has none."""
    numbers = len(encoder.numbers)
    pieces = min(pieces, MOST_PIECES // max(1, numbers))
    columns, starts, widths = [], [], []
    for column in range(numbers if pieces > 1 else 0):
        edges = np.unique(np.quantile(values[:, column], np.linspace(0, 1, pieces + 1)))
        if len(edges) > 2:
            columns += [column] * (len(edges) - 1)
            starts += list(edges[:-1])
            widths += list(np.diff(edges))
    slopes = (1 / np.array(widths)).astype(np.float32)
    return View(encoder, np.array(columns, dtype=np.int64), np.array(starts, dtype=np.float32), slopes)


def _examples(values: Matrix, rows: Rows, classes: int, centre: float, spread: float) -> Examples:
    y = rows.y[:, None]
    wanted = y == np.arange(classes) if classes else (y - centre) / spread
    weights = np.ones(len(rows.y)) if rows.weights is None else rows.weights / rows.weights.mean()
    return Examples(values, wanted.astype(np.float32), weights.astype(np.float32))


def _some(rows: Rows) -> Rows:
    """Return every so many-th row of very many."""
    step = math.ceil(len(rows.x) / MOST_WATCHED)
    return Rows(rows.x[::step], rows.y[::step], None if rows.weights is None else rows.weights[::step])


def _told(learner: Network, view: View, values: Matrix) -> Matrix:
    """Return the mean of what the members tell: scaled values, or probabilities of all classes."""
    found = []
    for place in range(0, len(values), ROWS_AT_ONCE):
        outputs = learner.outputs(view.widened(values[place : place + ROWS_AT_ONCE]))
        found.append((network.chances(outputs) if outputs.shape[2] > 1 else outputs).mean(axis=0))
    return np.concatenate(found)


def _loss(learner: Network, view: View, watched: Examples) -> float:
    told, wanted = _told(learner, view, watched.values), watched.wanted
    if wanted.shape[1] == 1:
        return float(np.average((told - wanted)[:, 0] ** 2, weights=watched.weights))
    of_truth = (told * wanted).sum(axis=1)
    return float(np.average(-np.log(np.maximum(of_truth, SMALLEST_PROBABILITY)), weights=watched.weights))
