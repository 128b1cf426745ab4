"""The file to hand in; this file writes ``submission.csv`` from predictions and the decision rule.

Ids are written as the exact text that the competition's files have.
"""

from __future__ import annotations

import csv
from collections import Counter
from typing import Any

import pandas as pd

import files
from decision import Floats, decide


def write(values: Floats, rule: dict[str, Any]) -> None:
    """Write one line per row to hand in; ``values`` is (n_test_rows, n_prediction_columns) in the order of test."""
    layout = files.config()["submission"]
    answers = decide(values, rule)
    ids = {name: _text(files.load_table(layout["ids_from"])[name]) for name in layout["id_columns"]}
    order = _order(ids, layout)
    path = files.output_folder() / "submission.csv"
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(layout["header"])
        columns = [ids[name] if name in ids else _answers(answers[name], order) for name in layout["columns"]]
        writer.writerows(zip(*columns, strict=True))
    print(f"{path}: {len(order)} rows")


def _answers(values: list[str], order: list[int | None]) -> list[str]:
    """Return one answer per row; what test does not have gets the middle number, or the commonest label."""
    ordinary = _ordinary(values) if None in order else ""
    return [ordinary if row is None else values[row] for row in order]


def _ordinary(values: list[str]) -> str:
    try:
        return sorted(values, key=float)[len(values) // 2]
    except ValueError:
        return max(sorted(set(values)), key=Counter(values).__getitem__)


def _order(ids: dict[str, list[str]], layout: dict[str, Any]) -> list[int | None]:
    """Return for each row to hand in its position in test, None for an id that test does not have.

    Rows are matched by id where test has the ids, else by place.
    """
    test = files.load_table("test")
    rows = len(next(iter(ids.values()))) if ids else len(test)
    if layout["ids_from"] == "test" or not all(name in test for name in ids):
        return list(range(rows))
    position = {key: row for row, key in enumerate(zip(*(_text(test[name]) for name in ids), strict=True))}
    wanted = list(zip(*ids.values(), strict=True))
    known = sum(key in position for key in wanted)
    return [position.get(key) for key in wanted] if known else list(range(rows))


def _text(column: pd.Series) -> list[str]:
    """Return the column's values as the files write them."""
    if pd.api.types.is_datetime64_any_dtype(column):
        return [str(value) for value in column]
    return [str(value) if not isinstance(value, float) else repr(value) for value in column.tolist()]
