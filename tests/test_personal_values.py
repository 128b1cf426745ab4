"""Personal values in what a program said: they are found by asking the tables, and replaced."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from autokaggle.orchestrator.code_run import last_line
from autokaggle.skills.dataset import personal_values
from autokaggle.skills.dataset.data_profiler import profile_dataset
from autokaggle.skills.dataset.personal_values import mask_values, personal_columns
from autokaggle.skills.dialogue.code_requests import error_digest, error_kinds
from autokaggle.storage.parquet_tables import write_columns
from tests.csv_folder import write_csv

COLUMNS = {"who": ("name",), "line": ("phone",), "home": ("address",), "born": ("birth_date",), "cell": ("phone",)}


@pytest.fixture
def tables(tmp_path: Path) -> list[Path]:
    names = np.array(["Plantedname, Mrs. Jane O'Neill", "Roe, Omar", "Łukasz Wójcik", "Bo To"], dtype=object)
    write_columns(tmp_path / "train.parquet", {"who": names, "height": np.array([1.5, 2.5, 3.5, 4.5])})
    write_columns(tmp_path / "test.parquet", {"who": names[:1], "line": np.array([5550100], dtype=np.int64)})
    homes = np.array(["12 Planted Street\nOldtown 'West'", "The Mill,\r\n Elmbury"], dtype=object)
    born = np.array(["1980-01-02T00:00", "1971-11-03T04:30"], dtype="datetime64[us]")
    contacts = {"home": homes, "born": born, "cell": np.array([5551234567.0, 5559876543.0])}
    write_columns(tmp_path / "contacts.parquet", contacts)
    return sorted(tmp_path.glob("*.parquet"))


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("could not convert: \"Plantedname, Mrs. Jane O'Neill\"", 'could not convert: "<name>"'),
        ("KeyError: 'plantedname'", "KeyError: '<name>'"),
        ("KeyError: 'PLANTEDNAME, MRS'", "KeyError: '<name>, <name>'"),
        ("unknown Wójcik_2 of Wójciks", "unknown <name>_2 of Wójciks"),
        ("invalid literal: 5550100", "invalid literal: <phone>"),
        ("write to jane@planted-mail.example", "write to <email>"),
        ("no address '12 Planted Street\\nOldtown \\'West\\''", "no address '<address>'"),
        ("no address 'the mill, elmbury' of the mill,\\n\\relmbury", "no address '<address>' of <address>"),
        ("exit code 1: Oldtown 'West'", "exit code 1: <address>"),
        ("no number 5551234567 or 5559876543.0", "no number <phone> or <phone>.0"),
        ("born 1980-01-02 00:00:00, 1971-11-03", "born <birth_date> 00:00:00, <birth_date>"),
        ("datetime.date(1980, 1, 2)", "datetime.date(<birth_date>)"),
        ("in ['a\\nPlantedname', 'Bo'] to 'To', Bob", "in ['a\\n<name>', '<name>'] to '<name>', Bob"),
        ("could not convert 'Łukasz WójcikRoe, OmarŁukasz Wójcik'", "could not convert '<name><name><name>'"),
        ("KeyError: 'height' of 1.5", "KeyError: 'height' of 1.5"),
    ],
)  # fmt: skip
def test_personal_values_are_replaced_by_their_kind(said: str, told: str, tables: list[Path]) -> None:
    assert mask_values([said], tables, COLUMNS) == [told]


def test_without_personal_columns_no_table_is_read(tmp_path: Path) -> None:
    assert mask_values(["KeyError: 'Jane'"], [tmp_path / "nowhere.parquet"], {}) == ["KeyError: 'Jane'"]


def test_many_texts_take_one_look_at_each_column(tables: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[str] = []
    found = personal_values._found

    def counted(text: str, table: Path, column: str, type_name: str, *, by_word: bool) -> list[str]:
        looks.append(f"{table.stem}.{column}")
        return found(text, table, column, type_name, by_word=by_word)

    monkeypatch.setattr(personal_values, "_found", counted)
    told = mask_values(
        ["KeyError: 'Omar'", "5550100 of 1.5", "KeyError: 'Omar'"], tables, {"who": ("name",), "line": ("phone",)}
    )
    assert told == ["KeyError: '<name>'", "<phone> of 1.5", "KeyError: '<name>'"]
    assert sorted(looks) == ["test.line", "test.who", "train.who"]


def test_personal_columns_of_every_table_count(tmp_path: Path) -> None:
    keys = [f"s{n}" for n in range(8)]
    write_csv(tmp_path / "data/train.csv", {"id": range(40), "shop": keys * 5, "y": [n % 2 for n in range(40)]})
    write_csv(tmp_path / "data/test.csv", {"id": range(40, 60), "shop": (keys * 3)[:20]})
    owners = [f"{first} Plantedname" for first in ("Ada", "Bo", "Cleo", "Dan", "Eve", "Finn", "Gus", "Hal")]
    lines = [5550109870 + n for n in range(8)]
    areas = [n % 3 for n in range(8)]
    write_csv(tmp_path / "data/shops.csv", {"shop": keys, "owner_name": owners, "phone": lines, "area": areas})
    profile = profile_dataset(tmp_path / "data", tmp_path / "tables", {})
    columns = personal_columns(profile)
    assert columns == {"owner_name": ("name",), "phone": ("phone",)}
    told = mask_values(["KeyError: 'Cleo', 5550109877 in s3"], sorted((tmp_path / "tables").iterdir()), columns)
    assert told == ["KeyError: '<name>', <phone> in s3"]


def test_what_a_program_said_is_masked_before_it_is_cut(tables: list[Path], tmp_path: Path) -> None:
    said = f"ValueError: {'x' * 178} Plantedname, Mrs. Jane O'Neill"
    told = error_digest(f"Traceback\n{said}", lambda text: mask_values([text], tables, COLUMNS)[0])
    assert told == f"Traceback\nValueError: {'x' * 178} <name>"

    log = tmp_path / "run.log"
    log.write_text(f"{'z' * 5_000}\n{said}\n{'Roe, Omar' * 12} {'w' * 5_000}\n \n")
    last = last_line(log)
    assert last.startswith("Roe, OmarRoe")
    assert mask_values([last], tables, COLUMNS)[0].startswith("<name>" * 12 + " www")


def test_a_value_across_the_cut_of_a_long_line_is_not_told_in_part(tables: list[Path], tmp_path: Path) -> None:
    # So many addresses come before it that little of the line is left once they are masked.
    said = f"{'m' * 40}@planted-mail.example " * 16
    said += f"{'w' * (985 - len(said))} 12 Planted Street Oldtown 'West' {'v' * 5_000}"
    told = error_digest(f"Traceback\n{said}", lambda text: mask_values([text], tables, COLUMNS)[0])
    (tmp_path / "run.log").write_text(f"Traceback\n{said}\n")
    last = mask_values([last_line(tmp_path / "run.log")], tables, COLUMNS)[0]
    for text in (told, last):
        assert "<email> <email>" in text
        assert "12 Pla" not in text
        assert "vvv" not in text


def test_of_errors_their_kinds_alone_can_be_told() -> None:
    said = (
        "Traceback\n  File\nValueError: could not convert 'Vermilion'\nVermilion: MemoryError\nexit code 1: ValueError"
    )
    assert error_kinds(said) == "ValueError, MemoryError"
    assert error_kinds("Vermilion 17, True") == "an error"
