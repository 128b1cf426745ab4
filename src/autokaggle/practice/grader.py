"""How a submission file is judged; this file checks it against the solution and computes both scores.

Several target columns are scored one by one and averaged. The metrics are a few lines of numpy each, since importing
scikit-learn's takes two seconds that a demo should not spend.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

USAGE = "Usage"
PUBLIC = "Public"
PRIVATE = "Private"
SCORE_DECIMALS = 5
SMALLEST_CHANCE = 1e-15

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
Compute = Callable[[Sequence[str], Sequence[str]], float]


class RejectedFile(ValueError):
    """The file cannot be scored; the text says why."""


@dataclass(frozen=True)
class Scores:
    """The scores on the public and the private part of the test set."""

    public: float
    private: float


@dataclass(frozen=True)
class HostMetric:
    """A metric of the host; ``compute(truth, answer)`` takes the texts of one column."""

    compute: Compute
    greater_is_better: bool


def find_metric(wording: str) -> HostMetric | None:
    """Return the metric that ``evaluationMetric`` names, None when the server has no such metric."""
    return HOST_METRICS.get("".join(letter for letter in wording.lower() if letter.isalnum()))


def grade(content: bytes, solution: Path, wording: str) -> Scores:
    """Score a submission file against the solution.

    Raises:
        RejectedFile: the file is not what the sample submission shows, or the metric is unknown.
    """
    metric = find_metric(wording)
    if metric is None:
        raise RejectedFile(f"This server cannot compute {wording!r}.")
    columns, truth = _read_table(solution.read_text("utf-8"))
    targets = [name for name in columns[1:] if name != USAGE]
    answers = _read_answers(content, columns[0], targets, truth)
    return Scores(
        public=_score(metric, targets, _rows_of(truth, PUBLIC), answers),
        private=_score(metric, targets, _rows_of(truth, PRIVATE), answers),
    )


Table = Mapping[str, Mapping[str, str]]


def _read_table(text: str) -> tuple[list[str], dict[str, dict[str, str]]]:
    """Return the header, and the rows by their first column."""
    reader = csv.DictReader(io.StringIO(text, newline=""))
    columns = list(reader.fieldnames or [])
    if not columns:
        raise RejectedFile("The file is empty.")
    rows: dict[str, dict[str, str]] = {}
    for row in reader:
        if None in row or None in row.values():
            raise RejectedFile(f"Line {reader.line_num} does not have {len(columns)} values.")
        if row[columns[0]] in rows:
            raise RejectedFile(f"{columns[0]} {row[columns[0]]} occurs twice.")
        rows[row[columns[0]]] = row
    return columns, rows


def _read_answers(content: bytes, id_column: str, targets: Sequence[str], truth: Table) -> Table:
    try:
        columns, rows = _read_table(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise RejectedFile("The file is not UTF-8 text.") from error
    expected = [id_column, *targets]
    if sorted(columns) != sorted(expected):
        raise RejectedFile(f"The columns must be {', '.join(expected)}; found {', '.join(columns)}.")
    by_id = {row[id_column]: row for row in rows.values()}
    if by_id.keys() != truth.keys():
        missing = sum(key not in by_id for key in truth)
        unknown = sum(key not in truth for key in by_id)
        raise RejectedFile(f"{len(truth)} rows were expected; {missing} ids are missing, {unknown} are unknown.")
    if any(not row[name].strip() for row in by_id.values() for name in targets):
        raise RejectedFile("The file holds empty values.")
    return by_id


def _rows_of(truth: Table, usage: str) -> Table:
    return {key: row for key, row in truth.items() if row.get(USAGE, usage) == usage}


def _score(metric: HostMetric, targets: Sequence[str], truth: Table, answers: Table) -> float:
    scores = [
        metric.compute([row[name] for row in truth.values()], [answers[key][name] for key in truth]) for name in targets
    ]
    return math.fsum(scores) / len(scores)


def _of_numbers(compute: Callable[[FloatArray, FloatArray], float]) -> Compute:
    def of_texts(truth: Sequence[str], answer: Sequence[str]) -> float:
        return float(compute(_numbers(truth), _numbers(answer)))

    return of_texts


def _numbers(texts: Sequence[str]) -> FloatArray:
    try:
        numbers = np.array([float(text) for text in texts])
    except ValueError as error:
        raise RejectedFile(f"A value is not a number: {error}.") from error
    if not np.isfinite(numbers).all():
        raise RejectedFile("A value is not finite.")
    return numbers


def _mean_absolute_error(truth: FloatArray, answer: FloatArray) -> float:
    return float(np.abs(truth - answer).mean())


def _root_mean_squared_error(truth: FloatArray, answer: FloatArray) -> float:
    return float(np.sqrt(np.square(truth - answer).mean()))


def _root_mean_squared_log_error(truth: FloatArray, answer: FloatArray) -> float:
    if (answer < 0).any():
        raise RejectedFile("A value is negative.")
    return _root_mean_squared_error(np.log1p(truth), np.log1p(answer))


def _log_loss(truth: FloatArray, answer: FloatArray) -> float:
    if (answer < 0).any() or (answer > 1).any():
        raise RejectedFile("A value is no probability.")
    chance = np.clip(np.where(truth == 1, answer, 1 - answer), SMALLEST_CHANCE, 1)
    return float(-np.log(chance).mean())


def _area_under_roc(truth: FloatArray, answer: FloatArray) -> float:
    """Return the share of pairs of a positive and a negative row that are in the right order; ties count half."""
    _, position, count = np.unique(answer, return_inverse=True, return_counts=True)
    rank = (np.cumsum(count) - (count - 1) / 2)[position]
    positives = truth == 1
    n_positive = int(positives.sum())
    pairs = n_positive * (len(truth) - n_positive)
    return float((rank[positives].sum() - n_positive * (n_positive + 1) / 2) / pairs)


def _accuracy(truth: Sequence[str], answer: Sequence[str]) -> float:
    return sum(a == t for t, a in zip(truth, answer, strict=True)) / len(truth)


HOST_METRICS = {
    "meanabsoluteerror": HostMetric(_of_numbers(_mean_absolute_error), greater_is_better=False),
    "rootmeansquarederror": HostMetric(_of_numbers(_root_mean_squared_error), greater_is_better=False),
    "rootmeansquaredlogarithmicerror": HostMetric(_of_numbers(_root_mean_squared_log_error), greater_is_better=False),
    "logloss": HostMetric(_of_numbers(_log_loss), greater_is_better=False),
    "areaunderreceiveroperatingcharacteristiccurve": HostMetric(_of_numbers(_area_under_roc), greater_is_better=True),
    "categorizationaccuracy": HostMetric(_accuracy, greater_is_better=True),
}
