"""The last look before anything is handed in; this file reads ``submission.csv`` as Kaggle would, and trusts nobody.

It shares no code with the writer: what is expected comes from the plan and the competition's own tables.
"""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from autokaggle.records.plan import Plan
from autokaggle.storage.parquet_tables import read_text_columns, row_count

EMPTY_WORDS = frozenset({"", "nan", "null", "none", "na", "n/a"})
LOGARITHMIC_METRICS = ("rmsle", "msle")
EXAMPLES = 3
MOST_BYTES = 20 << 30

Row = Sequence[str]


def check_submission(path: Path, plan: Plan, tables: Path) -> tuple[str, ...]:
    """Return what Kaggle would refuse or misread, a sentence each; empty when the file is fine."""
    try:
        if path.stat().st_size > MOST_BYTES:
            return (f"{path.name} is larger than {MOST_BYTES >> 30} GB.",)
        with path.open(encoding="utf-8", newline="") as stream:
            reader = csv.reader(stream, strict=True)
            header = next(reader, None)
            if header is None:
                return (f"{path.name} is empty.",)
            if tuple(header) != plan.submission.first_line:
                return (f"The columns are {header}; expected, in this order: {list(plan.submission.first_line)}.",)
            rows = list(reader)
    except OSError as error:
        return (f"{path.name} cannot be read: {error.strerror or error}.",)
    except (UnicodeDecodeError, csv.Error) as error:
        return (f"{path.name} is no CSV file in UTF-8: {error}.",)
    return tuple(_check_rows(rows, plan, tables))


def _check_rows(rows: list[list[str]], plan: Plan, tables: Path) -> Iterator[str]:
    width = len(plan.submission.columns)
    ragged = [number for number, row in enumerate(rows, 2) if len(row) != width]
    if ragged:
        yield f"{len(ragged):,} lines do not have {width} cells, the first is line {ragged[0]}."
        return
    yield from _check_ids(rows, plan, tables)
    for place, column in enumerate(plan.submission.columns):
        if column not in plan.submission.id_columns:
            yield from _check_values(column, [row[place] for row in rows], plan)
    if plan.submission.kind == "class_probability":
        yield from _check_sums(rows, plan)


def _check_ids(rows: Sequence[Row], plan: Plan, tables: Path) -> Iterator[str]:
    layout = plan.submission
    table = tables / layout.ids_from
    expected_rows = row_count(table)
    if len(rows) != expected_rows:
        yield f"There are {len(rows):,} rows; expected {expected_rows:,}."
    if not layout.id_columns:
        return
    places = [layout.columns.index(name) for name in layout.id_columns]
    given = [tuple(row[place] for place in places) for row in rows]
    expected = list(zip(*read_text_columns(table, layout.id_columns).values(), strict=True))
    if given == expected:
        return
    found, wanted = Counter(given), Counter(expected)
    if repeated := [key for key, count in found.items() if count > max(1, wanted[key])]:
        yield f"{len(repeated):,} ids are there more than once: {_examples(repeated)}."
    if missing := [key for key in wanted if key not in found]:
        yield f"{len(missing):,} ids are missing: {_examples(missing)}."
    if strange := [key for key in found if key not in wanted]:
        yield f"{len(strange):,} ids are not asked for: {_examples(strange)}."
    if found == wanted:
        yield f"The rows are not in the order of {layout.ids_from}."


def _check_values(column: str, values: Sequence[str], plan: Plan) -> Iterator[str]:
    labels = _labels(column, plan)
    empty = sum(value.strip().lower() in EMPTY_WORDS and value not in labels for value in values)
    if empty:
        yield f"Column {column!r} has {empty:,} empty values."
        return
    refuses, what = _refusal(plan, labels)
    if refused := [value for value in values if refuses(value)]:
        yield f"Column {column!r} has {len(refused):,} values that are not {what}: {_examples(sorted(set(refused)))}."


def _labels(column: str, plan: Plan) -> frozenset[str]:
    """Return the labels that a column may hold; none when it holds numbers."""
    if plan.submission.kind not in ("label", "ranked_labels") or not plan.classes:
        return frozenset()
    known = plan.classes.get(column) or [label for labels in plan.classes.values() for label in labels]
    return frozenset(known)


def _refusal(plan: Plan, labels: frozenset[str]) -> tuple[Callable[[str], bool], str]:
    """Return a test for values that Kaggle refuses, and what is expected instead."""
    kind, length = plan.submission.kind, plan.submission.list_length
    if kind == "ranked_labels":
        return (lambda value: _is_bad_list(value, labels, length)), f"up to {length} different labels"
    if labels:
        return (lambda value: value not in labels), f"among the labels {_examples(sorted(labels))}"
    if kind in ("probability", "class_probability") and plan.classes:
        return (lambda value: not 0 <= _number(value) <= 1), "probabilities"
    if plan.metric in LOGARITHMIC_METRICS:
        return (lambda value: not 0 <= _number(value) < math.inf), "numbers from 0 on, as the metric needs"
    return (lambda value: not math.isfinite(_number(value))), "finite numbers"


def _is_bad_list(value: str, labels: frozenset[str], length: int) -> bool:
    given = value.split(" ")
    return len(given) > max(1, length) or len(set(given)) < len(given) or not labels.issuperset(given)


def _check_sums(rows: Sequence[Row], plan: Plan) -> Iterator[str]:
    places = [n for n, name in enumerate(plan.submission.columns) if name not in plan.submission.id_columns]
    bad = sum(not sum(_number(row[place]) for place in places) > 0 for row in rows)
    if bad:
        yield f"In {bad:,} rows the probabilities do not add up to more than 0."


def _number(text: str) -> float:
    # float() also takes underscores and foreign digits, which no scorer reads.
    try:
        return float(text) if text.isascii() and "_" not in text else math.nan
    except ValueError:
        return math.nan


def _examples(values: Sequence[object]) -> str:
    shown = ", ".join(
        str(value[0] if isinstance(value, tuple) and len(value) == 1 else value) for value in values[:EXAMPLES]
    )
    return f"{shown}, ..." if len(values) > EXAMPLES else shown
