"""How jobs end early: cancelled, interrupted, or by the death of the program; nothing of them is left at work."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil

from autokaggle.records.sandbox import Isolation
from autokaggle.skills.sandbox.executor import run_job
from tests.sandbox_jobs import EVERY_LEVEL, STRONG, make_job, need, run


def test_complete_lines_can_be_read_while_the_script_runs(tmp_path: Path) -> None:
    need(STRONG)
    job = make_job(tmp_path, "import time\nprint('a line')\ntime.sleep(120)")
    stop = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(run_job, job, STRONG, stop)
        deadline = time.monotonic() + 60
        while not (job.log.is_file() and job.log.read_bytes()) and time.monotonic() < deadline:
            time.sleep(0.02)
        seen = job.log.read_bytes()
        stop.set()
        assert future.result().limit == "cancelled"
    assert seen == b"a line\n"


@EVERY_LEVEL
def test_cancelling_ends_the_whole_tree_at_once(tmp_path: Path, isolation: Isolation) -> None:
    need(isolation)
    job = make_job(
        tmp_path, "import subprocess, sys\nsubprocess.run([sys.executable, '-c', 'import time; time.sleep(60)'])"
    )
    stop = threading.Event()
    others = psutil.Process().children(recursive=True)
    timer = threading.Timer(0.6, stop.set)
    timer.start()
    began = time.monotonic()
    result = run_job(job, isolation, stop)
    assert time.monotonic() - began < 30
    assert (result.limit, result.exit_code) == ("cancelled", None)
    assert set(psutil.Process().children(recursive=True)) <= set(others)


@EVERY_LEVEL
def test_nothing_survives_the_end_of_the_script(tmp_path: Path, isolation: Isolation) -> None:
    job = make_job(
        tmp_path,
        """
        import os, time
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                while True:
                    with open(os.environ["AUTOKAGGLE_OUTPUT"] + "/beats", "a") as stream:
                        stream.write("x")
                    time.sleep(0.05)
            os._exit(0)
        while not os.path.exists(os.environ["AUTOKAGGLE_OUTPUT"] + "/beats"):
            time.sleep(0.01)
        """,
    )
    result, _ = run(job, isolation)
    assert result.exit_code == 0
    beats = (job.output / "beats").stat().st_size
    time.sleep(0.3)
    assert beats > 0
    assert (job.output / "beats").stat().st_size == beats


@EVERY_LEVEL
def test_kill_9_of_the_program_leaves_nothing_behind(tmp_path: Path, isolation: Isolation) -> None:
    need(isolation)
    beats = tmp_path / "job" / "output" / "beats"
    program = f"""
import sys, tempfile, threading
from pathlib import Path
from autokaggle.records.sandbox import Isolation
from autokaggle.skills.sandbox.executor import run_job
from tests.sandbox_jobs import make_job
text = '''
import os, time
if os.fork() == 0:
    os.setsid()
while True:
    with open(os.environ["AUTOKAGGLE_OUTPUT"] + "/beats", "a") as stream: stream.write("x")
    time.sleep(0.05)
'''
tempfile.tempdir = {str(tmp_path)!r}
job = make_job(Path({str(tmp_path / "job")!r}), text)
isolation = Isolation(level={isolation.level!r}, backend={isolation.backend!r})
worker = threading.Thread(target=run_job, args=(job, isolation))
worker.start()
worker.join()
"""
    root = Path(__file__).resolve().parents[1]
    process = subprocess.Popen([sys.executable, "-c", program], cwd=root)
    deadline = time.monotonic() + 120
    while not beats.is_file() and time.monotonic() < deadline:
        time.sleep(0.05)
    family = psutil.Process(process.pid).children(recursive=True)
    assert family
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    _, alive = psutil.wait_procs(family, timeout=60)
    assert alive == []
    before = beats.stat().st_size
    time.sleep(0.3)
    assert beats.stat().st_size == before
    assert list(tmp_path.glob("autokaggle-work-*")) == []


def test_ctrl_c_ends_the_step_and_leaves_nothing_behind(tmp_path: Path) -> None:
    need(STRONG)
    program = f"""
import tempfile
from pathlib import Path
from autokaggle.skills.sandbox.executor import run_job
from tests.sandbox_jobs import STRONG, make_job
tempfile.tempdir = {str(tmp_path)!r}
try:
    run_job(make_job(Path({str(tmp_path / "job")!r}), "import time; print('ready'); time.sleep(60)"), STRONG)
except KeyboardInterrupt:
    print("interrupted")
"""
    root = Path(__file__).resolve().parents[1]
    with subprocess.Popen([sys.executable, "-c", program], cwd=root, stdout=subprocess.PIPE, text=True) as process:
        log, deadline = tmp_path / "job" / "log", time.monotonic() + 120
        while not (log.is_file() and log.read_text()) and time.monotonic() < deadline:
            time.sleep(0.05)
        family = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=60)
    assert family
    assert said == "interrupted\n"
    assert not any(child.is_running() for child in family)
    assert list(tmp_path.glob("autokaggle-work-*")) == []
