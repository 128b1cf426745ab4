"""Runs on disk: whether one is at work, how it stands when its process is gone, and who may hold it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Literal

import pytest
from filelock import FileLock

from autokaggle.cli.run_view import RunView
from autokaggle.errors import UsageError
from autokaggle.records.event import Event
from autokaggle.records.run import Run, RunOptions, StageRecord
from autokaggle.storage.artifacts import RunFolder
from autokaggle.storage.records_file import write_record
from autokaggle.storage.run_folders import hold_run, is_at_work, read_run

MOMENT = "2026-01-02T03:04:05Z"


def run_at_work(tmp_path: Path, status: Literal["running", "waiting", "failed"] = "running") -> RunFolder:
    folder = RunFolder.create(tmp_path, "titanic-20260102-030405-abcd")
    stages = (
        StageRecord(name="fetch", status="done", started=MOMENT),
        StageRecord(name="profile", status="running", started=MOMENT),
    )
    options = RunOptions(target="titanic")
    run = Run(id=folder.id, slug="titanic", target="titanic", options=options, status=status, created=MOMENT,
              updated="2026-01-02T03:05:05Z", stages=stages)  # fmt: skip
    write_record(folder.record, run)
    return folder


@pytest.mark.parametrize("status", ["running", "waiting"])
def test_a_run_whose_process_is_gone_was_interrupted_and_so_was_its_stage(
    status: Literal["running", "waiting"], tmp_path: Path
) -> None:
    folder = run_at_work(tmp_path, status)
    with FileLock(folder.lock):
        found = read_run(folder)
        assert (found.status, found.stages[1].status) == (status, "running")
    found = read_run(folder)
    assert found.status == "interrupted"
    assert [(stage.name, stage.status) for stage in found.stages] == [("fetch", "done"), ("profile", "failed")]


def test_the_picture_of_a_run_that_an_unexpected_error_ended_is_over(tmp_path: Path) -> None:
    # Such a run told that it began, and never that it ended.
    view = RunView().apply_all(
        [
            Event(time=MOMENT, kind="run_started", message="", fields={"run_id": "x", "budget_seconds": 60.0}),
            Event(time=MOMENT, kind="stage_started", message="", fields={"stage": "profile"}),
        ]
    )
    view.correct(read_run(run_at_work(tmp_path, "failed")))
    assert (view.status, view.stages["profile"].mark) == ("failed", "failed")
    assert view.elapsed(now=2e9) == 60.0


def test_asking_whether_a_run_is_at_work_never_keeps_it_from_going_on(tmp_path: Path) -> None:
    folder = run_at_work(tmp_path)
    folder.lock.touch()
    source = "import sys; from pathlib import Path; from autokaggle.storage.artifacts import RunFolder\n"
    source += "from autokaggle.storage.run_folders import is_at_work\n"
    source += "print('asking', flush=True)\nwhile True: is_at_work(RunFolder(Path(sys.argv[1])))"
    command = [sys.executable, "-c", source, str(folder.path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as asker:
        assert asker.stdout is not None
        asker.stdout.readline()
        try:
            for _ in range(200):
                with hold_run(folder):
                    assert is_at_work(folder)
        finally:
            asker.terminate()
    assert not is_at_work(folder)


def test_a_run_that_another_process_holds_is_refused(tmp_path: Path) -> None:
    folder = run_at_work(tmp_path)
    with hold_run(folder), pytest.raises(UsageError, match="Another process is at work"), hold_run(folder):
        pass
    with hold_run(folder):
        assert folder.lock.stat().st_mode & 0o077 == 0


def test_what_a_killed_process_had_begun_to_write_is_gone_when_the_run_goes_on(tmp_path: Path) -> None:
    folder = run_at_work(tmp_path)
    left = [folder.path / ".run.json.123-abcd.part", folder.input / ".folds.parquet.123-abcd.part"]
    for path in left:
        path.write_text("half")
    with hold_run(folder):
        assert [path for path in left if path.exists()] == []
        assert folder.record.is_file()
