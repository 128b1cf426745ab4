"""What a killed run left working behind weaker walls is found and ended, whatever it made of itself."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from autokaggle.orchestrator.orphans import end_orphans, end_orphans_of
from autokaggle.skills.sandbox.order import MARK
from autokaggle.storage.artifacts import RunFolder
from tests.sandbox_jobs import PARTIAL, need

PATIENCE_SECONDS = 300.0

# Code that leaves a process with another environment, folder, name and, as it thinks, session; then it waits.
HIDES = """
import os, subprocess, sys, time
subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(600)  # hidden"], env={}, cwd="/",
                 start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print("started", flush=True)
time.sleep(600)
"""
# A program that runs the code of a candidate of the run at argv[1], as a run does.
RUNS_IT = """
import sys
from pathlib import Path
from tests.sandbox_jobs import PARTIAL, make_job, run_job
job = make_job(Path(sys.argv[1]), Path(sys.argv[2]).read_text(), environment=None, bounds={"wall_seconds": 900})
run_job(job, PARTIAL)
"""


def below(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


@contextmanager
def killed_run(tmp_path: Path) -> Iterator[tuple[RunFolder, psutil.Process]]:
    """Kill a run and its supervisor while its code works; yield the run and the process that is left."""
    need(PARTIAL)
    folder = RunFolder.create(tmp_path, "titanic-20260102-030405-abcd")
    text = tmp_path / "hides.py"
    text.write_text(HIDES)
    candidate = folder.candidate("c001").path
    with subprocess.Popen([sys.executable, "-c", RUNS_IT, str(candidate), str(text)]) as program:
        end = time.monotonic() + PATIENCE_SECONDS
        while not (candidate / "log").is_file() or b"started" not in (candidate / "log").read_bytes():
            assert time.monotonic() < end
            assert program.poll() is None
            time.sleep(0.02)
        supervisor, *tree = below(psutil.Process(program.pid))
        (hidden,) = [each for each in tree if "# hidden" in each.cmdline()[-1]]
        supervisor.suspend()  # else it sees the program die, and ends the code in good order
        program.kill()
        program.wait()
        supervisor.kill()
        psutil.wait_procs([supervisor], timeout=PATIENCE_SECONDS)
    try:
        yield folder, hidden
    finally:
        if hidden.is_running():
            hidden.kill()


def test_what_is_left_of_one_job_is_ended_and_nothing_else(tmp_path: Path) -> None:
    with killed_run(tmp_path) as (folder, hidden):
        assert end_orphans_of(folder.candidate("c002").path / "log") == 0
        assert hidden.is_running()
        assert end_orphans_of(folder.candidate("c001").path / "log") >= 1
        assert not hidden.is_running() or hidden.status() == psutil.STATUS_ZOMBIE
        assert end_orphans(folder) == 0


def test_a_process_that_hid_itself_is_ended_and_nothing_else(tmp_path: Path) -> None:
    with killed_run(tmp_path) as (folder, hidden):
        assert hidden.environ() == {}
        assert hidden.cwd() == "/"
        assert hidden.is_running()
        assert (folder.candidate("c001").path / MARK.format(log="log")).is_file()
        other = RunFolder.create(tmp_path, "titanic-20260102-030406-abcd")
        assert end_orphans(other) == 0
        assert hidden.is_running()
        assert end_orphans(folder) >= 1
        assert not hidden.is_running() or hidden.status() == psutil.STATUS_ZOMBIE
        assert not list(folder.path.rglob(MARK.format(log="*")))
        assert end_orphans(folder) == 0


@pytest.mark.parametrize("began", ["-86400", "0", "86400"])
def test_a_session_of_the_same_number_from_another_time_is_left_alone(tmp_path: Path, began: str) -> None:
    folder = RunFolder.create(tmp_path, "titanic-20260102-030405-abcd")
    line = [sys.executable, "-S", "-c", "import time; time.sleep(600)"]
    with subprocess.Popen(line, start_new_session=True) as stranger:
        try:
            shift = float(began) or -10.0
            (folder.logs / MARK.format(log="log")).write_text(f"{os.getsid(stranger.pid)} {time.time() + shift}\n")
            assert end_orphans(folder) == 0
            assert stranger.poll() is None
        finally:
            stranger.kill()


def test_a_mark_that_was_cut_short_is_removed(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, "titanic-20260102-030405-abcd")
    mark = folder.logs / MARK.format(log="log")
    mark.write_text("12")
    assert end_orphans(folder) == 0
    assert not mark.exists()
