"""Exported code reads raw files into the very tables that the run had, whatever the cells look like."""

from __future__ import annotations

import zipfile
from pathlib import Path

import msgspec
import pytest

from autokaggle.orchestrator.exporting import _differing_columns
from autokaggle.skills.dataset import data_profiler
from autokaggle.skills.dataset.column_types import DAYS, MISSING_NUMBERS, MISSING_TEXTS, TIMES
from autokaggle.skills.export import read_tables
from autokaggle.storage.parquet_tables import column_types

ROWS = 60


def cells(row: int) -> dict[str, str]:
    """One train row of every kind of text that the profiler reads in its own way."""
    return {
        "id": f"{row:04d}",
        "whole": "" if row % 9 == 0 else str(row * 1_000_003),
        "long": str(2**53 + row),
        "decimal": "NA" if row % 7 == 0 else f"{row / 7:.17g}",
        "padded": f"  {row}.5 ",
        "words": "unknown" if row == 30 else str(row),
        "flag": ("True", "False", "")[row % 3],
        "day": f"{row % 28 + 1:02d}/{row % 12 + 1:02d}/2024",
        "moment": f"2024-01-{row % 28 + 1:02d}T10:00:00Z",
        "clock": f"2024-01-{row % 28 + 1:02d}T23:30:00.5+{row % 2 + 1:02d}:00",
        "text": f'say "{row}", twice\nand again é' if row % 5 else "n/a",
        "target": ("yes", "no", "NA")[row % 3],
    }


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    rows = [cells(row) for row in range(1, ROWS)]
    names = list(rows[0])
    for file, columns in (("train.csv", names), ("test.csv", names[:-1]), ("sample_submission.csv", ["id", "target"])):
        lines = [",".join('"' + row[name].replace('"', '""') + '"' for name in columns) for row in rows]
        (folder / file).write_text("\n".join([",".join(columns), *lines]) + "\n", "utf-8-sig")
    return folder


def layout(tables: Path) -> dict[str, object]:
    listed = [
        {
            "file": f"{name}.parquet",
            "source": f"{name}.csv",
            "delimiter": ",",
            "encoding": "utf-8-sig",
            "columns": [
                [column, kind, column in ("id", "target")]
                for column, kind in column_types(tables / f"{name}.parquet").items()
            ],
        }
        for name in ("train", "test", "sample_submission")
    ]
    formats = [day + time for day in DAYS for time in TIMES]
    return {
        "missing": MISSING_TEXTS,
        "missing_numbers": MISSING_NUMBERS,
        "time_formats": formats,
        "tables": listed,
    }


def test_every_table_comes_out_as_the_profiler_wrote_it(data: Path, tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    ours.mkdir()
    profile = data_profiler.profile_dataset(data, ours, {}, target=("target",))
    assert profile.classes == {"target": ("NA", "no", "yes")}
    known = tmp_path / "tables.json"
    known.write_bytes(msgspec.json.encode(layout(ours)))
    read_tables.main(data, theirs, known)
    found = {file.name: _differing_columns(file, theirs / file.name) for file in sorted(ours.glob("*.parquet"))}
    assert found == {"sample_submission.parquet": [], "test.parquet": [], "train.parquet": []}


def test_a_file_is_found_by_its_name_where_kaggle_packed_or_moved_it(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "train.csv").write_text("a\n1\n", "utf-8")
    with zipfile.ZipFile(tmp_path / "test.csv.zip", "w") as archive:
        archive.writestr("test.csv", "a\n2\n")
    assert read_tables.find_file(tmp_path, "train.csv").parent.name == "deep"
    found = read_tables.find_file(tmp_path, "other/test.csv")
    table = {"columns": [["a", "BIGINT", False]], "delimiter": ",", "encoding": "utf-8"}
    assert read_tables.read_texts(found, table)[0].tolist() == ["2"]


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"There is no train\.csv"):
        read_tables.find_file(tmp_path, "train.csv")
