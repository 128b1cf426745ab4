"""Folds are made once, are the same for the same plan, and respect labels, groups and time."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from autokaggle.errors import AutoKaggleError, CompetitionUnusable, UsageError
from autokaggle.skills.scoring.fold_schemes import forward
from autokaggle.skills.scoring.folds import make_folds, read_folds
from autokaggle.storage.parquet_tables import read_columns, write_columns
from tests.small_plans import SmallPlan, ids, make_plan, text_column, write_tables

ROWS = 203
RANDOM = np.random.default_rng(3)
LABELS = RANDOM.choice(3, ROWS, p=[0.7, 0.2, 0.1])
FAMILIES = RANDOM.integers(0, 40, ROWS)


def classes_plan(folder: Path, scheme: str = "stratified", column: str | None = None, repeats: int = 1) -> SmallPlan:
    plan = make_plan(
        "accuracy",
        task="multiclass_classification",
        kind="label",
        classes={"y": ("0", "1", "2")},
        scheme=scheme,  # type: ignore[arg-type]
        column=column,
        repeats=repeats,
    )
    train = {
        "id": text_column([f"{family:04d}_{number:02d}" for number, family in enumerate(FAMILIES)]),
        "y": text_column(LABELS),
        "family": text_column(FAMILIES),
        "moment": np.datetime64("2020-01-01", "us") + np.arange(ROWS) * np.timedelta64(6, "h"),
    }
    test = {"id": ids("t", 5), "moment": np.datetime64("2030-01-01", "us") + np.arange(5) * np.timedelta64(6, "h")}
    return write_tables(plan, folder, train, test)


def test_the_file_holds_each_row_once_per_repeat_and_says_its_kind(tmp_path: Path) -> None:
    small = classes_plan(tmp_path, repeats=2)
    made = make_folds(small.plan, small.tables, tmp_path / "folds.parquet")
    table = read_columns(tmp_path / "folds.parquet", {name: name for name in ("repeat", "row", "fold")})
    assert table["repeat"].tolist() == [0] * ROWS + [1] * ROWS
    assert table["row"].tolist() == [*range(ROWS), *range(ROWS)]
    read = read_folds(tmp_path / "folds.parquet")
    assert read.kind == made.kind == "kfold"
    assert np.array_equal(read.by_repeat, made.by_repeat)
    assert not np.array_equal(read.by_repeat[0], read.by_repeat[1])


def test_the_same_plan_gives_the_same_folds_and_another_seed_others(tmp_path: Path) -> None:
    small = classes_plan(tmp_path)
    first = make_folds(small.plan, small.tables, tmp_path / "folds.parquet").by_repeat
    again = make_folds(small.plan, small.tables, tmp_path / "again.parquet").by_repeat
    other = make_folds(_reseeded(small, 1).plan, small.tables, tmp_path / "other.parquet").by_repeat
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("scheme", ["kfold", "stratified"])
def test_folds_differ_by_one_row_at_most(tmp_path: Path, scheme: str) -> None:
    small = classes_plan(tmp_path, scheme)
    sizes = np.bincount(make_folds(small.plan, small.tables, tmp_path / "folds.parquet").by_repeat[0])
    assert len(sizes) == 5
    assert sizes.max() - sizes.min() <= 1


def test_stratified_folds_hold_each_label_alike(tmp_path: Path) -> None:
    small = classes_plan(tmp_path)
    fold = make_folds(small.plan, small.tables, tmp_path / "folds.parquet").by_repeat[0]
    for label in range(3):
        counts = np.bincount(fold[label == LABELS], minlength=5)
        assert counts.max() - counts.min() <= 1


def test_stratified_folds_of_numbers_hold_small_and_large_values_alike(tmp_path: Path) -> None:
    values = np.sort(RANDOM.normal(size=ROWS)) ** 3
    train = {"id": ids("a", ROWS), "y": values}
    small = write_tables(make_plan("rmse", scheme="stratified"), tmp_path, train, {"id": ids("t", 3)})
    fold = make_folds(small.plan, small.tables, tmp_path / "folds.parquet").by_repeat[0]
    # The uppermost of ten bins of 203 rows.
    largest = np.bincount(fold[-21:], minlength=5)
    assert largest.max() - largest.min() <= 1


@pytest.mark.parametrize("scheme", ["group", "stratified_group"])
@pytest.mark.parametrize("column", ["family", 'part(id, "_", 0)'])
def test_a_group_never_crosses_folds(tmp_path: Path, scheme: str, column: str) -> None:
    small = classes_plan(tmp_path, scheme, column)
    fold = make_folds(small.plan, small.tables, tmp_path / "folds.parquet").by_repeat[0]
    assert {len(set(fold[family == FAMILIES])) for family in np.unique(FAMILIES)} == {1}
    sizes = np.bincount(fold, minlength=5)
    assert sizes.min() >= 0.6 * ROWS / 5


def test_stratified_groups_share_out_labels_better_than_chance(tmp_path: Path) -> None:
    small = classes_plan(tmp_path, "stratified_group", "family")
    fold = make_folds(small.plan, small.tables, tmp_path / "folds.parquet").by_repeat[0]
    for label in range(3):
        counts = np.bincount(fold[label == LABELS], minlength=5)
        assert counts.max() - counts.min() <= 5


def test_days_of_a_moment_are_groups(tmp_path: Path) -> None:
    small = classes_plan(tmp_path, "group", "day(moment)")
    fold = make_folds(small.plan, small.tables, tmp_path / "folds.parquet").by_repeat[0]
    assert {len(set(fold[start : start + 4])) for start in range(0, 200, 4)} == {1}
    assert len(set(fold)) == 5


def test_stretches_of_days_are_groups(tmp_path: Path) -> None:
    small = classes_plan(tmp_path, "group", "days(moment, 3)")
    fold = make_folds(small.plan, small.tables, tmp_path / "folds.parquet").by_repeat[0]
    # 2020-01-01 is day 18262, the second of its three.
    assert {len(set(fold[start : start + 12])) for start in range(8, 200, 12)} == {1}
    assert len(set(fold)) == 5


@pytest.mark.parametrize("column", ["day(family)", "days(family, 3)", "days(y, 3)"])
def test_what_holds_no_dates_has_no_days(tmp_path: Path, column: str) -> None:
    small = classes_plan(tmp_path, "group", column)
    with pytest.raises(CompetitionUnusable, match="makes no groups"):
        make_folds(small.plan, small.tables, tmp_path / "folds.parquet")


def test_rows_without_a_group_are_groups_of_their_own(tmp_path: Path) -> None:
    train = {"id": ids("a", 100), "y": np.arange(100.0), "g": text_column([None] * 60 + ["x"] * 20 + ["y"] * 20)}
    small = write_tables(make_plan("rmse", scheme="group", column="g"), tmp_path, train, {"id": ids("t", 3)})
    fold = make_folds(small.plan, small.tables, tmp_path / "folds.parquet").by_repeat[0]
    assert np.bincount(fold).tolist() == [20] * 5


def test_a_column_whose_name_looks_like_a_part_is_taken_as_it_is(tmp_path: Path) -> None:
    name = 'part(y", "_", 0)'
    train = {"id": ids("a", 50), "y": np.arange(50.0), name: text_column([number // 5 for number in range(50)])}
    small = write_tables(make_plan("rmse", scheme="group", column=name), tmp_path, train, {"id": ids("t", 3)})
    fold = make_folds(small.plan, small.tables, tmp_path / "folds.parquet").by_repeat[0]
    assert {len(set(fold[start : start + 5])) for start in range(0, 50, 5)} == {1}


def test_forward_folds_are_as_long_as_the_horizon_of_test() -> None:
    days = np.arange(365.0)
    fold = forward(days, np.arange(365.0, 395.0), 5)
    assert fold.max() == 5
    assert np.bincount(fold)[1:].tolist() == [30, 30, 30, 30, 30]
    assert np.all(np.diff(fold) >= 0)


def test_forward_folds_keep_enough_of_the_past_for_the_first_model() -> None:
    fold = forward(np.arange(1000.0), np.arange(1000.0, 1400.0), 5)
    assert fold.max() == 1
    assert np.bincount(fold)[0] >= 250


def test_a_horizon_longer_than_the_past_gives_two_blocks() -> None:
    fold = forward(np.arange(300.0), np.arange(300.0, 900.0), 5)
    assert np.bincount(fold).tolist() == [100, 100, 100]


def test_test_rows_between_train_rows_give_blocks_of_the_same_size() -> None:
    fold = forward(np.arange(60.0), np.arange(10.0, 20.0), 5)
    assert np.bincount(fold).tolist() == [10] * 6


def test_moments_that_are_equal_share_a_fold(tmp_path: Path) -> None:
    months = np.repeat(np.arange(24.0), 10)
    fold = forward(months, np.array([24.0]), 5)
    assert {len(set(fold[month == months])) for month in range(24)} == {1}


def test_time_folds_never_validate_the_first_block(tmp_path: Path) -> None:
    small = classes_plan(tmp_path, "time", "moment")
    folds = make_folds(small.plan, small.tables, tmp_path / "folds.parquet")
    assert folds.kind == read_folds(tmp_path / "folds.parquet").kind == "forward"
    assert 0 not in folds.validated
    assert folds.validated_rows.min() == int(np.sum(folds.by_repeat[0] == 0))


@pytest.mark.parametrize(
    ("scheme", "column", "said"),
    [
        ("group", "nothing", "no column 'nothing'"),
        ("time", "nothing", "no column 'nothing'"),
        ("group", None, "needs a column"),
        ("group", "days(moment, 0)", "no column 'days"),
        ("group", "days(moment, 99999999999999999999)", "no column 'days"),
        ("group", 'part(id, "_", 99999999999999999999)', "no column 'part"),
    ],
)
def test_a_column_that_does_not_exist_is_named(tmp_path: Path, scheme: str, column: str | None, said: str) -> None:
    small = classes_plan(tmp_path, scheme, column)
    with pytest.raises((UsageError, CompetitionUnusable), match=re.escape(said)):
        make_folds(small.plan, small.tables, tmp_path / "folds.parquet")


def test_a_single_group_cannot_be_validated(tmp_path: Path) -> None:
    train = {"id": ids("a", 20), "y": np.arange(20.0), "g": text_column(["same"] * 20)}
    small = write_tables(make_plan("rmse", scheme="group", column="g"), tmp_path, train, {"id": ids("t", 3)})
    with pytest.raises(CompetitionUnusable, match="cannot be split by g"):
        make_folds(small.plan, small.tables, tmp_path / "folds.parquet")
    assert not (tmp_path / "folds.parquet").exists()


def test_a_column_without_moments_is_refused(tmp_path: Path) -> None:
    small = classes_plan(tmp_path, "time", "id")
    with pytest.raises(CompetitionUnusable, match="no moments"):
        make_folds(small.plan, small.tables, tmp_path / "folds.parquet")


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "folds.parquet"
    path.write_bytes(b"not parquet")
    with pytest.raises(AutoKaggleError, match="cannot be read"):
        read_folds(path)
    write_columns(path, {"repeat": np.zeros(3, np.int64), "row": np.arange(3), "fold": np.zeros(3, np.int64)})
    with pytest.raises(AutoKaggleError, match="does not hold the folds"):
        read_folds(path)


def _reseeded(small: SmallPlan, seed: int) -> SmallPlan:
    import msgspec

    return SmallPlan(msgspec.structs.replace(small.plan, seed=seed), small.tables)
