"""Kernel ridge regression; this file fits values by it, and classes by scores that are sharpened to probabilities.

What a row is predicted is a weighted vote of rows like it: smooth, and good where rows are few. Each weighing of the
columns makes another machine: their mean errs less than any of them.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

import clock
import dense
import kernel_ridge
from encoding import Matrix
from kernel_ridge import Examples, Machine
from models import Floats, Task

# ``weighings`` of columns, after a first machine to which all count the same.
DEFAULTS: dict[str, Any] = {"weighings": 0, "rows": 20_000}
# So many rows tell which setting is best: that takes time with the cube of their number.
JUDGED_ROWS = 1_000
# Of medians: a few rows that nothing explains would otherwise choose the setting for all.
LARGEST_MISS = 10.0
# Reaches are multiples of the mean distance between rows, about 2; later ones are near the first that was best.
REACHES = (0.125, 0.5, 2.0, 8.0)
NEAR = (0.5, 1.0, 2.0)
SHARPNESSES = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0)
SMALLEST_PROBABILITY, SMALLEST_WEIGHT = 1e-6, 1e-6

threadpool_limits(1)


@dataclass
class Kernel:
    """Fitted machines with their sharpness, how they see the matrix, and the scale of what they say."""

    encoder: dense.Dense
    machines: list[tuple[Machine, float]]
    centre: Floats
    spread: float
    classes: int
    note: str
    replay: dict[str, Any]
    rounds: int = 0

    def predict(self, x: Matrix) -> Floats:
        seen = self.encoder.encode(x).astype(np.float64)
        said = []
        for machine, sharpness in self.machines:
            scores = machine.predict(seen) * self.spread + self.centre
            said.append(_sharpened(scores, sharpness) if self.classes else scores)
        mean: Floats = np.mean(said, axis=0)
        return mean[:, 1:] if self.classes == 2 else mean


def fit(task: Task) -> Kernel:
    """Fit on all rows, or on a random choice of very many, until the columns are weighed or the time is over."""
    parameters = {**DEFAULTS, **task.parameters}
    random = np.random.default_rng(task.seed)
    chosen = _some(len(task.rows.x), int(parameters["rows"]), random)
    encoder = dense.fit(task.rows.x[chosen], task.category_columns, task.end, parameters)
    x, y = encoder.encode(task.rows.x[chosen]).astype(np.float64), task.rows.y[chosen]
    weights = np.ones(len(y)) if task.rows.weights is None else task.rows.weights[chosen]
    weights = np.maximum(weights / weights.mean(), SMALLEST_WEIGHT)
    answers = np.eye(task.classes)[y.astype(np.int64)] if task.classes else y[:, None]
    centre = np.average(answers, axis=0, weights=weights)
    spread = 1.0 if task.classes else float(y.std()) or 1.0
    rows = Examples(x, (answers - centre) / spread, weights)
    machines, note, is_cut = _machines(rows, task, centre, int(parameters["weighings"]), random)
    replay = {**encoder.replay, **({"weighings": len(machines) - 1} if is_cut else {})}
    note = f"{len(x)} rows, {x.shape[1]} columns, {note}{', time over' if is_cut else ''}"
    return Kernel(encoder, machines, centre, spread, task.classes, note, replay)


def _machines(
    rows: Examples, task: Task, centre: Floats, weighings: int, random: np.random.Generator
) -> tuple[list[tuple[Machine, float]], str, bool]:
    """Return the machines with their sharpness, a few words on the last, and whether the clock ended them early.

    Other rows judge each of them: what one choice of rows makes of the columns is not made worse by the same choice.
    """
    columns = np.full(rows.x.shape[1], 1 / rows.x.shape[1])
    machines: list[tuple[Machine, float]] = []
    reach, began = 0.0, time.time()
    while True:
        few = _part(rows, random)
        judge = partial(_judge, few, task, centre)
        reach = reach or kernel_ridge.choose(few, columns, REACHES, judge).reach
        setting = kernel_ridge.choose(few, columns, [reach * step for step in NEAR], judge)
        reach = setting.reach
        machines.append((kernel_ridge.solve(rows, columns, setting, random), setting.verdict))
        note = f"{len(machines)} machines, reach {reach:.3g}, penalty {setting.penalty:g}"
        if len(machines) > weighings:
            return machines, note, False
        if clock.is_over(task.end - (time.time() - began) / len(machines)):
            return machines, note, True
        columns = kernel_ridge.weigh(few, columns, setting)


def _part(rows: Examples, random: np.random.Generator) -> Examples:
    chosen = _some(len(rows.x), JUDGED_ROWS, random)
    return Examples(rows.x[chosen], rows.wanted[chosen], rows.weights[chosen])


def _judge(rows: Examples, task: Task, centre: Floats, left_out: Floats) -> tuple[float, float]:
    """Return the loss of what is said of rows left out, and for classes the sharpness that gives it."""
    if task.classes:
        return _sharpest(left_out + centre, rows.wanted + centre, rows.weights)
    misses = np.abs(left_out - rows.wanted)[:, 0]
    if most := LARGEST_MISS * np.median(misses):
        misses = np.minimum(misses, most)
    return float(np.average(misses if task.objective == "absolute_error" else misses**2, weights=rows.weights)), 1.0


def _sharpest(scores: Floats, answers: Floats, weights: Floats) -> tuple[float, float]:
    """Return the least log loss of probabilities made of these scores, and the sharpness that gives it."""
    right = answers.argmax(axis=1)
    losses = []
    for sharpness in SHARPNESSES:
        probabilities = _sharpened(scores, sharpness)[np.arange(len(right)), right]
        losses.append(np.average(-np.log(np.maximum(probabilities, SMALLEST_PROBABILITY)), weights=weights))
    best = int(np.argmin(losses))
    return float(losses[best]), SHARPNESSES[best]


def _sharpened(scores: Floats, sharpness: float) -> Floats:
    """Return probabilities (n_rows, classes) from scores near 0 and 1."""
    powers = np.exp((scores - scores.max(axis=1, keepdims=True)) * sharpness)
    found: Floats = powers / powers.sum(axis=1, keepdims=True)
    return found


def _some(rows: int, most: int, random: np.random.Generator) -> np.ndarray[Any, np.dtype[np.int64]]:
    if rows <= most:
        return np.arange(rows, dtype=np.int64)
    return np.sort(random.choice(rows, most, replace=False)).astype(np.int64)
