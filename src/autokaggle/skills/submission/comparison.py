"""Two submissions side by side; this file says whether they are the same, and where they differ most."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Literal

# Differences up to this, relative for numbers above 1, come from the order in which floats are added up.
TOLERANCE = 1e-6
LARGEST_FILE_FACTOR = 4

Verdict = Literal["identical", "close", "different"]


@dataclass(frozen=True)
class Comparison:
    """What two submissions have in common.

    ``cells`` counts the values that differ at all, ``beyond`` those that differ by more than the tolerance;
    ``largest`` is the greatest difference of numbers, at ``where`` (line and column). ``problem`` says in a phrase why
    they cannot be compared cell by cell.
    """

    verdict: Verdict
    expected_sha256: str
    found_sha256: str
    rows: int = 0
    cells: int = 0
    beyond: int = 0
    largest: float = 0.0
    where: str = ""
    problem: str = ""


def compare_submissions(expected: Path, found: Path) -> Comparison:
    """Compare ``found``, which untrusted code wrote, with ``expected``, line by line."""
    ours = _sha256(expected)
    if not found.is_file() or found.is_symlink():
        return Comparison("different", ours, "", problem="no submission was written")
    if found.stat().st_size > LARGEST_FILE_FACTOR * expected.stat().st_size + 1024:
        return Comparison("different", ours, "", problem="the file is several times as large")
    theirs = _sha256(found)
    if ours == theirs:
        return Comparison("identical", ours, theirs, rows=sum(1 for _ in _lines(expected)) - 1)
    return _by_cell(expected, found, ours, theirs)


def _by_cell(expected: Path, found: Path, ours: str, theirs: str) -> Comparison:
    cells = beyond = rows = 0
    largest, where = 0.0, ""
    header: list[str] = []
    for line, (mine, other) in enumerate(zip_longest(_lines(expected), _lines(found)), start=1):
        if mine is None or other is None or len(mine) != len(other):
            return Comparison("different", ours, theirs, rows=rows, problem=f"line {line} is missing or longer")
        if line == 1:
            header = mine
            if mine != other:
                return Comparison("different", ours, theirs, problem="the columns are others")
            continue
        rows += 1
        for name, left, right in zip(header, mine, other, strict=True):
            if left == right:
                continue
            cells += 1
            difference = _difference(left, right)
            beyond += difference > TOLERANCE
            if difference > largest:
                largest, where = difference, f"line {line}, column {name!r}: {left[:40]} became {right[:40]}"
    verdict: Verdict = "different" if beyond else "close"
    return Comparison(verdict, ours, theirs, rows, cells, beyond, largest, where)


def _difference(left: str, right: str) -> float:
    """Return how far two values are apart, relative to the first above 1; infinity where one is no number."""
    try:
        mine, other = float(left), float(right)
    except ValueError:
        return float("inf")
    apart = abs(mine - other) / max(1.0, abs(mine))
    return apart if apart == apart else float("inf")


def _lines(path: Path) -> Iterator[list[str]]:
    with path.open(encoding="utf-8", errors="replace", newline="") as stream:
        yield from csv.reader(stream)


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
