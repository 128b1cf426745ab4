"""Features as a matrix; this file gives categories and keys their numbers, without looking at targets.

The matrix is float32, one row per table row: first the numbers, then the categories as codes (missing is NaN).
Model columns have no names, only positions, so that any column name of the data is harmless; ``names`` tells them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

Matrix = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int32]

# A feature of this name and a target's is no feature but the value from which the model learns to depart.
BASELINE = "baseline: "
# From here on float32 cannot tell neighbouring whole numbers apart.
LONG_NUMBER = 2.0**24


@dataclass(frozen=True)
class Encoded:
    """The rows of one table: ``values`` (n, features), and ``keys`` (n, key columns), -1 where missing or unknown.

    ``baselines`` (n, targets or none) is on the scale on which the model learns; a row without one does not train.
    """

    values: Matrix
    keys: Codes
    baselines: Floats


@dataclass(frozen=True)
class Encoding:
    """What each feature becomes.

    ``offsets`` are taken off numbers too long for float32. ``levels`` are the known values of categories and keys,
    the commonest first.
    """

    numbers: tuple[str, ...]
    offsets: tuple[float, ...]
    categories: tuple[str, ...]
    keys: tuple[str, ...]
    levels: dict[str, pd.Index]
    baselines: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The readable name of each column of the matrix."""
        return (*self.numbers, *self.categories)

    @property
    def category_columns(self) -> list[int]:
        """The positions of the categories in the matrix."""
        return list(range(len(self.numbers), len(self.names)))


def fit(tables: Sequence[pd.DataFrame], target_encode: str) -> Encoding:
    """Learn the levels of categories and keys from all rows; numbers that never vary are left out.

    ``target_encode`` says what is told by the target besides: ``keys``, ``all`` (categories too), or ``none``.
    """
    numbers: list[str] = []
    offsets: list[float] = []
    categories: list[str] = []
    keys: list[str] = []
    baselines = tuple(str(name) for name in tables[0] if str(name).startswith(BASELINE))
    levels: dict[str, pd.Index] = {}
    for name, column in tables[0].drop(columns=list(baselines)).items():
        columns = [table[name] for table in tables]
        if pd.api.types.is_numeric_dtype(column):
            values = pd.concat(columns)
            if values.nunique(dropna=False) > 1:
                numbers.append(str(name))
                offsets.append(float(values.min()) if LONG_NUMBER < values.abs().max() < np.inf else 0.0)
            continue
        levels[str(name)] = pd.Index(pd.concat([part.astype("str") for part in columns]).value_counts().index)
        (categories if isinstance(column.dtype, pd.CategoricalDtype) else keys).append(str(name))
    encoded = {"none": [], "keys": keys, "all": [*keys, *categories]}[target_encode]
    return Encoding(tuple(numbers), tuple(offsets), tuple(categories), tuple(encoded), levels, baselines)


def encode(table: pd.DataFrame, encoding: Encoding) -> Encoded:
    """Return the rows of ``table`` as numbers, in its order."""
    values = np.empty((len(table), len(encoding.names)), dtype=np.float32)
    for position, (name, offset) in enumerate(zip(encoding.numbers, encoding.offsets, strict=True)):
        with np.errstate(over="ignore"):
            values[:, position] = table[name].to_numpy(np.float64, na_value=np.nan) - offset
    values[np.isinf(values)] = np.nan
    for position, name in enumerate(encoding.categories, start=len(encoding.numbers)):
        codes = _codes(table[name], encoding.levels[name])
        values[:, position] = np.where(codes < 0, np.nan, codes)
    keys = [_codes(table[name], encoding.levels[name]) for name in encoding.keys]
    codes_of_keys = np.stack(keys, axis=1) if keys else np.empty((len(table), 0), dtype=np.int32)
    return Encoded(values, codes_of_keys, table[list(encoding.baselines)].to_numpy(np.float64))


def _codes(column: pd.Series, levels: pd.Index) -> Codes:
    if isinstance(column.dtype, pd.CategoricalDtype):  # as text each level once, not each row
        places = np.append(levels.get_indexer(pd.Index(column.cat.categories.astype("str"))), -1)
        return places[column.cat.codes.to_numpy()].astype(np.int32)
    return levels.get_indexer(pd.Index(column.astype("str"))).astype(np.int32)
