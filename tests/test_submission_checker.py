"""Whatever Kaggle would refuse is found before it is sent."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autokaggle.records.plan import Plan
from autokaggle.skills.submission.checker import check_submission
from tests.small_plans import make_plan, text_column, write_tables

IDS = ["0001_01", "0001_02", "0002_01", "0003_01"]
ASKED = IDS[::-1]


def prepared(folder: Path, plan: Plan) -> Plan:
    write_tables(plan, folder, {"id": text_column(IDS), "y": np.arange(4.0)}, {"id": text_column(IDS)})
    return plan


def labels(**more: Any) -> Plan:
    return make_plan("accuracy", task="binary_classification", kind="label", classes={"y": ("False", "True")}, **more)


def probabilities() -> Plan:
    return make_plan("roc_auc", task="binary_classification", kind="probability", classes={"y": ("0", "1")})


def class_probabilities() -> Plan:
    return make_plan(
        "mlogloss",
        task="multiclass_classification",
        kind="class_probability",
        classes={"y": ("a", "b")},
        answers=("a", "b"),
    )


def lists() -> Plan:
    return make_plan(
        "map_at_3",
        task="multiclass_classification",
        kind="ranked_labels",
        classes={"y": ("a", "b", "c", "d")},
        list_length=3,
    )


def lines(*values: str, ids: list[str] | None = None, header: str = "id,y") -> str:
    rows = [f"{name},{value}" for name, value in zip(ids or ASKED, values, strict=True)]
    return "\n".join([header, *rows]) + "\n"


def problems(folder: Path, plan: Plan, content: str | bytes) -> str:
    path = folder / "submission.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return "\n".join(check_submission(path, prepared(folder, plan), folder))


FINE: dict[str, tuple[Callable[[], Plan], str]] = {
    "labels": (labels, lines("True", "False", "True", "True")),
    "the same label everywhere": (labels, lines("True", "True", "True", "True")),
    "probabilities": (probabilities, lines("0", "1", "0.25", "1e-05")),
    "class probabilities": (class_probabilities, lines("0.1,0.9", "1,0", "0.5,0.5", "0.2,0.8", header="id,a,b")),
    "lists": (lists, lines("a b c", "d c b", "a", "b a")),
    "numbers": (lambda: make_plan("rmse"), lines("-1.5", "2", "3e5", "0")),
    "numbers for a metric of logarithms": (lambda: make_plan("rmsle"), lines("0", "2", "3e5", "0")),
    "Windows line ends": (lambda: make_plan("rmse"), lines("1", "2", "3", "4").replace("\n", "\r\n")),
    "a label that reads like nothing": (
        lambda: make_plan("accuracy", task="binary_classification", kind="label", classes={"y": ("None", "Some")}),
        lines("None", "None", "Some", "None"),
    ),
}


@pytest.mark.parametrize("name", FINE)
def test_a_good_submission_passes(tmp_path: Path, name: str) -> None:
    plan, content = FINE[name]
    assert problems(tmp_path, plan(), content) == ""


GOOD = ("True", "False", "True", "True")
BAD: dict[str, tuple[Callable[[], Plan], str | bytes, str]] = {
    "empty file": (labels, "", "is empty"),
    "no CSV": (labels, b"\x89PNG\x00\xff\xfe", "no CSV file in UTF-8"),
    "open quote": (labels, 'id,y\n"0003_01,True\n', "no CSV file in UTF-8"),
    "byte order mark": (labels, "\ufeff" + lines(*GOOD), "expected, in this order"),
    "other columns": (labels, lines(*GOOD, header="id,label"), "expected, in this order"),
    "columns in another order": (labels, lines(*GOOD, header="y,id"), "expected, in this order"),
    "index column": (labels, lines(*GOOD, header=",id,y"), "expected, in this order"),
    "ragged lines": (
        labels,
        lines("True", "False,1", "True", "True"),
        "1 lines do not have 2 cells, the first is line 3",
    ),
    "header alone": (labels, "id,y\n", "There are 0 rows; expected 4"),
    "row missing": (labels, lines(*GOOD[:3], ids=ASKED[:3]), "1 ids are missing: 0001_01"),
    "row twice": (labels, lines(*GOOD, "True", ids=[*ASKED, "0001_01"]), "1 ids are there more than once: 0001_01"),
    "strange id": (labels, lines(*GOOD, ids=[*ASKED[:3], "9"]), "1 ids are not asked for: 9"),
    "id that lost its zeros": (labels, lines(*GOOD, ids=[*ASKED[:3], "1_01"]), "not asked for: 1_01"),
    "other row order": (labels, lines(*GOOD, ids=IDS), "not in the order of sample_submission"),
    "empty label": (labels, lines("True", "", "True", "True"), "'y' has 1 empty values"),
    "unknown label": (labels, lines("True", "1", "True", "True"), "not among the labels False, True: 1"),
    "NaN": (lambda: make_plan("rmse"), lines("1", "nan", "2", "3"), "1 empty values"),
    "infinity": (lambda: make_plan("rmse"), lines("1", "inf", "2", "3"), "not finite numbers: inf"),
    "text for a number": (lambda: make_plan("rmse"), lines("1", "1_000", "x", "3"), "2 values that are not finite"),
    "below zero for logarithms": (lambda: make_plan("rmsle"), lines("1", "-0.1", "2", "3"), "not numbers from 0 on"),
    "probability above one": (probabilities, lines("1", "1.01", "0", "0"), "not probabilities: 1.01"),
    "probabilities of nothing": (
        class_probabilities,
        lines("0,0", "1,0", "0,1", "1,1", header="id,a,b"),
        "In 1 rows the probabilities do not add up",
    ),
    "list too long": (lists, lines("a b c d", "a", "b", "c"), "not up to 3 different labels: a b c d"),
    "label twice in a list": (lists, lines("a a", "a", "b", "c"), "different labels: a a"),
    "unknown label in a list": (lists, lines("a z", "a", "b", "c"), "different labels: a z"),
    "gap in a list": (lists, lines("a  b", "a", "b", "c"), "different labels: a  b"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_kaggle_would_refuse_is_named(tmp_path: Path, name: str) -> None:
    plan, content, problem = BAD[name]
    assert problem in problems(tmp_path, plan(), content)


def test_a_missing_file_is_a_problem_and_no_exception(tmp_path: Path) -> None:
    plan = prepared(tmp_path, labels())
    assert "cannot be read" in check_submission(tmp_path / "nowhere.csv", plan, tmp_path)[0]


def test_several_problems_are_all_named(tmp_path: Path) -> None:
    found = problems(tmp_path, labels(), lines("True", "perhaps", "True", ids=[*ASKED[:2], "x"]))
    assert "There are 3 rows" in found
    assert "missing" in found
    assert "not asked for" in found
    assert "perhaps" in found


def test_labels_of_several_targets_are_not_mixed_up(tmp_path: Path) -> None:
    plan = make_plan(
        "accuracy",
        task="multilabel_classification",
        kind="label",
        targets=("u", "v"),
        classes={"u": ("0", "1"), "v": ("n", "y")},
    )
    assert problems(tmp_path, plan, lines("0,n", "1,y", "0,n", "0,n", header="id,u,v")) == ""
    assert "'v' has 1 values" in problems(tmp_path, plan, lines("0,n", "1,1", "0,n", "0,n", header="id,u,v"))


def test_ids_that_repeat_in_test_may_repeat_as_often(tmp_path: Path) -> None:
    plan = make_plan("rmse")
    repeated = text_column(["a", "a", "b"])
    write_tables(plan, tmp_path, {"id": repeated, "y": np.arange(3.0)}, {"id": repeated})
    path = tmp_path / "submission.csv"
    path.write_text(lines("1", "2", "3", ids=["b", "a", "a"]))
    assert check_submission(path, plan, tmp_path) == ()
    path.write_text(lines("1", "2", "3", ids=["b", "b", "a"]))
    assert "more than once: b" in check_submission(path, plan, tmp_path)[0]
