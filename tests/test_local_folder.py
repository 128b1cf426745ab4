"""A local folder as a competition: its data and pages, and nothing else of it, without a network."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import pytest

from autokaggle.errors import CompetitionUnusable
from autokaggle.records.competition import Competition, MetricFinding
from autokaggle.records.event import Progress
from autokaggle.skills.competition.local_folder import read_local_folder
from autokaggle.storage.artifacts import RunFolder
from autokaggle.storage.dataset_cache import DatasetCache
from autokaggle.storage.records_file import write_record
from tests.kaggle_servers import contents, data_of, write_competition


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("a local competition needs no network")

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path / "runs", "one")


def read(folder: Path, run: RunFolder) -> Competition:
    heard: list[Progress] = []
    found = read_local_folder(folder, run, DatasetCache(run.path.parent / "cache"), heard.append)
    assert heard[-1].done == heard[-1].total
    return found


def test_a_folder_with_data_and_pages(tmp_path: Path, run: RunFolder) -> None:
    folder = write_competition(tmp_path, "My Competition")
    found = read(folder, run)
    assert contents(run.data) == data_of(folder)
    assert set(contents(run.pages)) == {"evaluation.md", "rules.md", "description.md"}
    assert (found.slug, found.title, found.url) == ("My-Competition", "Who survived?", "")
    assert (found.metric.wording, found.metric.source) == ("accuracy", "page")
    assert found.user_has_entered is None and found.deadline is None
    assert {gate.name for gate in found.gates} == {"external_data", "team_size", "daily_submissions"}


def test_answers_and_other_programs_settings_are_not_read(tmp_path: Path, run: RunFolder) -> None:
    folder = write_competition(tmp_path, "local", metric_id="roc_auc", target_columns=["leak"])
    (folder / "data" / "private").mkdir()
    (folder / "data" / "private" / "solution.csv").write_text("secret")
    found = read(folder, run)
    assert (found.slug, found.target_columns, found.metric.wording) == ("local", (), "accuracy")
    assert not any("solution" in path.name for path in run.path.rglob("*"))


def test_a_flat_folder_gives_its_data_files(tmp_path: Path, run: RunFolder) -> None:
    folder = tmp_path / "flat"
    (folder / "images").mkdir(parents=True)
    for name in ("train.csv", "test.csv", "images/0.png", "notebook.ipynb", "README.md", ".hidden", "competition.json"):
        (folder / name).write_text("x")
    assert read(folder, run).title == "flat"
    assert set(contents(run.data)) == {"train.csv", "test.csv", "images/0.png"}


def test_a_record_of_ours_is_taken_over(tmp_path: Path, run: RunFolder) -> None:
    folder = write_competition(tmp_path, "local")
    own = Competition(
        slug="house-prices",
        title="House prices",
        metric=MetricFinding(metric="rmsle", wording="RMSLE", source="user", confidence=1.0),
        target_columns=("SalePrice",),
    )
    write_record(folder / "competition.json", own)
    found = read(folder, run)
    assert (found.title, found.metric.metric, found.target_columns) == ("House prices", "rmsle", ("SalePrice",))
    assert {file.name for file in found.files} == set(data_of(folder))


@pytest.mark.parametrize("content", ["{", "[]", '"version"', "{}"])
def test_a_competition_json_that_is_not_ours_is_no_hindrance(content: str, tmp_path: Path, run: RunFolder) -> None:
    folder = write_competition(tmp_path, "local")
    (folder / "competition.json").write_text(content)
    assert read(folder, run).slug == "local"


def test_the_users_own_files_stay_as_they_are(tmp_path: Path, run: RunFolder) -> None:
    folder = write_competition(tmp_path, "local")
    train = folder / "data" / "train.csv"
    before = train.stat()
    read(folder, run)
    after = train.stat()
    assert (before.st_mode, before.st_mtime_ns, before.st_nlink) == (after.st_mode, after.st_mtime_ns, after.st_nlink)
    train.write_text("changed")
    assert (run.data / "train.csv").read_text() != "changed"


def test_links_to_files_are_followed_and_links_to_folders_are_not(tmp_path: Path, run: RunFolder) -> None:
    folder = tmp_path / "linked"
    (folder / "data").mkdir(parents=True)
    (tmp_path / "big.csv").write_text("a\n1\n")
    (folder / "data" / "train.csv").symlink_to(tmp_path / "big.csv")
    (folder / "data" / "loop").symlink_to(folder)
    (folder / "data" / "gone.csv").symlink_to(tmp_path / "gone.csv")
    os.mkfifo(folder / "data" / "pipe")
    read(folder, run)
    assert contents(run.data) == {"train.csv": b"a\n1\n"}


def test_a_folder_without_data_is_refused(tmp_path: Path, run: RunFolder) -> None:
    folder = tmp_path / "empty"
    (folder / "private").mkdir(parents=True)
    (folder / "private" / "solution.csv").write_text("x")
    (folder / "competition.json").write_text("{}")
    with pytest.raises(CompetitionUnusable, match="holds no data files"):
        read(folder, run)


def test_a_file_name_that_no_terminal_should_see_is_refused(tmp_path: Path, run: RunFolder) -> None:
    folder = tmp_path / "odd"
    folder.mkdir()
    (folder / "a\x1b[31m.csv").write_text("x")
    with pytest.raises(CompetitionUnusable, match="control characters") as raised:
        read(folder, run)
    assert "\x1b" not in str(raised.value)


def test_a_folder_whose_tables_lie_far_down_is_refused_before_it_is_walked_through(
    tmp_path: Path, run: RunFolder
) -> None:
    (tmp_path / "disk" / "home" / "someone" / "work").mkdir(parents=True)
    (tmp_path / "disk" / "home" / "someone" / "work" / "train.csv").write_text("a\n1\n")
    with pytest.raises(CompetitionUnusable, match="in it or one folder below"):
        read(tmp_path / "disk", run)


def test_runs_and_environments_inside_the_folder_are_no_data(tmp_path: Path, run: RunFolder) -> None:
    folder = tmp_path / "mine"
    for name, record in (("runs/mine-1", "run.json"), (".venv", "x"), ("env", "pyvenv.cfg")):
        (folder / name).mkdir(parents=True)
        (folder / name / record).write_text("{}")
        (folder / name / "notes.csv").write_text("a\n1\n")
    (folder / "train.csv").write_text("a\n1\n")
    read(folder, run)
    assert contents(run.data) == {"train.csv": b"a\n1\n"}
