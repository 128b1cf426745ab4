"""How rows are shared out among folds; this file holds one function for each scheme, on arrays alone.

Each returns the fold of each row. Randomness comes from the caller's generator.
"""

from __future__ import annotations

import heapq

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

MOST_BINS = 10
# Above this many groups their share of each class is even enough by chance.
MOST_GROUPS_BALANCED = 30_000
# Forward blocks together are at least this share of the time, that scores do not rest on a handful of rows.
LEAST_VALIDATED_SHARE = 0.1
# The first block, on which the first model is trained, is at least this share of the time.
LEAST_FIRST_SHARE = 0.25


def plain(rows: int, folds: int, random: np.random.Generator) -> Integers:
    """Share rows out evenly at random."""
    return random.permutation(np.arange(rows, dtype=np.int64) % folds)


def stratified(strata: Integers, folds: int, random: np.random.Generator) -> Integers:
    """Give each fold its share of each stratum; folds differ by one row at most, in all and in each stratum."""
    shuffled = random.permutation(len(strata))
    dealt = shuffled[np.argsort(strata[shuffled], kind="stable")]
    result = np.empty(len(strata), dtype=np.int64)
    result[dealt] = np.arange(len(strata)) % folds
    return random.permutation(folds)[result]


def grouped(groups: Integers, folds: int, random: np.random.Generator) -> Integers:
    """Keep each group in one fold; the largest group left goes to the smallest fold."""
    _, place, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    shuffled = random.permutation(len(sizes))
    order = shuffled[np.argsort(-sizes[shuffled], kind="stable")]
    fold_of_group = np.empty(len(sizes), dtype=np.int64)
    heap = [(0, fold) for fold in range(folds)]
    for group in order.tolist():
        rows, fold = heap[0]
        fold_of_group[group] = fold
        heapq.heapreplace(heap, (rows + int(sizes[group]), fold))
    return fold_of_group[place]


def stratified_grouped(strata: Integers, groups: Integers, folds: int, random: np.random.Generator) -> Integers:
    """Keep each group in one fold, and give each fold its share of each stratum as far as groups allow."""
    _, place, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    if len(sizes) > MOST_GROUPS_BALANCED:
        return grouped(groups, folds, random)
    _, stratum = np.unique(strata, return_inverse=True)
    rows_of_group = np.zeros((len(sizes), int(stratum.max()) + 1))
    np.add.at(rows_of_group, (place, stratum), 1.0)
    share = rows_of_group / rows_of_group.sum(axis=0)
    shuffled = random.permutation(len(sizes))
    order = shuffled[np.argsort(-sizes[shuffled], kind="stable")]
    filled = np.zeros((folds, share.shape[1]))
    fold_of_group = np.empty(len(sizes), dtype=np.int64)
    for group in order:
        # Adding a vector g to fold f changes the sum of squares by 2 f.g + g.g, the least where f.g is least.
        fold = int(np.argmin(filled @ share[group]))
        fold_of_group[group] = fold
        filled[fold] += share[group]
    return fold_of_group[place]


def forward(times: Floats, test_times: Floats, folds: int) -> Integers:
    """Cut time into blocks, fold 0 the oldest; moments that are equal share a fold, rows without one are in fold 0.

    Where test lies after train each block is as long as test, so that each fold predicts as far ahead as is asked;
    otherwise blocks hold the same number of rows.
    """
    known = times[np.isfinite(times)]
    first, last = float(known.min()), float(known.max())
    later = test_times[np.isfinite(test_times)]
    if len(later) and float(later.min()) >= last and last > first:
        cuts = _horizon_cuts(first, last, float(later.max()), folds)
    else:
        cuts = np.quantile(known, np.arange(1, folds + 1) / (folds + 1))
    # A moment on a cut is the last one before it, as the last moment of train is the one before test.
    blocks = np.searchsorted(cuts, np.nan_to_num(times, nan=-np.inf), side="left")
    _, dense = np.unique(blocks, return_inverse=True)
    return dense.astype(np.int64)


def bins(values: Floats) -> Integers:
    """Return each value's quantile bin, -1 where it is missing."""
    known = np.isfinite(values)
    if not known.any():
        return np.full(len(values), -1, dtype=np.int64)
    cuts = np.quantile(values[known], np.arange(1, MOST_BINS) / MOST_BINS)
    return np.where(known, np.searchsorted(cuts, np.nan_to_num(values), side="right"), -1).astype(np.int64)


def _horizon_cuts(first: float, last: float, end: float, folds: int) -> Floats:
    span = last - first
    horizon = max(end - last, LEAST_VALIDATED_SHARE * span / folds)
    blocks = int(min(folds, (1 - LEAST_FIRST_SHARE) * span / horizon))
    if blocks < 1:
        blocks, horizon = 2, span / 3
    return last - horizon * np.arange(blocks, 0, -1, dtype=np.float64)
