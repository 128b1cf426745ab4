"""Try features.py on a few rows; this file ends with one line on what is wrong, if anything is.

A row's features may depend on that row and on what ``fit`` learned, on nothing else: so they must be the same when
other rows are left out, or stand in another order.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

import features
import files

Table = pd.DataFrame
MOST_FEATURES = 3_000


def main() -> None:
    """Fit on most of train, transform the rest and test, and compare.

    Raises:
        SystemExit: the features break the contract; the message says how.
    """
    targets = files.config()["target_columns"]
    train, test = files.load_table("train"), files.load_table("test")
    half = len(train) // 2
    fitted, rest = train.iloc[:half].reset_index(drop=True), train.iloc[half:].reset_index(drop=True)
    state = features.fit(fitted.copy())
    made = {}
    for name, table in (("fit rows", fitted), ("scored rows", rest), ("test rows", test)):
        bare = table.drop(columns=targets, errors="ignore")
        made[name] = features.transform(bare.copy(), state)
        check_form(name, bare, made[name])
    check_columns(made)
    bare = rest.drop(columns=targets, errors="ignore")
    order = np.random.default_rng(0).permutation(len(bare))[: max(2, len(bare) // 2)]
    again = features.transform(bare.iloc[order].reset_index(drop=True), state)
    check_rows(made["scored rows"].iloc[order].reset_index(drop=True), again)


def check_form(name: str, given: Table, made: object) -> None:
    """Check that the table has a row for each given, and holds numbers, truths and categories only."""
    if not isinstance(made, pd.DataFrame):
        raise SystemExit(f"Probe: transform returned {type(made).__name__} for {name}, and must return a DataFrame.")
    if len(made) != len(given):
        raise SystemExit(f"Probe: transform returned {len(made)} of {len(given)} {name}; keep their number and order.")
    if not 1 <= made.shape[1] <= MOST_FEATURES:
        raise SystemExit(f"Probe: transform returned {made.shape[1]} columns; from 1 to {MOST_FEATURES} are taken.")
    if made.columns.duplicated().any():
        twice = made.columns[made.columns.duplicated()][0]
        raise SystemExit(f"Probe: transform returned two columns named {twice!r}.")
    for column, kind in made.dtypes.items():
        if pd.api.types.is_datetime64_any_dtype(kind):
            raise SystemExit(f"Probe: column {column!r} holds times; make numbers of them.")


def check_columns(made: dict[str, Table]) -> None:
    """Check that all tables have the same columns in the same order."""
    wanted = list(made["fit rows"].columns)
    for name, table in made.items():
        if list(table.columns) != wanted:
            different = sorted(set(map(str, table.columns)) ^ set(map(str, wanted)))[:3]
            raise SystemExit(f"Probe: columns differ between fit rows and {name}: {', '.join(different) or 'order'}.")


def check_rows(before: Table, after: Table) -> None:
    """Check that rows have the features that they had among others."""
    for column in before.columns:
        if not is_same(before[column], after[column]):
            raise SystemExit(
                f"Probe: {column!r} of a row depends on other rows of its table; learn it in fit, keep it in state."
            )


def is_same(left: pd.Series, right: pd.Series) -> bool:
    """Say whether two columns hold the same values, but for the last digits of numbers."""
    if pd.api.types.is_numeric_dtype(left) and pd.api.types.is_numeric_dtype(right):
        pair = left.to_numpy(np.float64, na_value=np.nan), right.to_numpy(np.float64, na_value=np.nan)
        return bool(np.allclose(*pair, rtol=1e-6, atol=1e-9, equal_nan=True))
    return bool((left.astype("str").to_numpy() == right.astype("str").to_numpy()).all())


if __name__ == "__main__":
    main()
