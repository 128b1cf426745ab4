"""Running jobs: what scripts see and leave, how chains end, cancelling, parallel use, and the death of the program."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

from autokaggle.errors import AutoKaggleError, UsageError
from autokaggle.records.sandbox import Isolation
from autokaggle.skills.sandbox import bubblewrap
from autokaggle.skills.sandbox.executor import run_job
from tests.sandbox_jobs import LEVELS, PARTIAL, STRONG, UNSANDBOXED, make_job, need, run

every_level = pytest.mark.parametrize("isolation", LEVELS, ids=lambda isolation: isolation.backend)
WALLED = pytest.mark.parametrize("isolation", [STRONG, PARTIAL], ids=lambda isolation: isolation.backend)


@every_level
def test_a_script_finds_its_folders_arguments_and_variables(tmp_path: Path, isolation: Isolation) -> None:
    job = make_job(
        tmp_path,
        """
        import json, os, sys
        from pathlib import Path
        import neighbour
        text = Path(os.environ["AUTOKAGGLE_INPUT"], "data.txt").read_text()
        Path(os.environ["AUTOKAGGLE_OUTPUT"], "answer.json").write_text(json.dumps({
            "text": text, "arguments": sys.argv[1:], "extra": os.environ["EXTRA"], "module": neighbour.NAME,
            "threads": os.environ["OMP_NUM_THREADS"],
            "home_is_writable": Path(os.environ["HOME"], "x").write_text("x") == 1,
        }))
        """,
        arguments=("a b", "$(id)", "; rm -rf /"),
        variables={"EXTRA": "given"},
        bounds={"threads": 3},
    )
    (tmp_path / "input" / "data.txt").write_text("seen")
    (job.code / "neighbour.py").write_text("NAME = 'neighbour'\n")
    result, log = run(job, isolation)
    assert (result.exit_code, result.limit, log) == (0, None, "")
    assert json.loads((job.output / "answer.json").read_text()) == {
        "text": "seen",
        "arguments": ["a b", "$(id)", "; rm -rf /"],
        "extra": "given",
        "module": "neighbour",
        "threads": "3",
        "home_is_writable": True,
    }


@WALLED
def test_nothing_of_the_environment_is_inherited(
    tmp_path: Path, isolation: Isolation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_OF_THE_USER", "value")
    _, log = run(make_job(tmp_path, "import os\nprint(sorted(os.environ))"), isolation)
    assert "SECRET" not in log
    assert "AUTOKAGGLE_INPUT" in log


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc")
def test_the_process_that_watches_the_code_holds_no_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAGGLE_API_TOKEN", "planted")
    text = "import os\nprint(len(seen := open(f'/proc/{os.getppid()}/environ').read()), 'planted' in seen)"
    _, log = run(make_job(tmp_path, text), UNSANDBOXED)
    length, has_key = log.split()
    assert int(length) > 0
    assert has_key == "False"


@every_level
def test_scripts_share_one_interpreter_and_each_is_main(tmp_path: Path, isolation: Isolation) -> None:
    job = make_job(
        tmp_path,
        """
        import sys, decimal
        decimal.left_here = "kept"
        print("first", __name__, __file__.endswith("script0.py"))
        own = 1
        sys.exit(0)
        """,
        """
        import decimal, pickle
        def named(): return 1
        print("second", decimal.left_here, "own" in globals(), pickle.loads(pickle.dumps(named))())
        """,
    )
    result, log = run(job, isolation)
    assert result.exit_code == 0
    assert log == "first __main__ True\nsecond kept False 1\n"


def test_an_exception_ends_the_chain_with_its_traceback_alone(tmp_path: Path) -> None:
    job = make_job(tmp_path, "def f():\n    raise ValueError('bad value')\nf()", "print('never')")
    result, log = run(job, STRONG)
    assert result.exit_code == 1
    assert log.splitlines()[0] == "Traceback (most recent call last):"
    assert '"/code/script0.py", line 3' in log.splitlines()[1]
    assert log.rstrip().endswith("ValueError: bad value")
    assert "never" not in log


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("import sys; sys.exit(7)", 7),
        ("import sys; sys.exit('a reason')", 1),
        ("raise KeyboardInterrupt", 1),
        ("import os; os._exit(3)", 3),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", 139),
        ("def broken(:", 1),
    ],
)
def test_how_a_script_ends_is_its_exit_code(tmp_path: Path, text: str, code: int) -> None:
    result, log = run(make_job(tmp_path, text, "print('never')"), STRONG)
    assert (result.exit_code, result.limit) == (code, None)
    assert "never" not in log


def test_the_code_sees_short_paths_also_in_its_arguments(tmp_path: Path) -> None:
    text = "import os, sys\nprint(os.getcwd(), sys.argv[1:], __file__)"
    arguments = (f"--data={tmp_path / 'input'}/x.csv", str(tmp_path / "elsewhere"))
    _, log = run(make_job(tmp_path, text, arguments=arguments), STRONG)
    assert log == f"/work ['--data=/in/x.csv', '{tmp_path}/elsewhere'] /code/script0.py\n"


def test_complete_lines_can_be_read_while_the_script_runs(tmp_path: Path) -> None:
    need(STRONG)
    job = make_job(tmp_path, "import time\nprint('a line')\ntime.sleep(20)")
    stop = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(run_job, job, STRONG, stop)
        deadline = time.monotonic() + 10
        while not (job.log.is_file() and job.log.read_bytes()) and time.monotonic() < deadline:
            time.sleep(0.02)
        seen = job.log.read_bytes()
        stop.set()
        assert future.result().limit == "cancelled"
    assert seen == b"a line\n"


@every_level
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
    assert time.monotonic() - began < 2
    assert (result.limit, result.exit_code) == ("cancelled", None)
    assert set(psutil.Process().children(recursive=True)) <= set(others)


@every_level
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
        time.sleep(0.3)
        """,
    )
    result, _ = run(job, isolation)
    assert result.exit_code == 0
    beats = (job.output / "beats").stat().st_size
    time.sleep(0.3)
    assert beats > 0
    assert (job.output / "beats").stat().st_size == beats


@every_level
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
    _, alive = psutil.wait_procs(family, timeout=20)
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


def test_twenty_jobs_side_by_side_share_nothing(tmp_path: Path) -> None:
    need(STRONG)
    text = """
    import os, sys, time
    own = sys.argv[1]
    for folder in ("/work", "/tmp", "/dev/shm", "/out"):
        with open(f"{folder}/mark", "x") as stream:
            stream.write(own)
    time.sleep(0.3)
    for folder in ("/work", "/tmp", "/dev/shm", "/out"):
        assert open(f"{folder}/mark").read() == own and os.listdir(folder).count("mark") == 1
    others = [name for name in os.listdir("/proc") if name.isdigit()]
    assert len(others) <= 3, others
    """
    jobs = [make_job(tmp_path / str(number), text, arguments=(str(number),)) for number in range(20)]
    with ThreadPoolExecutor(20) as pool:
        results = list(pool.map(lambda job: run_job(job, STRONG), jobs))
    assert [result.exit_code for result in results] == [0] * 20
    assert [(job.output / "mark").read_text() for job in jobs] == [str(number) for number in range(20)]


def test_the_record_counts_what_was_used(tmp_path: Path) -> None:
    job = make_job(
        tmp_path,
        """
        import os, time
        block = bytearray(os.urandom(1)) * (100 << 20)
        with open("/out/large", "wb") as stream:
            stream.write(block[: 8 << 20])
            os.fsync(stream.fileno())
        end = time.process_time() + 0.6
        while time.process_time() < end:
            pass
        """,
    )
    result, _ = run(job, STRONG)
    assert 0.6 <= result.cpu_seconds < 3
    assert 100 << 20 <= result.peak_memory_bytes < 200 << 20
    assert 8 << 20 <= result.written_bytes < 16 << 20
    assert result.seconds >= result.cpu_seconds / 2


def test_work_done_by_children_counts_although_they_are_gone(tmp_path: Path) -> None:
    burn = "import time\\nend = time.process_time() + 0.4\\nwhile time.process_time() < end: pass"
    text = f"import subprocess, sys\nfor _ in range(2):\n    subprocess.run([sys.executable, '-c', '{burn}'])"
    result, _ = run(make_job(tmp_path, text), STRONG)
    assert result.exit_code == 0
    assert 0.8 <= result.cpu_seconds < 3


def test_a_large_output_folder_is_left_as_plain_files(tmp_path: Path) -> None:
    job = make_job(
        tmp_path,
        """
        import os, socket
        os.chdir("/out")
        open("kept", "w").write("kept")
        os.makedirs("folder/inner"); open("folder/inner/kept", "w").write("kept")
        os.symlink("/etc/passwd", "link")
        os.symlink("folder", "folder_link")
        os.link("kept", "hard")  # taking one of the two away makes the other a plain file
        os.mkfifo("pipe")
        socket.socket(socket.AF_UNIX).bind("socket")
        open("two\\nlines", "w").close()
        open("\\x1b[31m", "w").close()
        os.chmod("folder", 0)
        """,
    )
    result, log = run(job, STRONG)
    assert result.exit_code == 0
    left = sorted(str(path.relative_to(job.output)) for path in job.output.rglob("*"))
    assert left in (["folder", "folder/inner", "folder/inner/kept", name] for name in ("hard", "kept"))
    assert log.count("[removed from output: ") == 7
    assert "\x1b" not in log


def test_a_tree_too_deep_to_walk_is_removed(tmp_path: Path) -> None:
    job = make_job(
        tmp_path,
        """
        import os
        for folder in ("/out", "/work"):
            os.chdir(folder)
            for number in range(150):
                os.mkdir("d" * 200)
                os.chdir("d" * 200)
            open("hidden", "w").write("x")
        """,
        bounds={"inodes": 10_000},
    )
    result, _ = run(job, STRONG)
    assert result.limit == "inodes"
    assert max(len(path.parts) for path in job.output.rglob("*")) - len(job.output.parts) <= 32


@every_level
def test_output_is_kept_private(tmp_path: Path, isolation: Isolation) -> None:
    job = make_job(tmp_path, "import os\nopen(os.environ['AUTOKAGGLE_OUTPUT'] + '/x', 'w').write('x')")
    run(job, isolation)
    assert (job.output / "x").stat().st_mode & 0o777 == 0o600


@WALLED
def test_input_code_and_environment_are_read_only(tmp_path: Path, isolation: Isolation) -> None:
    job = make_job(
        tmp_path,
        """
        import os, sys
        places = [os.environ["AUTOKAGGLE_INPUT"], os.path.dirname(__file__), sys.prefix, sys.base_prefix]
        for place in places:
            try:
                open(place + "/planted", "w")
            except OSError:
                continue
            print("wrote to", place)
        """,
    )
    result, log = run(job, isolation)
    assert (result.exit_code, log) == (0, "")


def test_a_given_work_folder_stays_and_another_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "open('left', 'w').write('x')"
    run(make_job(tmp_path / "a", text, work=tmp_path / "work"), STRONG)
    assert (tmp_path / "work" / "left").read_text() == "x"
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    run(make_job(tmp_path / "b", text), STRONG)
    assert list(tmp_path.glob("autokaggle-work-*")) == []


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"scripts": ("missing.py",)}, "no script missing.py"),
        ({"input": Path("/nowhere")}, "no input folder"),
        ({"environment": Path("/nowhere")}, "no Python"),
        ({"environment": None, "python": Path("/nowhere/bin/python")}, "no Python"),
    ],
)
def test_a_job_that_makes_no_sense_is_refused(tmp_path: Path, changed: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        run_job(make_job(tmp_path, "pass", **changed), UNSANDBOXED)


def test_a_python_in_the_home_folder_itself_is_refused(tmp_path: Path, isolated_world: Path) -> None:
    (isolated_world / "bin").mkdir()
    python = isolated_world / "bin" / "python"
    python.write_bytes(Path(sys.executable).resolve().read_bytes())
    python.chmod(0o755)
    with pytest.raises(UsageError, match="without showing all of"):
        run_job(make_job(tmp_path, "pass", environment=None, python=python), STRONG)


def test_walls_that_cannot_be_built_are_an_error_not_a_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    need(STRONG)
    job = make_job(tmp_path, "print('ran')")
    monkeypatch.setattr(bubblewrap, "NAMESPACES", ("--unshare-user", "--ro-bind", "/nowhere", "/nowhere"))
    with pytest.raises(AutoKaggleError, match=r"could not be built: bwrap: .*nowhere"):
        run_job(job, STRONG)
    assert "ran" not in job.log.read_text()


@WALLED
def test_parallel_work_of_joblib_runs(tmp_path: Path, isolation: Isolation) -> None:
    text = """
    from joblib import Parallel, delayed
    from neighbour import square
    if __name__ == "__main__":
        print(sum(Parallel(n_jobs=2)(delayed(square)(number) for number in range(5))))
    """
    job = make_job(tmp_path, text, bounds={"memory_bytes": 1 << 30})
    (job.code / "neighbour.py").write_text("def square(number):\n    return number * number\n")
    result, log = run(job, isolation)
    assert (result.exit_code, log) == (0, "30\n")


def test_processes_of_the_standard_library_run(tmp_path: Path) -> None:
    text = """
    import multiprocessing
    def square(number): return number * number
    if __name__ == "__main__":
        for method in ("fork", "spawn", "forkserver"):
            with multiprocessing.get_context(method).Pool(2) as pool:
                print(sum(pool.map(square, range(5))))
    """
    _, log = run(make_job(tmp_path, text), STRONG)
    assert log == "30\n30\n30\n"


def test_the_executor_adds_little_time(tmp_path: Path) -> None:
    """Count processor time, which a busy machine does not stretch, and wall time where the machine is idle."""
    need(STRONG)
    job = make_job(tmp_path, "pass")

    def cost(action: Callable[[], object]) -> tuple[float, float]:
        times, began = os.times(), time.perf_counter()
        action()
        wall, spent = time.perf_counter() - began, os.times()
        return wall, sum(spent[:4]) - sum(times[:4])

    plain = [cost(lambda: subprocess.run([sys.executable, job.code / "script0.py"])) for _ in range(9)]
    boxed = [cost(lambda: run_job(job, STRONG)) for _ in range(9)]
    assert min(cpu for _, cpu in boxed) - min(cpu for _, cpu in plain) < 0.1
    if os.getloadavg()[0] < 1:
        assert min(wall for wall, _ in boxed) - min(wall for wall, _ in plain) < 0.2
