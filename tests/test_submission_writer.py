"""The submission holds the ids as the files have them, in the order that is asked for, whole or not at all."""

from __future__ import annotations

import csv
import hashlib
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from autokaggle.errors import AutoKaggleError, CompetitionUnusable, OutsideWorldError
from autokaggle.skills.submission.writer import write_submission
from autokaggle.storage.parquet_tables import write_columns
from tests.small_plans import SAMPLE, TEST, SmallPlan, make_plan, text_column, write_tables

STRANGE_IDS = ["007", "1e5", "a,b", 'say "hi"', "línea\nnueva", "2011-01-20 00:00:00"]


def strange(folder: Path, **changes: Any) -> SmallPlan:
    plan = make_plan("rmse", **changes)
    column = text_column(STRANGE_IDS)
    return write_tables(plan, folder, {"id": column, "y": np.arange(6.0)}, {"id": column})


def read(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.reader(stream))


def values() -> dict[str, list[str]]:
    return {"y": [f"{number}.5" for number in range(6)]}


def test_values_follow_their_ids_into_the_order_of_the_sample(tmp_path: Path) -> None:
    small = strange(tmp_path)
    write_submission(tmp_path / "submission.csv", values(), small.plan, small.tables)
    header, *rows = read(tmp_path / "submission.csv")
    assert header == ["id", "y"]
    assert rows == [[name, f"{place}.5"] for place, name in reversed(list(enumerate(STRANGE_IDS)))]


def test_the_facts_are_those_of_the_file(tmp_path: Path) -> None:
    small = strange(tmp_path)
    facts = write_submission(tmp_path / "submission.csv", values(), small.plan, small.tables)
    content = (tmp_path / "submission.csv").read_bytes()
    assert facts.rows == 6
    assert facts.sha256 == hashlib.sha256(content).hexdigest()
    assert b"\r" not in content.replace(b"\r\n", b"")
    assert (tmp_path / "submission.csv").stat().st_mode & 0o777 == 0o600


def test_ids_may_stand_behind_the_values(tmp_path: Path) -> None:
    small = strange(tmp_path)
    layout = msgspec.structs.replace(small.plan.submission, columns=("y", "id"))
    plan = msgspec.structs.replace(small.plan, submission=layout)
    write_submission(tmp_path / "submission.csv", values(), plan, small.tables)
    assert read(tmp_path / "submission.csv")[:2] == [["y", "id"], ["5.5", STRANGE_IDS[5]]]


def test_without_a_sample_the_order_is_that_of_test(tmp_path: Path) -> None:
    small = strange(tmp_path)
    layout = msgspec.structs.replace(small.plan.submission, ids_from=TEST)
    write_submission(
        tmp_path / "submission.csv", values(), msgspec.structs.replace(small.plan, submission=layout), small.tables
    )
    assert [row[0] for row in read(tmp_path / "submission.csv")[1:]] == STRANGE_IDS


def test_without_ids_in_test_rows_are_matched_by_place(tmp_path: Path) -> None:
    small = strange(tmp_path)
    write_columns(small.tables / TEST, {"x": np.arange(6)})
    write_submission(tmp_path / "submission.csv", values(), small.plan, small.tables)
    assert [row[1] for row in read(tmp_path / "submission.csv")[1:]] == values()["y"]


def test_several_id_columns_are_matched_together(tmp_path: Path) -> None:
    plan = make_plan("rmse")
    plan = msgspec.structs.replace(
        plan,
        submission=msgspec.structs.replace(plan.submission, columns=("shop", "day", "y"), id_columns=("shop", "day")),
    )
    write_columns(tmp_path / TEST, {"shop": text_column("aabb"), "day": np.array([1, 2, 1, 2])})
    write_columns(
        tmp_path / SAMPLE, {"shop": text_column("abab"), "day": text_column([1, 1, 2, 2]), "y": text_column("0000")}
    )
    write_submission(tmp_path / "submission.csv", {"y": ["a1", "a2", "b1", "b2"]}, plan, tmp_path)
    assert [row[2] for row in read(tmp_path / "submission.csv")[1:]] == ["a1", "b1", "a2", "b2"]


def test_test_rows_that_are_not_asked_for_are_left_out(tmp_path: Path) -> None:
    small = strange(tmp_path)
    write_columns(small.tables / SAMPLE, {"id": text_column(STRANGE_IDS[2:4]), "y": text_column("00")})
    facts = write_submission(tmp_path / "submission.csv", values(), small.plan, small.tables)
    assert facts.rows == 2
    assert [row[1] for row in read(tmp_path / "submission.csv")[1:]] == ["2.5", "3.5"]


def test_ids_that_test_does_not_have_are_named_and_nothing_is_written(tmp_path: Path) -> None:
    small = strange(tmp_path)
    write_columns(small.tables / SAMPLE, {"id": text_column([*STRANGE_IDS[:5], "new"]), "y": text_column("000000")})
    with pytest.raises(CompetitionUnusable, match=r"1 ids of sample_submission.parquet are not in test.parquet.*new"):
        write_submission(tmp_path / "submission.csv", values(), small.plan, small.tables)
    assert not (tmp_path / "submission.csv").exists()


@pytest.mark.parametrize(("answers", "ordinary"), [(["3.5", "10.25", "4"], "4"), (["red", "blue", "red"], "red")])
def test_a_few_ids_that_test_does_not_have_get_the_ordinary_answer(
    answers: list[str], ordinary: str, tmp_path: Path
) -> None:
    names = [f"row {place}" for place in range(60)]
    test = {"id": text_column(names)}
    small = write_tables(make_plan("rmse"), tmp_path, {"id": text_column(names), "y": np.arange(60.0)}, test)
    write_columns(small.tables / SAMPLE, {"id": text_column([*names, "late"]), "y": np.zeros(61)})
    write_submission(tmp_path / "submission.csv", {"y": answers * 20}, small.plan, small.tables)
    *_, last = read(tmp_path / "submission.csv")
    assert last == ["late", ordinary]


def test_other_ids_and_another_number_of_rows_are_refused(tmp_path: Path) -> None:
    small = strange(tmp_path)
    write_columns(small.tables / SAMPLE, {"id": text_column("xyz"), "y": text_column("000")})
    with pytest.raises(CompetitionUnusable, match=r"asks for 3 rows, but test.parquet has 6"):
        write_submission(tmp_path / "submission.csv", values(), small.plan, small.tables)


def test_a_column_without_values_leaves_the_old_file_alone(tmp_path: Path) -> None:
    small = strange(tmp_path)
    path = tmp_path / "submission.csv"
    write_submission(path, values(), small.plan, small.tables)
    before = path.read_bytes()
    for wrong in ({}, {"y": ["1"]}):
        with pytest.raises(AutoKaggleError, match=f"'y' has {len(wrong.get('y', []))} values for 6 test rows"):
            write_submission(path, wrong, small.plan, small.tables)
    assert path.read_bytes() == before


def test_a_folder_that_is_not_there_is_the_outside_worlds_fault(tmp_path: Path) -> None:
    small = strange(tmp_path)
    with pytest.raises(OutsideWorldError, match="Cannot write"):
        write_submission(tmp_path / "nowhere" / "submission.csv", values(), small.plan, small.tables)
