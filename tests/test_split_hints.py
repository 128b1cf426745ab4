"""How test was cut from train: by time, by groups, at random; drift, adversarial validation, copied rows."""

from __future__ import annotations

import math
import re
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from autokaggle.records.data_profile import DataProfile, SplitHints
from autokaggle.skills.dataset.data_profiler import profile_dataset
from autokaggle.skills.dataset.drift import area_under_curve, column_drift, tell_apart
from autokaggle.skills.dataset.split_hints import log_chance_of_runs
from autokaggle.skills.scoring.fold_columns import read_groups, read_times
from tests.csv_folder import Columns, facts_of, write_csv

ROWS = 600
RANDOM = np.random.default_rng(1)


def profile(folder: Path, rows: Columns, is_test: np.ndarray, goal: Columns) -> DataProfile:
    """Cut rows into train and test by a mask and profile them; ``goal`` stays in train."""

    def part(columns: Columns, chosen: np.ndarray) -> Columns:
        return {name: [value for value, take in zip(v, chosen, strict=True) if take] for name, v in columns.items()}

    write_csv(folder / "data/train.csv", part({**rows, **goal}, ~is_test))
    write_csv(folder / "data/test.csv", part(rows, is_test))
    return profile_dataset(folder / "data", folder / "tables", {})


def split(folder: Path, rows: Columns, is_test: np.ndarray, labels: bool = False) -> SplitHints:
    goal = {"goal": [("yes" if n % 3 else "no") if labels else n * 1.25 for n in range(ROWS)]}
    return profile(folder, {"id": range(ROWS), "x": RANDOM.normal(size=ROWS), **rows}, is_test, goal).split


AT_RANDOM = RANDOM.random(ROWS) < 0.3
LAST_THIRD = np.arange(ROWS) >= 400


def test_random_split_gives_kfold_or_stratified(tmp_path: Path) -> None:
    shops = {"shop": [f"s{n % 20}" for n in range(ROWS)]}

    assert split(tmp_path / "a", shops, AT_RANDOM).scheme == "kfold"
    assert split(tmp_path / "b", shops, AT_RANDOM, labels=True).scheme == "stratified"


def test_test_after_train_in_time_gives_forward_validation(tmp_path: Path) -> None:
    days = {"when": [f"2024-{n // 50 + 1:02d}-{n % 28 + 1:02d}" for n in range(ROWS)]}

    found = split(tmp_path, days, LAST_THIRD)

    assert (found.scheme, found.column) == ("time", "when")
    assert "2024-09-01" in found.reason
    assert found.confidence > 0.9


def test_numbers_count_as_time_only_under_a_name_of_time(tmp_path: Path) -> None:
    values = [n // 10 for n in range(ROWS)]

    assert split(tmp_path / "a", {"week_number": values}, LAST_THIRD).column == "week_number"
    assert split(tmp_path / "b", {"height": values}, LAST_THIRD).scheme != "time"


@pytest.mark.parametrize("labels", [False, True])
def test_groups_that_never_cross_give_group_validation(labels: bool, tmp_path: Path) -> None:
    patient = [n // 6 for n in range(ROWS)]
    in_test = np.isin(patient, RANDOM.choice(100, 30, replace=False))
    codes = {"patient": [f"p{number}" for number in patient]}

    found = split(tmp_path, codes, in_test, labels)

    assert (found.scheme, found.column) == ("stratified_group" if labels else "group", "patient")
    assert "70 groups" in found.reason


def test_a_part_of_a_code_can_be_the_group(tmp_path: Path) -> None:
    household = [n // 4 for n in range(ROWS)]
    in_test = np.isin(household, RANDOM.choice(150, 50, replace=False))
    rows = {"key": [f"{number:04d}_{n % 4:02d}" for n, number in enumerate(household)]}

    found = profile(tmp_path, {**rows, "x": RANDOM.normal(size=ROWS)}, in_test, {"goal": range(ROWS)}).split

    assert (found.scheme, found.column) == ("group", 'part(key, "_", 0)')
    notation = re.fullmatch(r'part\((.*), "(.*)", (\d+)\)', found.column or "", re.DOTALL)
    assert notation is not None
    assert notation.groups() == ("key", "_", "0")


def moments(rows_a_day: int) -> tuple[list[str], np.ndarray]:
    """Moments of days that follow each other, and the number of each one's day."""
    day = np.arange(ROWS) // rows_a_day
    made = np.datetime64("2024-01-01T00:00:00") + day * np.timedelta64(24, "h") + np.arange(ROWS) % rows_a_day * 3600
    return [str(moment).replace("T", " ") for moment in made], day


def test_days_that_never_cross_are_groups_when_they_take_turns_by_chance(tmp_path: Path) -> None:
    when, day = moments(rows_a_day=6)
    in_test = np.isin(day, RANDOM.choice(100, 30, replace=False))

    found = split(tmp_path, {"when": when}, in_test)

    assert (found.scheme, found.column) == ("group", "day(when)")


@pytest.mark.parametrize(("rows_a_day", "of_month", "tested", "days"), [(1, 30, 11, 6), (6, 14, 4, 2), (5, 60, 30, 6)])
def test_stretches_of_days_are_groups_half_as_long_as_those_of_test(
    rows_a_day: int, of_month: int, tested: int, days: int, tmp_path: Path
) -> None:
    when, day = moments(rows_a_day)
    in_test = day % of_month >= of_month - tested

    found = split(tmp_path, {"when": when}, in_test)

    assert (found.scheme, found.column) == ("group", f"days(when, {days})")
    assert f"stretches of about {tested} days beside those of train" in found.reason


@pytest.mark.parametrize("offset", ["+02:00", "-0530", "+09", " +01:00", "Z", "summer and winter"])
@pytest.mark.parametrize("name", ["when", "id"])
def test_days_are_those_of_the_clock_that_a_text_with_an_offset_shows(name: str, offset: str, tmp_path: Path) -> None:
    when, day = moments(rows_a_day=6)
    in_test = day % 14 >= 10
    if offset == "summer and winter":
        texts = [f"{moment.replace(' ', 'T')}+{1 + (n > ROWS / 2):02d}:00" for n, moment in enumerate(when)]
    else:
        texts = [moment.replace(" ", "T") + offset for moment in when]

    rows: Columns = {**({} if name == "id" else {"id": range(ROWS)}), name: texts, "x": RANDOM.normal(size=ROWS)}

    found = profile(tmp_path, rows, in_test, {"goal": np.arange(ROWS) * 1.25})

    assert found.id_columns == ("id",)
    assert (found.split.scheme, found.split.column) == ("group", f"days({name}, 2)")
    groups = read_groups(tmp_path / "tables/train.parquet", f"days({name}, 2)")
    numbers = (day[~in_test] + 19_723) // 2  # 2024-01-01 is that day since 1970
    assert np.unique(np.stack([groups, numbers]), axis=1).shape[1] == len(np.unique(numbers)) == len(np.unique(groups))


def test_ids_that_are_dates_tell_a_split_in_time(tmp_path: Path) -> None:
    days = [str(np.datetime64("2024-01-01") + n) for n in range(ROWS)]

    found = profile(tmp_path, {"id": days, "x": RANDOM.normal(size=ROWS)}, LAST_THIRD, {"goal": np.arange(ROWS) * 1.25})

    assert (found.split.scheme, found.split.column) == ("time", "id")
    assert "2025-02-04" in found.split.reason
    assert np.isfinite(read_times(tmp_path / "tables/train.parquet", "id")).all()


def test_single_days_and_moments_at_random_are_no_stretches(tmp_path: Path) -> None:
    daily, hourly = moments(rows_a_day=1)[0], moments(rows_a_day=6)[0]

    assert split(tmp_path / "a", {"when": daily}, AT_RANDOM).scheme == "kfold"
    assert split(tmp_path / "b", {"when": hourly}, AT_RANDOM).scheme == "kfold"


def test_a_column_whose_name_is_within_that_of_the_split_still_tells_the_sides_apart(tmp_path: Path) -> None:
    when = moments(rows_a_day=6)[0]

    found = split(tmp_path, {"when": when, "he": RANDOM.normal(size=ROWS) + 3 * LAST_THIRD}, LAST_THIRD)

    assert (found.scheme, found.column) == ("time", "when")
    assert found.adversarial_columns == ("he",)


def test_dates_that_one_side_lacks_are_no_stretches(tmp_path: Path) -> None:
    known_in_train = [
        None if is_test else when for when, is_test in zip(moments(rows_a_day=6)[0], AT_RANDOM, strict=True)
    ]

    assert split(tmp_path, {"when": known_in_train}, AT_RANDOM).scheme == "kfold"


def test_few_runs_are_as_unlikely_as_counting_shuffles_says() -> None:
    shuffles = [np.isin(np.arange(9), chosen) for chosen in combinations(range(9), 4)]
    runs = np.array([1 + np.count_nonzero(np.diff(one)) for one in shuffles])

    for few in range(1, 10):
        share = float(np.mean(runs <= few))
        assert math.exp(log_chance_of_runs(4, 5, few)) == pytest.approx(share)


def test_few_large_or_many_single_values_are_no_groups(tmp_path: Path) -> None:
    rows = {"half": ["b" if late else "a" for late in LAST_THIRD], "single": [f"x{n}q" for n in range(ROWS)]}

    assert split(tmp_path, rows, LAST_THIRD).scheme == "kfold"


def test_adversarial_validation_names_what_tells_test_apart(tmp_path: Path) -> None:
    same = RANDOM.normal(size=ROWS)
    moved = RANDOM.normal(size=ROWS) + 2.0 * AT_RANDOM

    calm = split(tmp_path / "a", {"same": same}, AT_RANDOM)
    stirred = profile(
        tmp_path / "b", {"id": range(ROWS), "same": same, "moved": moved}, AT_RANDOM, {"goal": range(ROWS)}
    )

    assert calm.adversarial_auc == pytest.approx(0.5, abs=0.08)
    assert calm.adversarial_columns == ()
    assert (stirred.split.adversarial_auc or 0) > 0.85
    assert stirred.split.adversarial_columns == ("moved",)
    assert any("'moved'" in warning and "unlike" in warning for warning in stirred.warnings)
    drift = {column.name: column.drift for column in stirred.columns}
    assert drift["id"] is None
    assert (drift["moved"] or 0) > 0.5 > 0.2 > (drift["same"] or 0)


def test_adversary_agrees_with_a_gradient_boosting_machine(tmp_path: Path) -> None:
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.model_selection import cross_val_predict

    rows = 1500
    side = np.repeat([0.0, 1.0], rows // 2)
    table = np.random.default_rng(1).normal(size=(rows, 4))  # whichever tests drew before
    table[:, 1] += 0.8 * side
    table[:, 2] *= 1 + side
    folders = (tmp_path / "a", tmp_path / "b")
    facts = []
    for folder, chosen in zip(folders, (side == 0, side == 1), strict=True):
        folder.mkdir()
        facts.append(facts_of(folder, {f"c{n}": table[chosen, n] for n in range(4)}))

    found = tell_apart(facts[0], facts[1], list(facts[0]))
    answers = cross_val_predict(
        HistGradientBoostingClassifier(max_iter=60, max_depth=2), table, side, method="predict_proba"
    )

    assert found is not None
    assert found.auc == pytest.approx(area_under_curve(answers[:, 1], side), abs=0.03)
    assert set(found.columns) == {"c1", "c2"}


def test_area_under_curve_counts_ties_as_half() -> None:
    assert area_under_curve(np.array([0.1, 0.2, 0.3]), np.array([0.0, 1.0, 1.0])) == 1
    assert area_under_curve(np.array([1.0, 1.0, 1.0]), np.array([0.0, 1.0, 1.0])) == 0.5
    assert area_under_curve(np.array([1.0, 0.5, 0.5, 0.0]), np.array([0.0, 1.0, 0.0, 1.0])) == 0.125


def test_drift_of_text_counts_new_levels_and_ignores_codes(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
    before = facts_of(tmp_path / "a", {"colour": ["red", "blue"] * 100, "code": [f"x{n}" for n in range(200)]})
    after = facts_of(tmp_path / "b", {"colour": ["red", "pink"] * 100, "code": [f"y{n}" for n in range(200)]})

    assert column_drift(before["colour"], after["colour"]) == 0.5
    assert column_drift(before["code"], after["code"]) is None


def test_copied_rows_are_counted_within_and_across(tmp_path: Path) -> None:
    height = [*RANDOM.normal(size=ROWS - 20), *[0.5] * 20]
    rows = {"id": range(ROWS), "height": height, "colour": ["red"] * ROWS}
    in_test = np.zeros(ROWS, dtype=bool)
    in_test[-5:] = True
    in_test[:50] = True

    found = profile(tmp_path, rows, in_test, {"goal": range(ROWS)}).split

    assert (found.duplicate_train_rows, found.duplicate_rows_across) == (14, 5)


def test_a_number_that_stands_for_missing_makes_no_groups(tmp_path: Path) -> None:
    values = [7 * n + 1_000 if late or n % 3 else -999 for n, late in enumerate(LAST_THIRD)]

    assert split(tmp_path, {"income": values}, LAST_THIRD).scheme == "kfold"
