"""A full disk and folders that are closed: said plainly, exit code 4, and nothing is lost once there is room."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from autokaggle.errors import DiskTrouble
from autokaggle.skills.sandbox.landlock import drop_capabilities
from autokaggle.storage.disk import disk_trouble, refuse_full_disk
from tests.killable_world import FLAGS, World, make_orchard

WRITTEN_ONLY = ("--no-chat", "--model", "none", "--skip-execution", "--json", "--quiet")


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        (errno.ENOSPC, "Free disk space"),
        (errno.EFBIG, "Free disk space"),
        (errno.EACCES, "writable"),
        (errno.EROFS, "writable"),
    ],
)
def test_what_the_file_system_refuses_is_told_apart_from_our_faults(code: int, advice: str) -> None:
    found = disk_trouble(OSError(code, os.strerror(code), "/runs/x"), "go on")
    assert found is not None
    assert (found.message, found.exit_code) == (f"{os.strerror(code)}: /runs/x.", 4)
    assert advice in found.next_step
    assert found.next_step.endswith("then go on.")


def test_a_librarys_words_are_understood(tmp_path: Path) -> None:
    import duckdb

    with pytest.raises(duckdb.Error) as caught:
        duckdb.sql(f"COPY (SELECT 1) TO '{tmp_path}/missing/x.parquet'")
    assert disk_trouble(caught.value) is None  # no such folder is our fault
    assert disk_trouble(duckdb.IOException("Could not write: No space left on device")) is not None
    assert disk_trouble(ValueError("No space left on device")) is None


def test_a_disk_with_room_is_not_refused(tmp_path: Path) -> None:
    refuse_full_disk(tmp_path, 1)
    with pytest.raises(DiskTrouble, match="is full"):
        refuse_full_disk(tmp_path, shutil.disk_usage(tmp_path).total + 1)


class Workplace:
    """A folder with the orchard, and the program started there without root's right to pass closed doors."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        make_orchard(folder / "orchard")

    def call(self, *arguments: str, **variables: str) -> tuple[int, dict[str, Any], str]:
        done = subprocess.run(
            [sys.executable, "-m", "autokaggle", *arguments],
            cwd=self.folder,
            env={**os.environ, "AUTOKAGGLE_HOME": str(self.folder / "home"), **variables},
            capture_output=True,
            text=True,
            timeout=300,
            preexec_fn=drop_capabilities if os.geteuid() == 0 else None,
        )
        assert "Traceback" not in done.stderr
        return done.returncode, json.loads(done.stdout), done.stderr


@pytest.fixture
def workplace(tmp_path: Path) -> Iterator[Workplace]:
    yield Workplace(tmp_path)
    for folder in [tmp_path, *tmp_path.rglob("*")]:
        if folder.is_dir() and not folder.is_symlink():
            folder.chmod(0o700)


def test_a_folder_of_runs_that_cannot_be_written_is_named(workplace: Workplace) -> None:
    closed = workplace.folder / "closed"
    closed.mkdir(mode=0o500)
    code, answer, said = workplace.call("run", "orchard", *WRITTEN_ONLY, "--runs-dir", str(closed / "runs"))
    assert code == answer["error"]["exit_code"] == 4
    assert f"Permission denied: {closed / 'runs'}" in said
    assert "--runs-dir" in said


def test_a_run_folder_that_was_closed_goes_on_when_it_is_open_again(workplace: Workplace) -> None:
    code, answer, _ = workplace.call("run", "orchard", *WRITTEN_ONLY)
    assert code == 0
    run = Path(answer["run_dir"])
    record = json.loads((run / "run.json").read_text())
    record["stages"] = [stage for stage in record["stages"] if stage["name"] != "report"]
    (run / "run.json").write_text(json.dumps({**record, "status": "interrupted"}))
    run.chmod(0o500)
    code, answer, said = workplace.call("resume", run.name, "--json", "--quiet")
    assert code == 4
    assert str(run) in said
    assert "resume" in answer["error"]["next_step"]
    run.chmod(0o700)
    code, answer, _ = workplace.call("resume", run.name, "--json", "--quiet")
    assert (code, answer["status"]) == (0, "done")


def test_data_that_may_not_be_read_are_named(workplace: Workplace) -> None:
    (workplace.folder / "orchard" / "train.csv").chmod(0)
    code, _, said = workplace.call("run", "orchard", *WRITTEN_ONLY)
    assert code == 4
    assert "train.csv" in said


@contextlib.contextmanager
def small_disk(folder: Path, size: str) -> Iterator[None]:
    """Mount a disk of its own at ``folder``; skip where that is not allowed."""
    folder.mkdir()
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("mounting a small disk needs root")
    line = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if (done := subprocess.run(line, capture_output=True, text=True, check=False)).returncode:
        pytest.skip(f"no small disk can be mounted here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path, leave_bytes: int) -> Path:
    filler = folder / "filler"
    with filler.open("wb") as stream:
        stream.write(bytes(max(0, shutil.disk_usage(folder).free - leave_bytes)))
    return filler


@pytest.mark.slow
@pytest.mark.parametrize("left_bytes", [0, 16 << 10, 64 << 10, 256 << 10])
def test_a_run_on_a_full_disk_stops_and_goes_on_when_there_is_room(workplace: Workplace, left_bytes: int) -> None:
    disk = workplace.folder / "disk"
    with small_disk(disk, "4m"):
        filler = fill(disk, left_bytes)
        code, answer, said = workplace.call("run", "orchard", *WRITTEN_ONLY, "--runs-dir", str(disk / "runs"))
        assert code == 4
        assert "No space left on device" in said
        assert "Free disk space" in said
        filler.unlink()
        begun = list(disk.glob("runs/*/run.json"))
        # With no room for its record, the run never began.
        command = ("resume", begun[0].parent.name, "--json", "--quiet") if begun else ("run", "orchard", *WRITTEN_ONLY)
        code, answer, _ = workplace.call(*command, "--runs-dir", str(disk / "runs"))
        assert (code, answer["status"]) == (0, "done")


@pytest.mark.slow
def test_candidates_that_meet_a_full_disk_are_run_again_when_there_is_room(
    world: World, undisturbed: dict[str, Any]
) -> None:
    disk = world.folder / "disk"
    with small_disk(disk, "300m"):
        filler = fill(disk, 1 << 20)
        process = world.start("run", "orchard", *FLAGS, "--runs-dir", str(disk / "runs"))
        out, err = process.communicate(timeout=600)
        assert process.returncode == 4, err
        assert "is full" in json.loads(out)["error"]["message"]
        filler.unlink()
        (record,) = disk.glob("runs/*/run.json")
        answer = world.finish(
            world.start("resume", record.parent.name, "--runs-dir", str(disk / "runs"), "--json", "--quiet")
        )
        assert answer["submission"]["sha256"] == undisturbed["submission"]["sha256"]
