"""Which rows belong together; this file finds the columns whose values name one series each.

Keys are the fewest columns that, with the time, name every row at most once. A value of a key comes back at many times,
and test has mostly values that train has.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

Integers = npt.NDArray[np.int64]

FEWEST_ROWS_OF_VALUE = 4
SEEN_SHARE = 0.5
# Keys that leave this share of rows doubled still name series: measurements may repeat.
DOUBLED_SHARE = 0.01


def find_keys(table: pd.DataFrame, test: pd.DataFrame, steps: Integers, columns: list[str]) -> tuple[str, ...]:
    """Return the keys among ``columns`` of ``table``, of which ``steps`` are the rows' times."""
    left = [name for name in columns if _may_be_key(table[name], test[name])]
    codes = {name: pd.factorize(table[name])[0].astype(np.int64) for name in left}
    names, whole = [], steps
    doubled = _doubled(whole)
    while left and doubled > DOUBLED_SHARE:
        found = {name: _doubled(_combined(whole, codes[name])) for name in left}
        best = min(left, key=lambda name: (found[name], int(codes[name].max())))
        if found[best] >= doubled:
            break
        names.append(best)
        left.remove(best)
        whole, doubled = _combined(whole, codes[best]), found[best]
    return tuple(names)


def number_series(table: pd.DataFrame, keys: tuple[str, ...]) -> pd.Index:
    """Return the name of each row's series."""
    named = pd.Series("", index=table.index)
    for name in keys:
        named = named + table[name].astype("str").fillna("") + "\x1f"
    return pd.Index(named)


def _may_be_key(column: pd.Series, test: pd.Series) -> bool:
    if pd.api.types.is_datetime64_any_dtype(column):
        return False
    if pd.api.types.is_float_dtype(column) and not np.all(np.mod(column.dropna(), 1) == 0):
        return False
    values = column.nunique()
    seen = test.dropna().isin(column.unique()).mean() if len(test.dropna()) else 0.0
    return values > 1 and len(column) >= FEWEST_ROWS_OF_VALUE * values and seen >= SEEN_SHARE


def _doubled(codes: Integers) -> float:
    """Return the share of rows that have the same code as an earlier one."""
    return 1 - len(np.unique(codes)) / max(1, len(codes))


def _combined(left: Integers, right: Integers) -> Integers:
    _, places = np.unique(left * (int(right.max()) + 2) + right + 1, return_inverse=True)
    return np.asarray(places, dtype=np.int64)
