"""Which rows train and which are predicted; this file reads the folds that were fixed once for all candidates.

It never makes folds of its own: scores of candidates would not be comparable.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

import files

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Split:
    """One fold of one repeat: 0-based positions in train, ascending."""

    repeat: int
    fold: int
    fit_rows: Rows
    scored_rows: Rows


def read_splits() -> list[Split]:
    """Return the splits of ``folds.parquet``.

    *kfold*: fold k trains on all other folds. *forward*: fold k trains on earlier folds only, so fold 0 is never
    predicted. With ``AUTOKAGGLE_FOLD=k`` only fold k of the first repeat is returned: its rows' labels may be absent.
    """
    table, forward, only = files.load_folds(), is_forward(), sealed_fold()
    splits = []
    if only is not None:
        table = table[table["repeat"] == 0]
    for repeat, part in table.groupby("repeat", sort=True):
        row, fold = part["row"].to_numpy(np.int64), part["fold"].to_numpy(np.int64)
        for number in sorted(set(fold.tolist())):
            if (forward and number == min(fold)) or only not in (None, number):
                continue
            fits = fold < number if forward else fold != number
            splits.append(Split(int(str(repeat)), number, np.sort(row[fits]), np.sort(row[fold == number])))
    if not splits:
        raise SystemExit("folds.parquet holds no fold that could be predicted.")
    return splits


def kept_together() -> Rows | None:
    """Return a number for each train row, the same where no repeat tells rows apart; None where folds keep no groups.

    So all rows of a group have the same number, though more than one group may have it.
    """
    if is_forward() or not files.config()["validation"].get("column"):
        return None
    table = files.load_folds()
    if sealed_fold() is not None:
        table = table[table["repeat"] == 0]
    by_repeat = table.pivot(index="row", columns="repeat", values="fold").sort_index().to_numpy()
    return np.unique(by_repeat, axis=0, return_inverse=True)[1].ravel().astype(np.int64)


def is_forward() -> bool:
    """Say whether each fold trains on earlier folds only."""
    return bool(files.config()["validation"]["kind"] == "forward")


def sealed_fold() -> int | None:
    """Return the one fold to work on, None for all."""
    only = os.environ.get("AUTOKAGGLE_FOLD")
    return int(only) if only else None
