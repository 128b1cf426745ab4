"""A small neural network from scikit-learn; this file trains a few of them and averages.

Each starts from other random weights; epochs end when the watched rows stop gaining, or the time is over.
"""

from __future__ import annotations

import copy
import math
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.neural_network import MLPClassifier, MLPRegressor
from threadpoolctl import threadpool_limits

import clock
import dense
from encoding import Matrix
from models import Floats, Rows, Task, scores_of_classes

DEFAULTS: dict[str, Any] = {
    "hidden_layer_sizes": (128, 64),
    "alpha": 0.01,
    "learning_rate_init": 0.002,
    "batch_size": 128,
    "networks": 3,
    "rounds": 80,
    "patience": 8,
}
# Larger batches keep an epoch short where there are many rows.
BATCHES = 400
SMALLEST_PROBABILITY = 1e-6

threadpool_limits(1)


@dataclass
class MLP:
    """Fitted networks, how they see the matrix, and the scale of values."""

    encoder: dense.Dense
    networks: list[MLPClassifier | MLPRegressor]
    classes: int
    centre: float
    spread: float
    note: str
    replay: dict[str, Any]
    rounds: int = 0

    def predict(self, x: Matrix) -> Floats:
        seen = self.encoder.encode(x)
        scores: Floats = np.mean([_scores(each, seen, self.classes) for each in self.networks], axis=0)
        return scores if self.classes else scores * self.spread + self.centre


def fit(task: Task) -> MLP:
    """Train the networks one after another, each with its share of what is left of the time."""
    parameters = {**DEFAULTS, **task.parameters}
    count, rounds = int(parameters.pop("networks")), int(parameters.pop("rounds"))
    patience, known_epochs = int(parameters.pop("patience")), parameters.pop("epochs", None)
    encoder = dense.fit(task.rows.x, task.category_columns)
    centre, spread = (0.0, 1.0) if task.classes else _scale(task.rows.y)
    rows = _dense(task.rows, encoder, centre, spread)
    watched = _dense(task.watched, encoder, centre, spread) if task.watched else None
    parameters["batch_size"] = min(len(rows.x), max(parameters["batch_size"], len(rows.x) // BATCHES))
    networks, epochs, is_cut = [], [], False
    for number, most_epochs in enumerate(known_epochs or [rounds] * count):
        now = time.time()
        end = now + (task.end - now) / (count - number)
        kind = MLPClassifier if task.classes else MLPRegressor
        network = kind(**parameters, random_state=task.seed + number)
        trained, done, over = _train(network, rows, watched, task.classes, most_epochs, patience, end)
        networks.append(trained)
        epochs.append(done)
        is_cut = is_cut or over
    note = f"{rows.x.shape[1]} columns, epochs {epochs}{', time over' if is_cut else ''}"
    return MLP(encoder, networks, task.classes, centre, spread, note, {"epochs": epochs} if is_cut else {})


def _train(
    network: Any, rows: Rows, watched: Rows | None, classes: int, rounds: int, patience: int, end: float
) -> tuple[Any, int, bool]:
    """Return the network as it was after its best epoch, the epochs done, and whether the clock ended it."""
    best, best_loss, best_epoch, epoch, is_over = network, math.inf, 0, 0, False
    labels = {"classes": np.arange(classes, dtype=np.float64)} if classes else {}
    while epoch < rounds and epoch - best_epoch < patience and not is_over:
        network.partial_fit(rows.x, rows.y, sample_weight=rows.weights, **labels)
        epoch += 1
        loss = _loss(network, watched, classes) if watched else -float(epoch)
        if loss < best_loss:
            best, best_loss, best_epoch = copy.deepcopy(network) if watched else network, loss, epoch
        is_over = clock.is_over(end)
    return best, epoch, is_over


def _loss(network: Any, watched: Rows, classes: int) -> float:
    scores = _scores(network, watched.x, classes)
    if not classes:
        return float(np.average((scores[:, 0] - watched.y) ** 2, weights=watched.weights))
    chances = scores if classes > 2 else np.column_stack([1 - scores, scores])
    of_truth = chances[np.arange(len(scores)), watched.y.astype(np.int64)]
    return float(np.average(-np.log(np.maximum(of_truth, SMALLEST_PROBABILITY)), weights=watched.weights))


def _scores(network: Any, x: Matrix, classes: int) -> Floats:
    if classes:
        return scores_of_classes(network.predict_proba(x), network.classes_, classes)
    return np.asarray(network.predict(x), dtype=np.float64).reshape(len(x), 1)


def _dense(rows: Rows, encoder: dense.Dense, centre: float, spread: float) -> Rows:
    return Rows(encoder.encode(rows.x), (rows.y - centre) / spread, rows.weights)


def _scale(y: Floats) -> tuple[float, float]:
    return float(y.mean()), float(y.std()) or 1.0
