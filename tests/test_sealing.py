"""A sealed input holds nothing of the hidden fold's labels, and all else as it was."""

from __future__ import annotations

import zipfile
from pathlib import Path

import msgspec
import numpy as np
import pytest

from autokaggle.records.data_profile import DataProfile, FileProfile, FileRole, Guess, SplitHints
from autokaggle.records.plan import Plan
from autokaggle.skills.scoring.folds import Folds, make_folds, read_folds
from autokaggle.skills.scoring.sealing import seal_input
from autokaggle.storage.parquet_tables import column_types, read_columns, read_text_columns, write_columns
from tests.small_plans import ids, make_plan, text_column, write_tables

ROWS = 60
SECRET = "Wyvern"


def profile_of(plan: Plan, files: dict[str, FileRole]) -> DataProfile:
    guess = Guess(value="", confidence=1.0, evidence="")
    return DataProfile(
        files=tuple(FileProfile(name=name, role=role) for name, role in files.items()),
        columns=(),
        train=plan.train_table,
        test=plan.test_table,
        train_rows=ROWS,
        test_rows=10,
        target_columns=plan.target_columns,
        target_guess=guess,
        id_columns=plan.id_columns,
        id_guess=guess,
        submission_columns=plan.submission.columns,
        submission_kind=plan.submission.kind,
        task_type=plan.task_type,
        task_guess=guess,
        metric_suggestion=guess,
        split=SplitHints(),
    )


@pytest.fixture
def run_input(tmp_path: Path) -> tuple[Path, Plan, Folds]:
    """Write a run's input: tables, raw files, pages, folds of two repeats."""
    plan = make_plan("accuracy", task="binary_classification", kind="label", classes={"y": ("no", SECRET)}, repeats=2)
    source = tmp_path / "input"
    train = {
        "id": ids("a", ROWS),
        "y": text_column([SECRET if number % 2 else "no" for number in range(ROWS)]),
        "x": np.arange(ROWS, dtype=np.float64),
        "only in train": text_column([f"{SECRET}{number}" for number in range(ROWS)]),
    }
    write_tables(plan, source / "tables", train, {"id": ids("t", 10), "x": np.arange(10.0)})
    write_columns(source / "tables" / "shops.parquet", {"shop": np.arange(3)})
    (source / "data" / "deep").mkdir(parents=True)
    (source / "pages").mkdir()
    (source / "data" / "train.csv").write_text(f"id,y\n1,{SECRET}\n")
    (source / "data" / "test.csv").write_text("id\n1\n")
    (source / "data" / "deep" / "shops.csv").write_text("shop\n1\n")
    with zipfile.ZipFile(source / "data" / "all.zip", "w") as archive:
        archive.writestr("train.csv", SECRET)
    (source / "pages" / "rules.md").write_text("Be kind.")
    folds = make_folds(plan, source / "tables", source / "folds.parquet")
    return source, plan, folds


FILES: dict[str, FileRole] = {
    "train.csv": "train",
    "all.zip/train.csv": "train",
    "test.csv": "test",
    "deep/shops.csv": "lookup",
}


def test_the_hidden_rows_have_no_target_and_nothing_that_only_train_has(
    run_input: tuple[Path, Plan, Folds], tmp_path: Path
) -> None:
    source, plan, folds = run_input
    seal_input(plan, profile_of(plan, FILES), folds, 2, source, tmp_path / "sealed")
    table = read_text_columns(tmp_path / "sealed" / "tables" / "train.parquet", ["id", "y", "x", "only in train"])
    original = read_text_columns(source / "tables" / "train.parquet", ["id", "y", "x", "only in train"])
    hidden = folds.by_repeat[0] == 2
    for name in ("y", "only in train"):
        assert table[name] == [None if hidden[row] else original[name][row] for row in range(ROWS)]
    for name in ("id", "x"):
        assert table[name] == original[name]
    assert column_types(tmp_path / "sealed" / "tables" / "train.parquet") == column_types(
        source / "tables" / "train.parquet"
    )


def test_no_file_holds_the_labels_of_the_fold(run_input: tuple[Path, Plan, Folds], tmp_path: Path) -> None:
    source, plan, folds = run_input
    everything = Folds(folds.kind, np.zeros_like(folds.by_repeat))
    seal_input(plan, profile_of(plan, FILES), everything, 0, source, tmp_path / "sealed")
    for path in (tmp_path / "sealed").rglob("*"):
        assert not path.is_file() or SECRET.encode() not in path.read_bytes(), path


def test_all_else_is_there_as_it_was(run_input: tuple[Path, Plan, Folds], tmp_path: Path) -> None:
    source, plan, folds = run_input
    seal_input(plan, profile_of(plan, FILES), folds, 1, source, tmp_path / "sealed")
    found = {
        path.relative_to(tmp_path / "sealed").as_posix() for path in (tmp_path / "sealed").rglob("*") if path.is_file()
    }
    assert found == {
        "data/deep/shops.csv",
        "data/test.csv",
        "folds.parquet",
        "pages/rules.md",
        "tables/sample_submission.parquet",
        "tables/shops.parquet",
        "tables/test.parquet",
        "tables/train.parquet",
    }
    assert (tmp_path / "sealed" / "data" / "test.csv").samefile(source / "data" / "test.csv")


def test_the_run_s_own_input_is_untouched(run_input: tuple[Path, Plan, Folds], tmp_path: Path) -> None:
    source, plan, folds = run_input
    before = {path: path.read_bytes() for path in source.rglob("*") if path.is_file()}
    seal_input(plan, profile_of(plan, FILES), folds, 1, source, tmp_path / "sealed")
    assert {path: path.read_bytes() for path in source.rglob("*") if path.is_file()} == before


def test_only_the_first_repeat_is_left_as_another_hides_other_rows(
    run_input: tuple[Path, Plan, Folds], tmp_path: Path
) -> None:
    source, plan, folds = run_input
    seal_input(plan, profile_of(plan, FILES), folds, 1, source, tmp_path / "sealed")
    sealed = read_folds(tmp_path / "sealed" / "folds.parquet")
    assert np.array_equal(sealed.by_repeat, folds.by_repeat[:1])
    assert sealed.kind == folds.kind


def test_links_are_not_followed(run_input: tuple[Path, Plan, Folds], tmp_path: Path) -> None:
    source, plan, folds = run_input
    (tmp_path / "outside.txt").write_text("outside")
    (source / "data" / "link.txt").symlink_to(tmp_path / "outside.txt")
    seal_input(plan, profile_of(plan, FILES), folds, 1, source, tmp_path / "sealed")
    assert not (tmp_path / "sealed" / "data" / "link.txt").exists()


def test_several_targets_are_all_hidden(tmp_path: Path) -> None:
    plan = make_plan("rmse", targets=("u", "v"))
    train = {"id": ids("a", ROWS), "u": np.arange(60.0), "v": np.arange(60), "x": np.arange(60)}
    write_tables(plan, tmp_path / "input" / "tables", train, {"id": ids("t", 3), "x": np.arange(3), "v": np.arange(3)})
    folds = make_folds(plan, tmp_path / "input" / "tables", tmp_path / "input" / "folds.parquet")
    seal_input(msgspec.structs.replace(plan), profile_of(plan, {}), folds, 0, tmp_path / "input", tmp_path / "sealed")
    table = read_columns(tmp_path / "sealed" / "tables" / "train.parquet", {name: name for name in "uvx"})
    hidden = folds.by_repeat[0] == 0
    assert np.array_equal(np.ma.getmaskarray(table["u"]), hidden)
    assert np.array_equal(np.ma.getmaskarray(table["v"]), hidden)
    assert not np.ma.is_masked(table["x"])
