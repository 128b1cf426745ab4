"""Ids, targets, the submission's form and the task."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import duckdb
import numpy as np
import pytest

from autokaggle.errors import CompetitionUnusable, UsageError
from autokaggle.records.data_profile import DataProfile
from autokaggle.skills.dataset.data_profiler import profile_dataset
from autokaggle.storage.parquet_tables import read_columns
from tests.csv_folder import Columns, write_csv

ROWS, TEST_ROWS = 120, 40
ANIMALS = ("cat", "dog", "owl")


def competition(
    folder: Path,
    labels: Columns,
    sample: Columns | None,
    *,
    pages: Mapping[str, str] | None = None,
    wording: str = "",
    target: Sequence[str] | str | None = None,
    test_extra: Columns | None = None,
) -> DataProfile:
    """Profile a competition with the columns id, height, colour; ``labels`` are further train columns."""

    def features(rows: int, first: int) -> Columns:
        return {
            "id": range(first, first + rows),
            "height": [(n * 37 % 101) / 7 for n in range(rows)],
            "colour": ["red" if n % 3 else "blue" for n in range(rows)],
        }

    write_csv(folder / "data/train.csv", {**features(ROWS, 0), **labels})
    write_csv(folder / "data/test.csv", {**features(TEST_ROWS, 500), **(test_extra or {})})
    if sample is not None:
        write_csv(folder / "data/sample_submission.csv", {"id": range(500, 540), **sample})
    return profile_dataset(folder / "data", folder / "tables", pages or {}, metric_wording=wording, target=target)


def test_sample_submission_names_targets_in_its_order(tmp_path: Path) -> None:
    labels = {"b": [n % 2 for n in range(ROWS)], "a": [n % 3 // 2 for n in range(ROWS)], "c": range(ROWS)}

    found = competition(tmp_path, labels, {"b": [0.5] * 40, "a": [0.5] * 40})

    assert found.target_columns == ("b", "a")
    assert found.submission_columns == ("id", "b", "a")
    assert (found.task_type, found.submission_kind) == ("multilabel_classification", "probability")
    assert any("only train has 'c'" in warning for warning in found.warnings)


@pytest.mark.parametrize(
    "columns",
    [
        ("animal_cat", "animal_owl", "animal_dog"),
        ("cat", "dog", "owl"),
        ("Class_cat", "Class_dog", "Class_owl"),
        ("prob Cat", "prob Dog", "prob Owl"),
    ],
)
def test_wide_probabilities_are_matched_to_labels(columns: tuple[str, ...], tmp_path: Path) -> None:
    labels: Columns = {"animal": [ANIMALS[n % 3] for n in range(ROWS)], "weight": [n / 3 for n in range(ROWS)]}

    found = competition(tmp_path, labels, dict.fromkeys(columns, [0.33] * 40))

    assert found.target_columns == ("animal",)
    assert found.submission_kind == "class_probability"
    assert found.classes == {"animal": ANIMALS}
    assert [found.submission_labels[column] for column in columns] == [
        next(animal for animal in ANIMALS if animal in column.lower()) for column in columns
    ]


def test_lists_of_labels_are_told_from_single_ones(tmp_path: Path) -> None:
    labels = {"animal": [ANIMALS[n % 3] for n in range(ROWS)]}

    found = competition(tmp_path, labels, {"animal": ["cat owl dog"] * 40}, wording="MAP@3")

    assert (found.target_columns, found.submission_kind) == (("animal",), "ranked_labels")
    assert found.metric_suggestion.value == "map_at_k"


def test_without_sample_the_target_is_what_test_lacks(tmp_path: Path) -> None:
    found = competition(tmp_path, {"left": [n % 2 for n in range(ROWS)]}, None, wording="area under the ROC curve")

    assert (found.target_columns, found.id_columns) == (("left",), ("id",))
    assert found.submission_columns == ("id", "left")
    assert found.submission_kind == "probability"
    assert found.sample_submission is None


def test_without_sample_the_pages_decide_between_columns(tmp_path: Path) -> None:
    labels = {"price": [n * 1.5 for n in range(ROWS)], "profit": [n * 0.5 + 1 for n in range(ROWS)]}
    pages = {"evaluation": "For each `id`, predict `price`."}

    found = competition(tmp_path, labels, None, pages=pages)
    unhelped = competition(tmp_path, labels, None)

    assert found.target_columns == ("price",)
    assert "the pages ask for it" in found.target_guess.evidence
    assert unhelped.target_guess.confidence < found.target_guess.confidence


def test_sample_column_under_another_name_still_finds_the_target(tmp_path: Path) -> None:
    found = competition(tmp_path, {"duration": [n * 1.5 for n in range(ROWS)]}, {"prediction": [0] * 40})

    assert found.target_columns == ("duration",)
    assert found.submission_columns == ("id", "prediction")


def test_an_empty_target_column_in_test_is_no_feature(tmp_path: Path) -> None:
    labels = {"left": [n % 2 for n in range(ROWS)]}

    found = competition(tmp_path, labels, {"left": [0] * 40}, test_extra={"left": [None] * 40})

    assert (found.target_columns, found.id_columns) == (("left",), ("id",))


def test_the_user_overrules_the_guess(tmp_path: Path) -> None:
    labels = {"left": [n % 2 for n in range(ROWS)], "right": [n % 3 for n in range(ROWS)]}

    found = competition(tmp_path, labels, {"left": [0] * 40}, target="right")

    assert found.target_columns == ("right",)
    assert found.target_guess.confidence == 1
    assert found.submission_columns == ("id", "left")


def test_an_unknown_target_is_refused_with_the_columns_to_choose_from(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        competition(tmp_path, {"left": [n % 2 for n in range(ROWS)]}, None, target="rihgt")

    assert "'rihgt'" in caught.value.message
    assert "colour" in caught.value.next_step


def test_no_target_at_all_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CompetitionUnusable, match="No target was found"):
        competition(tmp_path, {}, None)


@pytest.mark.parametrize(
    ("values", "wording", "task"),
    [
        ([n % 2 for n in range(ROWS)], "accuracy", "binary_classification"),
        (["yes" if n % 2 else "no" for n in range(ROWS)], "", "binary_classification"),
        ([ANIMALS[n % 3] for n in range(ROWS)], "", "multiclass_classification"),
        ([n % 5 for n in range(ROWS)], "accuracy", "multiclass_classification"),
        ([n % 5 for n in range(ROWS)], "quadratic weighted kappa", "ordinal"),
        ([n % 5 for n in range(ROWS)], "root mean squared error", "regression"),
        ([n * 1.37 for n in range(ROWS)], "", "regression"),
        ([n * 1000 for n in range(ROWS)], "", "regression"),
    ],
)
def test_task_follows_from_values_and_metric(values: Sequence[object], wording: str, task: str, tmp_path: Path) -> None:
    found = competition(tmp_path, {"goal": values}, None, wording=wording)

    assert found.task_type == task
    assert bool(found.classes) == (task != "regression")


def test_a_guess_between_classes_and_amounts_is_marked_as_unsure(tmp_path: Path) -> None:
    found = competition(tmp_path, {"goal": [n % 5 for n in range(ROWS)]}, None)

    assert found.task_guess.confidence < 0.6


@pytest.mark.parametrize(
    ("cells", "wording", "kind"),
    [
        ([0, 1] * 20, "accuracy", "label"),
        ([0, 1] * 20, "area under the ROC curve", "probability"),
        ([0.5] * 40, "", "probability"),
        ([1.0] * 40, "log loss", "probability"),
    ],
)
def test_what_a_cell_holds_follows_from_the_sample_then_the_metric(
    cells: Sequence[object], wording: str, kind: str, tmp_path: Path
) -> None:
    found = competition(tmp_path, {"left": [n % 2 for n in range(ROWS)]}, {"left": cells}, wording=wording)

    assert found.submission_kind == kind


def test_labels_that_the_first_rows_do_not_show_still_count(tmp_path: Path) -> None:
    """A file sorted by its target: the sample of first rows holds one value, all rows hold decimals."""
    rows = 30_000
    grades = ["A"] * 25_000 + ["B"] * 5_000
    write_csv(tmp_path / "data/train.csv", {"id": range(rows), "x": range(rows), "grade": grades})
    write_csv(tmp_path / "data/test.csv", {"id": range(rows, rows + 10), "x": range(10)})

    assert profile_dataset(tmp_path / "data", tmp_path / "tables", {}).classes == {"grade": ("A", "B")}


def test_amounts_behind_rows_that_look_like_labels_are_stored_as_numbers(tmp_path: Path) -> None:
    rows = 30_000
    amounts: list[object] = [n % 2 for n in range(25_000)] + [n / 8 for n in range(5_000)]
    write_csv(tmp_path / "data/train.csv", {"id": range(rows), "x": range(rows), "amount": amounts})
    write_csv(tmp_path / "data/test.csv", {"id": range(rows, rows + 10), "x": range(10)})

    found = profile_dataset(tmp_path / "data", tmp_path / "tables", {})

    assert found.task_type == "regression"
    assert next(column.type for column in found.columns if column.name == "amount") == "DOUBLE"


def test_a_target_with_one_value_and_gaps_is_profiled_with_warnings(tmp_path: Path) -> None:
    found = competition(tmp_path, {"left": [None if n < 3 else 1 for n in range(ROWS)]}, {"left": [0] * 40})

    assert found.classes == {"left": ("1",)}
    assert any("one value in all rows" in warning for warning in found.warnings)
    assert any("empty in 3 of 120 rows" in warning for warning in found.warnings)


def test_a_target_that_shows_one_of_the_labels_of_others_can_be_both(tmp_path: Path) -> None:
    labels = {"left": [n % 2 for n in range(ROWS)], "right": [0] * ROWS, "other": [7] * ROWS}
    found = competition(tmp_path, labels, dict.fromkeys(labels, [0] * 40))

    assert found.classes == {"left": ("0", "1"), "right": ("0", "1"), "other": ("7",)}


@pytest.mark.parametrize(("labels", "is_said"), [(ROWS, True), (ROWS // 4, False)])
def test_a_target_of_labels_that_hardly_recur_is_profiled_with_a_warning(
    labels: int, is_said: bool, tmp_path: Path
) -> None:
    found = competition(tmp_path, {"left": [f"{n % labels} kg" for n in range(ROWS)]}, {"left": ["0 kg"] * 40})

    assert any(f"has {labels} labels in {ROWS} rows" in warning for warning in found.warnings) == is_said


def goals(odd: Mapping[int, str]) -> list[str]:
    """Different numbers, and other texts in some rows."""
    return [odd.get(n, f"{n * 1.37:.2f}") for n in range(ROWS)]


@pytest.mark.parametrize("odd", ["inf", "-Infinity", "1e999", "NA", "oops", "12.5 kg", "1,5"])
def test_few_texts_that_are_no_finite_number_leave_a_target_of_numbers(odd: str, tmp_path: Path) -> None:
    found = competition(tmp_path, {"goal": goals({7: odd, 80: odd})}, None)

    assert (found.task_type, found.classes) == ("regression", {})
    caution = next(warning for warning in found.warnings if "'goal'" in warning)
    assert odd in caution
    assert "2 of 120 rows" in caution
    assert "row 8" in caution
    values = read_columns(tmp_path / "tables/train.parquet", {"goal": '"goal"'})["goal"]
    assert values.dtype == np.float64
    assert np.flatnonzero(np.ma.getmaskarray(values)).tolist() == [7, 80]


@pytest.mark.parametrize(
    ("number", "wording"), [(lambda n: str(n % 10), "root mean squared error"), (lambda n: f"{n % 10 + 0.5}", "")]
)
@pytest.mark.parametrize("odd", ["inf", "NA"])
def test_few_numbers_that_are_amounts_stay_so_beside_what_stands_for_none(
    number: Callable[[int], str], wording: str, odd: str, tmp_path: Path
) -> None:
    found = competition(tmp_path, {"goal": [odd if n == 7 else number(n) for n in range(ROWS)]}, None, wording=wording)

    assert found.task_type == "regression"
    assert any(odd in warning and "1 of 120 rows" in warning for warning in found.warnings)


def test_what_is_no_number_far_behind_the_first_rows_leaves_a_target_of_numbers(tmp_path: Path) -> None:
    rows = 30_000
    amounts = [{25_000: "oops", 26_000: "inf"}.get(n, str(n / 8)) for n in range(rows)]
    write_csv(tmp_path / "data/train.csv", {"id": range(rows), "x": range(rows), "amount": amounts})
    write_csv(tmp_path / "data/test.csv", {"id": range(rows, rows + 10), "x": range(10)})

    found = profile_dataset(tmp_path / "data", tmp_path / "tables", {})

    assert found.task_type == "regression"
    assert any("'amount'" in warning and "oops" in warning and "2 of 30000" in warning for warning in found.warnings)
    values = read_columns(tmp_path / "tables/train.parquet", {"amount": '"amount"'})["amount"]
    assert np.flatnonzero(np.ma.getmaskarray(values)).tolist() == [25_000, 26_000]


@pytest.mark.parametrize(
    ("values", "wording"),
    [
        ([("NA", "0", "1")[n % 3] for n in range(ROWS)], ""),
        (["unknown" if n == 5 else str(n % 60) for n in range(ROWS)], "accuracy"),
        ([f"A{n}" if n % 5 == 0 else str(n) for n in range(ROWS)], ""),
    ],
)
def test_a_text_among_labels_or_codes_is_a_label(values: Sequence[str], wording: str, tmp_path: Path) -> None:
    found = competition(tmp_path, {"goal": values}, None, wording=wording)

    assert found.task_type == "multiclass_classification"
    assert set(found.classes["goal"]) == set(values)


def test_pages_that_show_a_submission_name_targets_in_its_order(tmp_path: Path) -> None:
    labels: Columns = {"a": [n / 7 for n in range(ROWS)], "b": [n / 3 for n in range(ROWS)], "c": range(ROWS)}

    found = competition(tmp_path, labels, None, pages={"evaluation": "Predict two.\n\n```\nid,b,a\n500,0.1,0.2\n```"})

    assert found.target_columns == ("b", "a")
    assert found.submission_columns == ("id", "b", "a")
    assert found.target_guess.confidence >= 0.8


def test_column_to_which_the_others_add_up_is_the_target(tmp_path: Path) -> None:
    parts: Columns = {"new": [n % 7 for n in range(ROWS)], "old": [n % 5 for n in range(ROWS)]}
    total = [a + b for a, b in zip(*parts.values(), strict=True)]

    found = competition(tmp_path, {"all": total, **parts}, None)
    assert found.target_columns == ("all",)
    assert found.target_parts == {"all": ("new", "old")}


def test_a_copy_of_the_target_is_no_part_of_it(tmp_path: Path) -> None:
    amounts = [n % 97 + 0.5 for n in range(ROWS)]
    assert competition(tmp_path, {"all": amounts, "same": amounts}, {"all": [0.5] * 40}).target_parts == {}


def test_classes_that_are_also_features_are_not_the_targets(tmp_path: Path) -> None:
    odds: Columns = {animal: [n / 9 for n in range(ROWS)] for animal in ANIMALS}
    test_odds: Columns = {animal: [n / 9 for n in range(TEST_ROWS)] for animal in ANIMALS}
    labels: Columns = {**odds, "winner": [ANIMALS[n % 3] for n in range(ROWS)]}

    found = competition(tmp_path, labels, dict.fromkeys(ANIMALS, [0.3] * 40), test_extra=test_odds)

    assert found.target_columns == ("winner",)
    assert found.submission_kind == "class_probability"


def test_many_whole_numbers_are_classes_when_the_submission_names_them(tmp_path: Path) -> None:
    grades = [n % 30 for n in range(ROWS)]

    found = competition(tmp_path, {"grade": grades}, {f"grade_{n}": [0.03] * 40 for n in range(30)})

    assert found.task_type == "multiclass_classification"
    assert found.classes["grade"] == tuple(map(str, range(30)))


def test_target_with_decimal_commas_is_a_number(tmp_path: Path) -> None:
    found = competition(tmp_path, {"rent": [f"{n},5" for n in range(ROWS)]}, None)

    assert (found.task_type, found.submission_kind) == ("regression", "value")


def test_ids_that_the_sample_names_otherwise_are_no_feature(tmp_path: Path) -> None:
    write_csv(tmp_path / "data/sample_submission.csv", {"ID": range(500, 540), "Expected": [0] * 40})

    found = competition(tmp_path, {"rent": [n / 7 for n in range(ROWS)]}, None)

    assert {column.name: column.kind for column in found.columns}["id"] == "id"
    assert not [text for text in found.warnings if "'id'" in text or "lists other ids" in text]


def test_features_and_labels_in_two_files_are_one_training_set(tmp_path: Path) -> None:
    ids = list(range(ROWS))
    features: Columns = {"id": ids, "height": [n / 7 for n in ids], "colour": ["red", "blue"] * (ROWS // 2)}
    write_csv(tmp_path / "data/train_features.csv", features)
    write_csv(tmp_path / "data/train_labels.csv", {"id": ids[::-1], "late": [n % 2 for n in ids]})
    write_csv(tmp_path / "data/test_features.csv", {**features, "id": range(500, 500 + ROWS)})

    found = profile_dataset(tmp_path / "data", tmp_path / "tables", {})

    assert found.target_columns == ("late",)
    assert {column.name for column in found.columns if column.in_train} == {"id", "height", "colour", "late"}
    rows = duckdb.execute(f"FROM read_parquet('{tmp_path / 'tables' / found.train}') LIMIT 2").fetchall()
    assert rows == [(ROWS - 1, "0", (ROWS - 1) / 7, "blue"), (ROWS - 2, "1", (ROWS - 2) / 7, "red")]
