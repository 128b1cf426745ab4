"""Roles of tables: train, test, sample submission, whatever they are called; lookups and images beside them."""

from __future__ import annotations

from pathlib import Path

import pytest

from autokaggle.errors import CompetitionUnusable
from autokaggle.records.data_profile import DataProfile, FileProfile
from autokaggle.skills.dataset.data_profiler import profile_dataset
from autokaggle.skills.dataset.file_roles import words_of
from tests.csv_folder import Columns, write_csv

TRAIN: Columns = {
    "id": range(1000, 1060),
    "shop": [f"s{n % 7}" for n in range(60)],
    "size": [n * 1.5 for n in range(60)],
    "sold": [n % 2 for n in range(60)],
}
TEST: Columns = {
    "id": range(2000, 2020),
    "shop": [f"s{n % 7}" for n in range(20)],
    "size": [n * 1.25 for n in range(20)],
}
SAMPLE: Columns = {"id": range(2000, 2020), "sold": [0] * 20}


def profile(data: Path) -> DataProfile:
    return profile_dataset(data, data.parent / "tables", {})


def roles(found: DataProfile) -> dict[str, str]:
    return {file.name: file.role for file in found.files}


def file_named(found: DataProfile, name: str) -> FileProfile:
    return next(file for file in found.files if file.name == name)


@pytest.mark.parametrize(
    ("train", "test", "sample"),
    [
        ("train.csv", "test.csv", "sample_submission.csv"),
        ("training_set.csv", "holdout_set.csv", "sampleSubmission.csv"),
        ("deep/er/TRAIN.CSV", "deep/er/Test.csv", "gender_submission.csv"),
        ("my_train_data.csv", "my_test_data.csv", "SubmissionFormat.csv"),
        ("train/data.csv", "test/data.csv", "sample.csv"),
        ("first.csv", "second.csv", "third.csv"),
    ],
)
def test_roles_are_found_under_many_names(train: str, test: str, sample: str, tmp_path: Path) -> None:
    data = tmp_path / "data"
    for name, columns in ((train, TRAIN), (test, TEST), (sample, SAMPLE)):
        write_csv(data / name, columns)

    found = profile(data)

    assert roles(found) == {train: "train", test: "test", sample: "sample_submission"}
    assert all(file.evidence for file in found.files)
    assert (found.train_rows, found.test_rows) == (60, 20)


def test_names_that_say_nothing_lower_the_confidence(tmp_path: Path) -> None:
    for folder, names in (("clear", ("train", "test")), ("dim", ("one", "two"))):
        write_csv(tmp_path / folder / f"{names[0]}.csv", TRAIN)
        write_csv(tmp_path / folder / f"{names[1]}.csv", TEST)

    clear = profile_dataset(tmp_path / "clear", tmp_path / "a", {})
    dim = profile_dataset(tmp_path / "dim", tmp_path / "b", {})

    assert file_named(dim, "one.csv").confidence < file_named(clear, "train.csv").confidence


def test_lookup_tables_get_their_key_and_whether_it_is_unique(tmp_path: Path) -> None:
    data = tmp_path / "data"
    write_csv(data / "train.csv", TRAIN)
    write_csv(data / "test.csv", TEST)
    write_csv(data / "lookups/shops.csv", {"code": [f"s{n}" for n in range(9)], "town": list("abcdefghi")})
    write_csv(data / "visits.csv", {"shop": [f"s{n % 7}" for n in range(30)], "visitors": range(30)})
    write_csv(data / "notes.csv", {"row": range(5), "what": list("vwxyz")})

    found = profile(data)

    shops, visits, notes = (file_named(found, name) for name in ("lookups/shops.csv", "visits.csv", "notes.csv"))
    assert (shops.role, shops.join_columns, shops.join_is_unique) == ("lookup", {"code": "shop"}, True)
    assert (visits.role, visits.join_columns, visits.join_is_unique) == ("lookup", {"shop": "shop"}, False)
    assert notes.role == "extra"
    assert notes.confidence < 0.5
    assert (data.parent / "tables" / shops.table).is_file()


def test_a_table_that_knows_the_rows_of_train_alone_is_no_lookup(tmp_path: Path) -> None:
    data = tmp_path / "data"
    write_csv(data / "train.csv", TRAIN)
    write_csv(data / "test.csv", TEST)
    write_csv(data / "sample_submission.csv", SAMPLE)
    write_csv(data / "outcomes.csv", {"id": TRAIN["id"], "became": [f"kind {n % 3}" for n in range(len(TRAIN["id"]))]})

    found = profile(data)

    outcomes = file_named(found, "outcomes.csv")
    assert (outcomes.role, outcomes.join_columns) == ("extra", {})
    assert any("outcomes.csv" in warning and "not known of test" in warning for warning in found.warnings)


def test_more_rows_like_trains_are_extra_and_say_whether_they_have_labels(tmp_path: Path) -> None:
    data = tmp_path / "data"
    write_csv(data / "train.csv", TRAIN)
    write_csv(data / "test.csv", TEST)
    write_csv(data / "original.csv", TRAIN)
    write_csv(data / "unlabeled_extra.csv", TEST)

    found = profile(data)

    assert roles(found)["train.csv"] == "train"
    assert "labelled" in file_named(found, "original.csv").evidence
    assert "without the target" in file_named(found, "unlabeled_extra.csv").evidence


def test_images_are_tied_to_rows_by_the_column_that_names_them(tmp_path: Path) -> None:
    data = tmp_path / "data"
    names = [f"leaf_{n:03d}" for n in range(30)]
    for number, name in enumerate(names):
        folder = data / ("train" if number < 20 else "test")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.png").write_bytes(b"\x89PNG")
    write_csv(data / "train.csv", {"leaf": names[:20], "is_ill": [n % 2 for n in range(20)]})
    write_csv(data / "sample_submission.csv", {"leaf": names[20:], "is_ill": [0.5] * 10})

    found = profile(data)

    folders = {file.name: file for file in found.files if file.role == "image"}
    assert {name: file.rows for name, file in folders.items()} == {"train/": 20, "test/": 10}
    assert folders["train/"].join_columns == {"stem": "leaf"}
    assert (found.modality, found.task_type) == ("image", "image_classification")
    assert found.test_rows == 10


def write_pictures(data: Path, *folders: str, count: int = 12) -> None:
    for folder in folders:
        (data / folder).mkdir(parents=True)
        for number in range(count):
            (data / folder / f"{number}.png").write_bytes(b"\x89PNG")


def test_folders_named_by_labels_stand_for_the_table_of_train(tmp_path: Path) -> None:
    data = tmp_path / "data"
    write_pictures(data, "pictures/train/oak", "pictures/train/ash", "pictures/train/elm tree", "pictures/test")
    write_csv(data / "sample_submission.csv", {"file": [f"{n}.png" for n in range(12)], "tree": ["oak"] * 12})

    found = profile(data)

    assert (found.modality, found.target_columns, found.id_columns) == ("image", ("tree",), ("file",))
    assert found.classes == {"tree": ("ash", "elm tree", "oak")}
    assert (found.train_rows, found.test_rows) == (36, 12)
    assert {file.name: file.join_columns for file in found.files if file.role == "image"} == {
        "pictures/test/": {"name": "file"},
        "pictures/train/ash/": {"name": "file"},
        "pictures/train/elm tree/": {"name": "file"},
        "pictures/train/oak/": {"name": "file"},
    }


def test_the_label_that_a_number_asks_for_is_the_positive_one(tmp_path: Path) -> None:
    data = tmp_path / "data"
    write_pictures(data, "training_set/oak", "training_set/no_oak", "test_set")
    write_csv(data / "sample_submission.csv", {"id": list(range(12)), "has_oak": [0.5] * 12})

    found = profile(data)

    assert (found.target_columns, found.classes) == (("has_oak",), {"has_oak": ("0", "1")})
    assert found.submission_kind == "probability"


def test_without_a_sample_submission_the_folder_of_test_names_its_rows(tmp_path: Path) -> None:
    data = tmp_path / "data"
    write_pictures(data, "train/oak", "train/ash", "test")

    found = profile(data)

    assert (found.target_columns, found.id_columns) == (("label",), ("id",))
    assert (found.train_rows, found.test_rows) == (24, 12)


def test_one_table_of_images_in_many_folders_is_tied_to_all(tmp_path: Path) -> None:
    data = tmp_path / "data"
    write_pictures(data, *(f"images/part{part}" for part in range(8)), "images/test")
    names = [f"part{part}/{number}.png" for part in range(8) for number in range(12)]
    write_csv(data / "train.csv", {"file": names, "is_ill": [n % 2 for n in range(96)]})
    write_csv(data / "sample_submission.csv", {"file": [f"test/{n}.png" for n in range(12)], "is_ill": [0] * 12})

    folders = [file for file in profile(data).files if file.role == "image"]

    assert [file.join_columns for file in folders] == [{"name": "file"}] * 9


def test_text_files_named_by_a_column_are_tied_too(tmp_path: Path) -> None:
    data = tmp_path / "data"
    for number in range(60):
        (data / "letters").mkdir(parents=True, exist_ok=True)
        (data / "letters" / f"{number}.txt").write_text("Dear all,\n")
    write_csv(data / "train.csv", {"letter": [f"{n}.txt" for n in range(40)], "tone": [n % 3 for n in range(40)]})
    write_csv(data / "test.csv", {"letter": [f"{n}.txt" for n in range(40, 60)]})

    found = profile(data)

    letters = file_named(found, "letters/")
    assert (letters.role, letters.rows, letters.join_columns) == ("text", 60, {"name": "letter"})


def test_tables_inside_a_zip_take_part(tmp_path: Path) -> None:
    import zipfile

    data = tmp_path / "data"
    write_csv(data / "test.csv", TEST)
    with zipfile.ZipFile(data / "train.csv.zip", "w") as archive:
        archive.write(write_csv(tmp_path / "train.csv", TRAIN), "train.csv")

    assert roles(profile(data)) == {
        "train.csv.zip/train.csv": "train",
        "test.csv": "test",
        "train.csv.zip": "archive",
    }


@pytest.mark.parametrize(
    ("names", "said"),
    [((), "no table at all"), (("train.csv",), "No test table"), (("readme.csv",), "No training table")],
)
def test_a_missing_file_is_named_and_the_way_out_is_told(names: tuple[str, ...], said: str, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    for name in names:
        write_csv(data / name, TRAIN)

    with pytest.raises(CompetitionUnusable) as caught:
        profile(data)

    assert said in caught.value.message
    assert caught.value.next_step


@pytest.mark.parametrize("name", ["train.csv", "test.csv", "sample_submission.csv"])
@pytest.mark.parametrize("content", [b"", b"\x00\x01\x02" * 99])
def test_a_needed_file_that_cannot_be_read_is_refused_by_name(name: str, content: bytes, tmp_path: Path) -> None:
    data = tmp_path / "data"
    for file, columns in (("train.csv", TRAIN), ("test.csv", TEST), ("sample_submission.csv", SAMPLE)):
        write_csv(data / file, columns)
    (data / name).write_bytes(content)

    with pytest.raises(CompetitionUnusable, match=name):
        profile(data)


def test_an_unreadable_file_that_is_not_needed_is_a_warning(tmp_path: Path) -> None:
    data = tmp_path / "data"
    write_csv(data / "train.csv", TRAIN)
    write_csv(data / "test.csv", TEST)
    (data / "extra_notes.csv").write_bytes(b"")

    assert any("extra_notes.csv holds nothing" in warning for warning in profile(data).warnings)


def test_words_are_cut_at_signs_and_capitals() -> None:
    assert words_of("aug_train_2020/trainingSet.csv") == {"aug", "train", "training", "set", "csv"}
