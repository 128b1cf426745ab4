"""Records on disk: whole or not at all, private, and refused when a newer program wrote them."""

from __future__ import annotations

from pathlib import Path

import pytest

from autokaggle.errors import AutoKaggleError, OutsideWorldError
from autokaggle.records.plan import Decision, Decisions
from autokaggle.storage.records_file import make_private_folder, read_record, write_atomically, write_record

RECORD = Decisions(decisions=(Decision(key="metric", value="rmse", by="flag", why="given"),))


def test_a_record_reads_back_as_it_was(tmp_path: Path) -> None:
    path = write_record(tmp_path / "decisions.json", RECORD)
    assert read_record(path, Decisions) == RECORD
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_newer_record_is_refused_by_its_version_whatever_else_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "decisions.json"
    path.write_text('{"version": 99, "decisions": "in a new form"}')
    with pytest.raises(AutoKaggleError, match="newer AutoKaggle"):
        read_record(path, Decisions)


@pytest.mark.parametrize("content", ["", "{", '{"version": "one"}', '{"version": 1, "decisions": [7]}'])
def test_a_damaged_record_is_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / "decisions.json"
    path.write_text(content)
    with pytest.raises(AutoKaggleError, match=r"decisions\.json is damaged"):
        read_record(path, Decisions)


def test_a_write_that_fails_leaves_the_old_file_and_no_part(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    write_atomically(folder / "a", "old")
    (folder / "b").mkdir()
    with pytest.raises(OutsideWorldError, match="Cannot write"):
        write_atomically(folder / "b", "new")
    assert sorted(path.name for path in folder.iterdir()) == ["a", "b"]
    assert (folder / "a").read_text() == "old"


def test_folders_are_the_users_alone(tmp_path: Path) -> None:
    made = make_private_folder(tmp_path / "a" / "b")
    assert made.stat().st_mode & 0o777 == 0o700
    assert made.parent.stat().st_mode & 0o777 == 0o700
