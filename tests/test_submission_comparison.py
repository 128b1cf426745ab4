"""Comparing a rebuilt submission with the one that was handed in: same, close, another, or no submission at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from autokaggle.skills.submission.comparison import compare_submissions

HEADER = "id,price\n"


def files(folder: Path, expected: str, found: str | None) -> tuple[Path, Path]:
    (folder / "expected.csv").write_text(expected, "utf-8")
    if found is not None:
        (folder / "found.csv").write_text(found, "utf-8")
    return folder / "expected.csv", folder / "found.csv"


def test_the_same_bytes_are_identical(tmp_path: Path) -> None:
    found = compare_submissions(*files(tmp_path, HEADER + "1,2.5\n2,3\n", HEADER + "1,2.5\n2,3\n"))
    assert (found.verdict, found.rows, found.cells) == ("identical", 2, 0)


@pytest.mark.parametrize(
    ("value", "verdict"),
    [("2.5000000001", "close"), ("2.5001", "different"), ("2.50", "close"), ("nan", "different"), ("two", "different")],
)
def test_numbers_are_compared_as_numbers(tmp_path: Path, value: str, verdict: str) -> None:
    found = compare_submissions(*files(tmp_path, HEADER + "1,2.5\n", f"{HEADER}1,{value}\n"))
    assert found.verdict == verdict
    assert found.cells == 1


def test_large_numbers_may_differ_in_proportion(tmp_path: Path) -> None:
    found = compare_submissions(*files(tmp_path, HEADER + "1,200000000\n", HEADER + "1,200000100\n"))
    assert found.verdict == "close"


def test_the_largest_difference_is_named_with_its_place(tmp_path: Path) -> None:
    found = compare_submissions(*files(tmp_path, HEADER + "1,2\n2,3\n", HEADER + "1,2.1\n2,9\n"))
    assert (found.cells, found.beyond) == (2, 2)
    assert found.where == "line 3, column 'price': 3 became 9"


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        (None, "no submission was written"),
        ("id,cost\n1,2\n", "the columns are others"),
        (HEADER + "1,2\n", "line 3 is missing or longer"),
        (HEADER + "1,2\n2,3,4\n", "line 3 is missing or longer"),
        (HEADER + "1,2\n" * 2000, "the file is several times as large"),
    ],
)
def test_what_is_no_such_table_is_another_submission(tmp_path: Path, written: str | None, problem: str) -> None:
    found = compare_submissions(*files(tmp_path, HEADER + "1,2\n2,3\n", written))
    assert (found.verdict, found.problem) == ("different", problem)


def test_labels_that_differ_are_another_submission(tmp_path: Path) -> None:
    found = compare_submissions(*files(tmp_path, "id,kind\n1,pear\n", "id,kind\n1,apple\n"))
    assert (found.verdict, found.beyond) == ("different", 1)
