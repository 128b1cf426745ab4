"""What Kaggle would refuse; this file reads ``submission.csv`` anew and compares it with what the competition wants.

It says nothing of how good the submission is.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Sequence
from pathlib import Path

from autokaggle.records import Plan
from autokaggle.skills.submission.id_rows import read_id_rows

EXAMPLES_SHOWN = 3
MISSING = frozenset({"", "nan", "null", "none", "na"})


def check_submission(path: Path, plan: Plan, tables: Path) -> tuple[str, ...]:
    """Return every problem found, each a sentence for people; nothing when Kaggle would take the file."""
    try:
        header, rows = _read(path)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        return (f"{path.name} cannot be read: {error}.",)
    columns = list(plan.submission.columns)
    if header != columns:
        return (f"The columns are {header}, the competition wants {columns}.",)
    ragged = [number for number, row in enumerate(rows, 2) if len(row) != len(columns)]
    if ragged:
        return (f"{len(ragged)} lines have another number of fields than the header, the first is line {ragged[0]}.",)
    return (*_id_problems(rows, plan, tables), *_value_problems(rows, plan))


def _read(path: Path) -> tuple[list[str], list[list[str]]]:
    with path.open(encoding="utf-8", newline="") as stream:
        reader = csv.reader(stream, strict=True)
        header = next(reader, [])
        return header, list(reader)


def _id_problems(rows: Sequence[Sequence[str]], plan: Plan, tables: Path) -> list[str]:
    wanted = read_id_rows(plan, tables)
    if len(rows) != len(wanted.test_rows):
        return [f"There are {len(rows)} rows, the competition wants {len(wanted.test_rows)}."]
    if not wanted.ids:
        return []
    places = [plan.submission.columns.index(name) for name in plan.submission.id_columns]
    given = [tuple(row[place] for place in places) for row in rows]
    expected = wanted.keys()
    if given == expected:
        return []
    missing, unknown = set(expected) - set(given), set(given) - set(expected)
    problems = []
    if missing:
        problems.append(f"{len(missing)} ids are missing, such as {_examples(missing)}.")
    if unknown:
        problems.append(f"{len(unknown)} ids are unknown, such as {_examples(unknown)}.")
    return problems or ["The ids are not in the order of the sample submission."]


def _value_problems(rows: Sequence[Sequence[str]], plan: Plan) -> list[str]:
    problems = []
    for place, name in enumerate(plan.submission.columns):
        if name in plan.submission.id_columns:
            continue
        values = [row[place] for row in rows]
        empty = [number for number, value in enumerate(values, 2) if value.strip().lower() in MISSING]
        if empty:
            problems.append(f"{len(empty)} values of {name!r} are empty, the first on line {empty[0]}.")
            continue
        wrong = [value for value in values if not _is_allowed(plan, name)(value)]
        if wrong:
            problems.append(f"{len(wrong)} values of {name!r} are not what is wanted, such as {_examples(wrong)}.")
    return problems


def _is_allowed(plan: Plan, column: str) -> Callable[[str], bool]:
    kind = plan.submission.kind
    # A submission column is a target of its own, or the one target goes by another name in the sample file.
    target = column if column in plan.classes else next(iter(plan.classes), "")
    labels = frozenset(plan.classes.get(target, ()))
    if kind == "label" and labels:
        return lambda value: value in labels
    if kind == "ranked_labels" and labels:
        return lambda value: (
            0 < len(value.split()) <= (plan.submission.list_length or math.inf) and set(value.split()) <= labels
        )
    if kind in ("probability", "class_probability"):
        return lambda value: _is_between(value, 0.0, 1.0)
    return lambda value: _is_between(value, -math.inf, math.inf)


def _is_between(text: str, low: float, high: float) -> bool:
    try:
        number = float(text)
    except ValueError:
        return False
    return math.isfinite(number) and low <= number <= high


def _examples(values: Sequence[object] | set[tuple[str, ...]]) -> str:
    shown = sorted({value[0] if isinstance(value, tuple) and len(value) == 1 else value for value in values}, key=str)
    return ", ".join(repr(value)[:60] for value in shown[:EXAMPLES_SHOWN])
