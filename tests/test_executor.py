"""Running jobs: what scripts see, how chains end, and which jobs are refused."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from autokaggle.errors import AutoKaggleError, UsageError
from autokaggle.records.sandbox import Isolation
from autokaggle.skills.sandbox import bubblewrap
from autokaggle.skills.sandbox.executor import run_job
from tests.sandbox_jobs import EVERY_LEVEL, STRONG, UNSANDBOXED, WALLED, make_job, need, run


@EVERY_LEVEL
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


@EVERY_LEVEL
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


@pytest.mark.parametrize("kept", ["output", "work"])
@pytest.mark.parametrize("place", [".", "code", "input"])
def test_code_and_input_cannot_be_written_by_another_name(tmp_path: Path, kept: str, place: str) -> None:
    changed: dict[str, Any] = {kept: tmp_path / place}
    with pytest.raises(UsageError, match="a folder of its own"):
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
