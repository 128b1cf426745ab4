"""Inside the sandbox: this file tries a candidate's ``features.py`` on a few rows and writes what it made of them.

It is copied beside the candidate's code and imports nothing of autokaggle. It writes ``probe.json``: the features that
change in a row when other rows of the table do, and the columns of train that no feature depends on; and
``features.parquet``: the features of rows of train and of test as numbers (categories as codes), for checks outside.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

FIT_ROWS, SEEN_ROWS, TRIED_ROWS, MOST_COLUMNS = 4_000, 3_000, 200, 150
TOLERANCE = 1e-6


def main() -> None:
    """Probe the features of the fold that AUTOKAGGLE_FOLD names."""
    import files  # type: ignore[import-not-found]

    random = np.random.default_rng(0)
    train, test = files.load_table("train"), files.load_table("test")
    folds = files.load_folds()
    fold_of_row = folds[folds["repeat"] == 0].sort_values("row")["fold"].to_numpy()
    inside = fold_of_row == int(os.environ["AUTOKAGGLE_FOLD"])
    known = train[files.config()["target_columns"]].notna().all(axis=1).to_numpy()
    targets = files.config()["target_columns"]
    fit_rows = _some(np.flatnonzero(~inside & known), FIT_ROWS, random)
    seen_rows = _some(np.flatnonzero(inside), SEEN_ROWS, random)
    test_rows = _some(np.arange(len(test)), SEEN_ROWS, random)
    tables = [train.iloc[seen_rows].drop(columns=targets), test.iloc[test_rows]]
    features = Features(train.iloc[fit_rows])
    made = [features.of(table) for table in tables]
    output = Path(os.environ["AUTOKAGGLE_OUTPUT"])
    _write_features(output / "features.parquet", made, [seen_rows, test_rows])
    few = tables[0].iloc[:TRIED_ROWS]
    found = {"other_rows": features.that_look_at_other_rows(few), "unused": features.unused_columns(few, random)}
    (output / "probe.json").write_text(json.dumps(found), "utf-8")


class Features:
    """What the candidate's features learned from rows of other folds."""

    def __init__(self, rows: pd.DataFrame) -> None:
        import features  # type: ignore[import-not-found]

        self._transform = features.transform
        self._state = features.fit(rows.copy())

    def of(self, table: pd.DataFrame) -> pd.DataFrame:
        """Return the features of a table's rows."""
        made: pd.DataFrame = self._transform(table.reset_index(drop=True), self._state)
        if len(made) != len(table):
            raise SystemExit(f"features.transform returned {len(made)} of {len(table)} rows")
        return made.reset_index(drop=True)

    def that_look_at_other_rows(self, table: pd.DataFrame) -> list[str]:
        """Name the features of which a row's value is another when it stands beside fewer, or other, rows."""
        whole = self.of(table)
        changed: set[str] = set()
        for places in (np.arange(len(table))[::2], np.arange(len(table))[::-1], np.arange(min(1, len(table)))):
            alone = self.of(table.iloc[places])
            expected = whole.iloc[places].reset_index(drop=True)
            changed |= {str(name) for name in expected if name not in alone or _differ(expected[name], alone[name])}
        return sorted(changed)

    def unused_columns(self, table: pd.DataFrame, random: np.random.Generator) -> list[str]:
        """Name the columns whose values can change places without any feature noticing."""
        whole, unused = self.of(table), []
        for name in table.columns[:MOST_COLUMNS]:
            mixed = table.copy()
            mixed[name] = table[name].to_numpy()[random.permutation(len(table))]
            try:
                made = self.of(mixed)
                if not any(_differ(whole[each], made[each]) for each in whole if each in made):
                    unused.append(str(name))
            except Exception as error:  # noqa: BLE001 (what fails without its values does use them)
                print(f"{name} is needed: {error!r}")  # noqa: T201
        return unused


def _differ(left: pd.Series, right: pd.Series) -> bool:
    if pd.api.types.is_numeric_dtype(left) and pd.api.types.is_numeric_dtype(right):
        first, second = (side.to_numpy(np.float64, na_value=np.nan) for side in (left, right))
        return not np.allclose(first, second, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True)
    return not left.astype("str").equals(right.astype("str"))


def _write_features(path: Path, made: list[pd.DataFrame], rows: list[np.ndarray]) -> None:
    columns = {"row": pa.array(np.concatenate(rows), pa.int64())}
    columns["is_test"] = pa.array(np.repeat([False, True], [len(each) for each in rows]))
    for name in made[0].columns:
        both = pd.concat([each[name] for each in made], ignore_index=True)
        columns[f"feature {name}"] = pa.array(_as_numbers(both), pa.float64())
    pq.write_table(pa.table(columns), path)


def _as_numbers(values: pd.Series) -> np.ndarray:
    if pd.api.types.is_numeric_dtype(values):
        return values.to_numpy(np.float64, na_value=np.nan)
    codes = pd.factorize(values.astype("object"), sort=False)[0].astype(np.float64)
    return np.where(codes < 0, np.nan, codes)


def _some(rows: np.ndarray, most: int, random: np.random.Generator) -> np.ndarray:
    return rows if len(rows) <= most else np.sort(random.choice(rows, most, replace=False))


if __name__ == "__main__":
    main()
