"""How far test drifted from train; this file measures it per column and by a model that tells the two apart.

The model is additive: each column's bins get weights, fitted by ridge regression in closed form, so that adversarial
validation costs milliseconds. It does not see interactions; a split that shows only in them is not found.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from autokaggle.skills.dataset.column_facts import Facts, Floats

ROWS_PER_SIDE = 2_500
MOST_WEIGHTS = 400
MOST_COLUMNS = 130
MOST_BINS = 12
FOLDS = 4
# Weights shrink as if this share of the rows spoke against them.
RIDGE_SHARE = 0.02
COMMON_TEXTS = 30
DRIVERS = 3
# A driver explains at least this share of the spread of the model's answers.
DRIVER_SHARE = 0.15
NEAR_UNIQUE = 0.5

Codes = NDArray[np.intp]


@dataclass(frozen=True)
class Adversary:
    """How well rows of test are told from rows of train: area under the ROC curve (0.5: not at all) and by what."""

    auc: float
    columns: tuple[str, ...]


def column_drift(train: Facts, test: Facts) -> float | None:
    """Return the largest difference in cumulative shares (numbers) or half the summed difference of shares (text).

    Shares are of all sampled rows, missing is a value of its own, rare texts count as one. 0 is no drift, 1 nothing in
    common; None where values hardly repeat, so that a difference says nothing.
    Source: the Kolmogorov-Smirnov statistic and the total variation distance.
    """
    if train.type != test.type or (train.type == "VARCHAR" and len(train.counts) > NEAR_UNIQUE * train.counts.total()):
        return None
    if train.type == "VARCHAR":
        first, second = (_shares(side, _levels(train, test, COMMON_TEXTS)) for side in (train, test))
        return round(float(np.abs(first - second).sum() / 2), 4)
    missing = abs(np.isnan(train.numbers).mean() - np.isnan(test.numbers).mean())
    return round(float(max(missing, _largest_gap(train.numbers, test.numbers))), 4)


def drift_by_chance(train_rows: int, test_rows: int) -> float:
    """Return the drift of a number that chance exceeds once in a thousand columns."""
    return 1.95 * float(np.sqrt((train_rows + test_rows) / (train_rows * test_rows)))


def tell_apart(train: Mapping[str, Facts], test: Mapping[str, Facts], names: Sequence[str]) -> Adversary | None:
    """Cross-fit a model that tells test rows from train rows by the columns ``names``; None when there is nothing."""
    chosen = _comparable(train, test, names)
    if not chosen:
        return None
    bins = int(np.clip(MOST_WEIGHTS // len(chosen), 3, MOST_BINS))
    sides = [side[chosen[0]].sampled for side in (train, test)]
    if min(sides) < 2 * FOLDS:
        return None
    rows = [np.linspace(0, side - 1, min(side, ROWS_PER_SIDE)).astype(np.intp) for side in sides]
    codes = np.stack([np.concatenate(_codes(train[name], test[name], bins, rows)) for name in chosen], axis=1)
    is_test = np.repeat([0.0, 1.0], [len(rows[0]), len(rows[1])])
    # One thread: on a busy machine several wait for each other longer than they compute.
    with threadpool_limits(limits=1):
        answers, spread = _cross_fit(codes, is_test)
    auc = area_under_curve(answers, is_test)
    order = np.argsort(-spread, kind="stable")[:DRIVERS]
    drivers = tuple(chosen[column] for column in order if spread[column] >= DRIVER_SHARE * spread.sum())
    return Adversary(round(auc, 4), drivers)


def area_under_curve(answers: Floats, is_positive: Floats) -> float:
    """Return the chance that a positive row has the higher answer; ties count half."""
    _, position, counts = np.unique(answers, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[position]
    positives = is_positive.sum()
    negatives = len(is_positive) - positives
    return float((ranks[is_positive == 1].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def _largest_gap(first: Floats, second: Floats) -> float:
    ordered = [np.sort(side[~np.isnan(side)]) for side in (first, second)]
    # Sorted as well: values are looked up many times faster in order.
    values = np.sort(np.concatenate(ordered))
    below = [
        np.searchsorted(known, values, side="right") / len(side)
        for known, side in zip(ordered, (first, second), strict=True)
    ]
    return float(np.abs(below[0] - below[1]).max(initial=0.0))


def _comparable(train: Mapping[str, Facts], test: Mapping[str, Facts], names: Sequence[str]) -> list[str]:
    """Leave out columns that cannot be compared; of very many keep those that drift beyond chance and some others.

    Keeping those that drift most would choose by the very rows that the model is tested on.
    """
    drifts = {name: column_drift(train[name], test[name]) for name in names}
    usable = [name for name in names if drifts[name] is not None]
    if len(usable) <= MOST_COLUMNS:
        return usable
    chance = drift_by_chance(*(side[usable[0]].sampled for side in (train, test)))
    beyond = sorted((name for name in usable if (drifts[name] or 0) > chance), key=lambda name: -(drifts[name] or 0))
    others = [name for name in usable if (drifts[name] or 0) <= chance]
    room = max(0, MOST_COLUMNS - len(beyond))
    return [*beyond[:MOST_COLUMNS], *others[:: max(1, len(others) // max(1, room))][:room]]


def _codes(train: Facts, test: Facts, bins: int, rows: Sequence[Codes]) -> list[Codes]:
    """Cut ``rows`` of both sides into the same bins: 0 is missing, numbers by quantiles, texts by how common."""
    if train.type == "VARCHAR":
        level = _levels(train, test, bins - 2)
        return [
            _text_codes([side.texts[row] for row in some], level, bins - 1)
            for side, some in zip((train, test), rows, strict=True)
        ]
    known = np.concatenate([train.numbers, test.numbers])
    known = known[~np.isnan(known)]
    edges = np.unique(np.quantile(known, np.linspace(0, 1, bins)[1:-1])) if known.size else np.empty(0)
    return [_number_codes(side.numbers[some], edges) for side, some in zip((train, test), rows, strict=True)]


def _levels(train: Facts, test: Facts, most: int) -> dict[str, int]:
    """Number the commonest texts of both sides together, from 1."""
    common = heapq.nsmallest(most, (train.counts + test.counts).items(), key=lambda item: (-item[1], item[0]))
    return {text: position + 1 for position, (text, _) in enumerate(common)}


def _shares(facts: Facts, level: Mapping[str, int]) -> Floats:
    """Return the shares of the sampled rows that are missing, that hold each of the texts in ``level``, any other."""
    known = facts.counts.total()
    common = [facts.counts[text] for text in level]
    return np.array([facts.sampled - known, *common, known - sum(common)]) / max(1, facts.sampled)


def _text_codes(texts: Sequence[str | None], level: Mapping[str, int], rare: int) -> Codes:
    return np.array([0 if text is None else level.get(text, rare) for text in texts], dtype=np.intp)


def _number_codes(values: Floats, edges: Floats) -> Codes:
    return np.where(np.isnan(values), 0, np.searchsorted(edges, values, side="left") + 1)


def _cross_fit(codes: Codes, is_test: Floats) -> tuple[Floats, Floats]:
    """Return each row's answer from the folds that it was not in, and how much each column moved the answers."""
    offsets = np.concatenate([[0], np.cumsum(codes.max(axis=0) + 1)])
    indicators = np.zeros((len(codes), int(offsets[-1])), dtype=np.float32)
    indicators[np.arange(len(codes))[:, None], codes + offsets[:-1]] = 1
    indicators -= indicators.mean(axis=0)
    wanted = (is_test - is_test.mean()).astype(np.float32)
    fold = np.concatenate([np.arange(int((is_test == side).sum())) % FOLDS for side in (0, 1)])
    products, sums = [], []
    for number in range(FOLDS):
        part = indicators[fold == number]
        products.append((part.T @ part).astype(np.float64))
        sums.append((part.T @ wanted[fold == number]).astype(np.float64))
    ridge = RIDGE_SHARE * len(codes) * np.eye(len(sums[0]))
    answers = np.zeros(len(codes))
    weights = np.zeros(len(sums[0]))
    for number in range(FOLDS):
        weight = np.linalg.solve(sum(products) - products[number] + ridge, sum(sums) - sums[number])
        answers[fold == number] = indicators[fold == number] @ weight
        weights += weight / FOLDS
    spread = np.array([(indicators[:, a:b] @ weights[a:b]).std() for a, b in pairwise(offsets)])
    return answers, spread
