"""Kernel ridge regression; this file fits values by it, and classes by scores that are made probabilities of.

What a row is predicted is a weighted vote of rows like it: smooth, and good where rows are few. Each weighing of the
columns makes another machine: their mean errs less than any of them.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from threadpoolctl import threadpool_limits

import clock
import dense
import kernel_ridge
from encoding import Matrix
from kernel_ridge import ROWS_AT_ONCE, Examples, Machine
from models import Floats, Task

# ``weighings`` of columns, after a first machine to which all count the same; of more ``rows`` so many, by lot; and how
# many of them the last machine took in, where the clock ended that.
DEFAULTS: dict[str, Any] = {"weighings": 0, "rows": 20_000, "rows_of_last": None}
# So many rows tell which setting is best: that takes time with the cube of their number.
JUDGED_ROWS = 1_000
# Of medians: a few rows that nothing explains would otherwise choose the setting for all.
LARGEST_MISS = 10.0
# Reaches are multiples of the mean distance between rows, about 2; later ones are near the first that was best.
REACHES = (0.125, 0.5, 2.0, 8.0)
NEAR = (0.5, 1.0, 2.0)
# Scores differ by 1 at most, which would leave the surest of two classes at .73: so they are multiplied.
SHARPNESSES = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0)
# How strongly what is added for each class is held near 0.
EVENNESS = 1e-3
SMALLEST_PROBABILITY, SMALLEST_WEIGHT = 1e-6, 1e-6

threadpool_limits(1)


@dataclass(frozen=True)
class Calibrated:
    """A machine and, for classes, what makes probabilities of its scores: a factor, and an addend for each class."""

    machine: Machine
    sharpness: float
    leanings: Floats


@dataclass
class Kernel:
    """Fitted machines, how they see the matrix, and the scale of values."""

    encoder: dense.Dense
    machines: list[Calibrated]
    centre: Floats
    spread: float
    classes: int
    note: str
    replay: dict[str, Any]
    rounds: int = 0

    def predict(self, x: Matrix) -> Floats:
        parts = range(0, max(1, len(x)), ROWS_AT_ONCE)  # of very many rows no copies are made
        return np.concatenate([self._said(x[start : start + ROWS_AT_ONCE]) for start in parts])

    def _said(self, x: Matrix) -> Floats:
        seen = self.encoder.encode(x).astype(np.float64)
        said = []
        for each in self.machines:
            scores = each.machine.predict(seen) * self.spread + self.centre
            said.append(probabilities(scores, each.sharpness, each.leanings) if self.classes else scores)
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
    together = None if task.rows.together is None else task.rows.together[chosen]
    rows = Examples(x, (answers - centre) / spread, weights, together)
    machines, note, is_cut = _machines(rows, task, centre, parameters, random)
    replay = dict(encoder.replay)
    if is_cut:
        replay |= {"weighings": len(machines) - 1}
        if machines[-1].machine.rows < len(x):
            replay |= {"rows_of_last": machines[-1].machine.rows}
    note = f"{len(x)} rows, {x.shape[1]} columns, {note}{', time over' if is_cut else ''}"
    return Kernel(encoder, machines, centre, spread, task.classes, note, replay)


def _machines(
    rows: Examples, task: Task, centre: Floats, parameters: Mapping[str, Any], random: np.random.Generator
) -> tuple[list[Calibrated], str, bool]:
    """Return the machines, a few words on the last, and whether the clock ended them early.

    Other rows judge each of them: what one choice of rows makes of the columns is not made worse by the same choice.
    """
    columns = np.full(rows.x.shape[1], 1 / rows.x.shape[1])
    machines: list[Calibrated] = []
    weighings, reach, began = int(parameters["weighings"]), 0.0, time.time()
    is_over = partial(clock.is_over, task.end)
    while True:
        few = _part(rows, random)
        judge = partial(_loss, few, task, centre)
        reach = reach or kernel_ridge.choose(few, columns, REACHES, judge).reach
        setting = kernel_ridge.choose(few, columns, [reach * step for step in NEAR], judge)
        reach = setting.reach
        most_rows = parameters["rows_of_last"] if len(machines) == weighings else None
        machine = kernel_ridge.solve(rows, columns, setting, random, is_over, most_rows)
        if task.classes:
            answers = few.wanted + centre
            machines.append(Calibrated(machine, *calibrate(setting.left_out + centre, answers, few.weights)))
        else:
            machines.append(Calibrated(machine, 1.0, np.zeros(1)))
        note = f"{len(machines)} machines, reach {reach:.3g}, penalty {setting.penalty:g}"
        is_whole = most_rows is not None or machine.rows == len(rows.x)
        if len(machines) > weighings and is_whole:
            return machines, note, False
        if not is_whole or clock.is_over(task.end - (time.time() - began) / len(machines)):
            return machines, note, True
        columns = kernel_ridge.weigh(few, columns, setting)


def _part(rows: Examples, random: np.random.Generator) -> Examples:
    chosen = _some(len(rows.x), JUDGED_ROWS, random)
    together = None if rows.together is None else rows.together[chosen]
    return Examples(rows.x[chosen], rows.wanted[chosen], rows.weights[chosen], together)


def _loss(rows: Examples, task: Task, centre: Floats, left_out: Floats) -> float:
    """Return the loss of what is said of rows left out; for classes with the sharpness that makes it least."""
    if task.classes:
        right = (rows.wanted + centre).argmax(axis=1)
        every = (_log_loss(left_out + centre, right, rows.weights, sharpness) for sharpness in SHARPNESSES)
        return min(every)
    misses = np.abs(left_out - rows.wanted)[:, 0]
    if most := LARGEST_MISS * np.median(misses):
        misses = np.minimum(misses, most)
    return float(np.average(misses if task.objective == "absolute_error" else misses**2, weights=rows.weights))


def _log_loss(scores: Floats, right: npt.NDArray[np.int64], weights: Floats, sharpness: float) -> float:
    chances = probabilities(scores, sharpness, np.zeros(1))[np.arange(len(right)), right]
    return float(np.average(-np.log(np.maximum(chances, SMALLEST_PROBABILITY)), weights=weights))


def calibrate(scores: Floats, answers: Floats, weights: Floats) -> tuple[float, Floats]:
    """Return the factor, and what is to be added for each class, that make the log loss of these scores least.

    ``scores`` and ``answers`` (0 or 1) are (n_rows, classes).
    Sources: Guo, Pleiss, Sun, Weinberger (2017), "On Calibration of Modern Neural Networks", for the factor;
    Alexandari, Kundaje, Shrikumar (2020), "Maximum Likelihood with Bias-Corrected Calibration is Hard-To-Beat at Label
    Shift Adaptation", for the addends.
    """
    shares = weights / weights.sum()

    def loss(given: Floats) -> tuple[float, Floats]:
        sharpness, leanings = np.exp(given[0]), given[1:]
        powers = scores * sharpness + leanings
        powers -= powers.max(axis=1, keepdims=True)
        sums = np.exp(powers).sum(axis=1)
        losses = np.log(sums) - (powers * answers).sum(axis=1)
        slopes = (np.exp(powers) / sums[:, None] - answers) * shares[:, None]
        of_sharpness = (slopes * scores).sum() * sharpness
        gradient = np.append(of_sharpness, slopes.sum(axis=0)) + 2 * EVENNESS * np.append(0, leanings)
        return float(shares @ losses + EVENNESS * (leanings @ leanings)), gradient

    least, most = np.log(SHARPNESSES[0]), np.log(SHARPNESSES[-1])
    bounds = [(least, most), *[(None, None)] * scores.shape[1]]
    start = np.append(np.log(SHARPNESSES[len(SHARPNESSES) // 2]), np.zeros(scores.shape[1]))
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    return float(np.exp(found[0])), found[1:]


def probabilities(scores: Floats, sharpness: float, leanings: Floats) -> Floats:
    """Return probabilities (n_rows, classes) from scores near 0 and 1."""
    powers = scores * sharpness + leanings
    powers = np.exp(powers - powers.max(axis=1, keepdims=True))
    found: Floats = powers / powers.sum(axis=1, keepdims=True)
    return found


def _some(rows: int, most: int, random: np.random.Generator) -> np.ndarray[Any, np.dtype[np.int64]]:
    if rows <= most:
        return np.arange(rows, dtype=np.int64)
    return np.sort(random.choice(rows, most, replace=False)).astype(np.int64)
