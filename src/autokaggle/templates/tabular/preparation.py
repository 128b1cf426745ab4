"""How raw rows become a matrix; this file joins features.py and encoding.py, and keeps what is used more than once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

import encoding
import features
import files
from encoding import Encoded
from matrices import joined
from target_encoding import TargetEncoder

Rows = npt.NDArray[np.int64]

# One fold's own tables are kept up to this size: several scripts and steps ask for them.
MOST_KEPT_BYTES = 100_000_000


@dataclass(frozen=True, eq=False)
class Preparation:
    """What features.py learned, and the encoding of its features; ``is_shared`` by all folds when no label was used."""

    state: Any
    encoding: encoding.Encoding
    is_shared: bool


_encoded: dict[tuple[int, str], Encoded] = {}


def prepare_all_rows() -> Preparation:
    """Learn features and encoding once, from train and test; no target is involved."""
    tables = {role: _unlabelled(files.load_table(role)) for role in ("train", "test")}
    state = features.fit(tables["train"], tables["test"])
    made = {role: features.transform(table, state) for role, table in tables.items()}
    preparation = Preparation(state, _encoding(list(made.values())), is_shared=True)
    for role, table in made.items():
        _encoded[id(preparation), role] = encoding.encode(table, preparation.encoding)
    return preparation


def prepare_fold(fit_rows: Rows) -> Preparation:
    """Learn features from one fold's rows with their targets."""
    train = files.load_table("train").iloc[fit_rows]
    state = features.fit(train)
    return Preparation(state, _encoding([features.transform(_unlabelled(train), state)]), is_shared=False)


def encoded_table(preparation: Preparation, role: str) -> Encoded:
    """Return all rows of train or test as numbers, from memory where several folds share them."""
    if kept := _encoded.get((id(preparation), role)):
        return kept
    made = features.transform(_unlabelled(files.load_table(role)), preparation.state)
    encoded = encoding.encode(made, preparation.encoding)
    if preparation.is_shared or encoded.values.nbytes <= MOST_KEPT_BYTES:
        _encoded[id(preparation), role] = encoded
    return encoded


def matrix(role: str, encoded: Encoded, encoder: TargetEncoder, rows: Rows | None = None) -> encoding.Matrix:
    """Return the rows (all when None) of train or test with their encoded keys behind."""
    chosen = np.arange(len(encoded.values)) if rows is None else rows
    return joined(role, encoded.values[chosen], chosen, encoder.encode(encoded.keys[chosen]))


def _unlabelled(table: pd.DataFrame) -> pd.DataFrame:
    unlabelled: pd.DataFrame = table.drop(columns=files.config()["target_columns"], errors="ignore")
    return unlabelled


def _encoding(tables: list[pd.DataFrame]) -> encoding.Encoding:
    return encoding.fit(tables, files.config()["features"].get("target_encode", "keys"))
