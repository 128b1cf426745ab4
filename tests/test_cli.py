"""The command line: what `run` accepts, how a call ends, and how quickly it answers."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from autokaggle import __version__
from autokaggle.errors import (
    ActionNeeded,
    AutoKaggleError,
    CompetitionUnusable,
    NoValidSubmission,
    OutsideWorldError,
    RunInterrupted,
    UsageError,
)
from autokaggle.orchestrator.signals import QUERY_INTERRUPTED
from autokaggle.records.run import RunOptions
from autokaggle.storage.artifacts import RunFolder
from tests.scripted_lifecycle import ScriptedLifecycle, call, one_object

pytestmark = pytest.mark.usefixtures("workplace")

HELP_SECONDS, STATUS_SECONDS = 0.25, 0.35
# Processors that are shared with other tests are slower than those that the goals are meant for.
PATIENCE = 2


# ---------------------------------------------------------------- run


def test_run_says_where_the_submission_lies(capsys: pytest.CaptureFixture[str], workplace: Path) -> None:
    assert call("run", "titanic") == 0
    out, err = capsys.readouterr()
    (folder,) = (workplace / "runs").iterdir()
    assert f"Submission: {folder}/output/submission.csv" in out
    assert "accuracy 0.83710" in out
    assert "higher is better" in out
    assert "c001 started: baseline" in err
    assert "isolation strong (bubblewrap)" in err


def test_run_with_json_gives_one_object_with_everything(capsys: pytest.CaptureFixture[str], workplace: Path) -> None:
    assert call("run", "titanic", "--json") == 0
    out, err = capsys.readouterr()
    (folder,) = (workplace / "runs").iterdir()
    assert one_object(out) == {
        "run_id": folder.name,
        "run_dir": str(folder),
        "status": "done",
        "metric": "accuracy",
        "greater_is_better": True,
        "cv": {"mean": 0.8371, "std": 0.02, "low": 0.79, "high": 0.88},
        "submission": {"path": str(folder / "output/submission.csv"), "rows": 1, "sha256": "ab" * 32},
        "seconds": {"total": 4.5, "by_stage": {"search": 4.5}},
        "isolation": "strong",
        "cost": 0.0,
        "sent": None,
    }
    assert "best so far" in err


@pytest.mark.parametrize("place", ["before", "after"])
def test_quiet_leaves_the_result_and_warnings(capsys: pytest.CaptureFixture[str], place: str) -> None:
    words = ["--quiet", "run", "titanic"] if place == "before" else ["run", "titanic", "--quiet"]
    assert call(*words) == 0
    out, err = capsys.readouterr()
    assert "Submission:" in out
    assert [line[9:] for line in err.splitlines()] == ["warning: Two columns are \\x1b[31mconstant."]


def test_flags_become_options(lifecycle: ScriptedLifecycle) -> None:
    flags = "--time-budget 1h30m --seed 7 --model none --no-chat --model-family lightgbm --gpu off --metric rmse"
    more = "--validation group:Family_Name --template tabular --message Größe --skip-execution --offline"
    rest = "--target-column Survived --target-column Fare --max-candidates 3 --folds 4"
    last = "--memory 4G --disk 512M --processes 64 --allow-unsandboxed --yes --runs-dir elsewhere"
    assert call("run", "titanic", *f"{flags} {more} {rest} {last}".split(), lifecycle=lifecycle) == 0
    expected = RunOptions(
        target="titanic", time_budget_seconds=5400.0, seed=7, model=None, chat=False, model_family="lightgbm",
        gpu="off", metric="rmse", validation="group:Family_Name", target_columns=("Survived", "Fare"),
        template="tabular", message="Größe",
        skip_execution=True, offline=True, max_candidates=3, folds=4, memory_bytes=4 << 30,
        disk_bytes=512 << 20, processes=64, allow_unsandboxed=True, assume_yes=True,
    )  # fmt: skip
    assert lifecycle.options == [expected]
    assert Path("elsewhere").is_dir()


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--time-budget", "soon"], "like 90s, 10m, 1h30m"),
        (["--time-budget", ""], "like 90s, 10m, 1h30m"),
        (["--time-budget", "-5m"], "like 90s, 10m, 1h30m"),
        (["--time-budget", "nan"], "like 90s, 10m, 1h30m"),
        (["--time-budget", "0"], "between 1s and 30d"),
        (["--time-budget", "31d"], "between 1s and 30d"),
        (["--memory", "plenty"], "--memory 'plenty'"),
        (["--disk", "1"], "like 512M"),
        (["--processes", "1"], "--processes"),
        (["--gpu", "maybe"], "'auto', 'on', 'off'"),
        (["--validation", "group"], "group:COLUMN"),
        (["--validation", "kfold:x"], "group:COLUMN"),
        (["--model-family", "nonsense,lightgbm"], "lightgbm"),
        (["--model-family", "auto,lightgbm"], "Give auto, or any"),
        (["--folds", "1"], "not in the range x>=2"),
        (["--max-candidates", "0"], "not in the range x>=1"),
        (["--seed", "-1"], "not in the range x>=0"),
        (["--seed", "one"], "valid integer"),
        (["--nonsense"], "No such option"),
        (["a", "b"], "unexpected extra argument"),
    ],
)
def test_bad_flags_are_refused_with_what_is_allowed(
    flags: list[str], said: str, capsys: pytest.CaptureFixture[str], lifecycle: ScriptedLifecycle, workplace: Path
) -> None:
    assert call("run", "titanic", *flags, lifecycle=lifecycle) == 2
    out, err = capsys.readouterr()
    assert said.lower() in err.lower()
    assert "Traceback" not in err
    assert (out, lifecycle.options, list(workplace.iterdir())) == ("", [], [])


def test_a_model_in_the_environment_without_its_key_is_not_ignored_silently(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUTOKAGGLE_MODEL", "gemini-3-flash-preview")
    assert call("run", "titanic") == 0
    err = capsys.readouterr().err
    assert "AUTOKAGGLE_MODEL is gemini-3-flash-preview" in err
    assert "No key for google" in err
    assert call("run", "titanic", "--model", "none") == 0
    assert "AUTOKAGGLE_MODEL" not in capsys.readouterr().err


# ---------------------------------------------------------------- how a call ends


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (AutoKaggleError("Our fault.", "Tell us."), 1),
        (UsageError("No such thing.", "Tell us."), 2),
        (ActionNeeded("Rules not accepted.", "Tell us."), 3),
        (OutsideWorldError("Kaggle is down.", "Tell us."), 4),
        (CompetitionUnusable("Empty train.", "Tell us."), 5),
        (NoValidSubmission("Nothing to hand in.", "Tell us."), 6),
        (RunInterrupted("Interrupted.", "Tell us."), 130),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_every_kind_of_error_has_its_exit_code_and_says_what_to_do(
    error: AutoKaggleError, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("run", "titanic", "--json", lifecycle=ScriptedLifecycle(error)) == code
    out, err = capsys.readouterr()
    assert err.endswith(f"autokaggle: {error.message}\nTell us.\n")
    found = one_object(out)
    assert found["error"] == {"message": error.message, "next_step": "Tell us.", "exit_code": code}
    assert found["status"] == ("interrupted" if code == 130 else "failed")
    assert Path(found["run_dir"]).name == found["run_id"]


def test_an_unexpected_error_is_one_line_and_its_trace_is_in_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("run", "titanic", lifecycle=ScriptedLifecycle(ZeroDivisionError("by zero\nsecond line"))) == 1
    err = capsys.readouterr().err
    (log,) = Path("runs").glob("*/logs/run.log")
    last = err.splitlines()[-2:]
    assert last[0] == "autokaggle: Unexpected error, our fault: ZeroDivisionError: by zero"
    assert str(log.absolute()) in last[1]
    assert "Traceback" not in err
    assert "Traceback" in log.read_text()


@pytest.mark.parametrize("by", ["flag", "variable"])
def test_debug_shows_the_trace(by: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    if by == "variable":
        monkeypatch.setenv("AUTOKAGGLE_DEBUG", "1")
    words = ["run", "titanic", "--debug"] if by == "flag" else ["run", "titanic"]
    assert call(*words, lifecycle=ScriptedLifecycle(ZeroDivisionError("by zero"))) == 1
    assert "Traceback (most recent call last)" in capsys.readouterr().err


def test_a_secret_in_an_unexpected_error_is_blanked(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAGGLE_API_TOKEN", "ann:0123456789abcdef")
    Path(".env").write_text("GOOGLE_API_KEY=AIzaSecretSecret\n")
    trouble = RuntimeError("header Bearer 0123456789abcdef and AIzaSecretSecret")
    assert call("run", "titanic", "--debug", lifecycle=ScriptedLifecycle(trouble)) == 1
    err = capsys.readouterr().err
    (log,) = Path("runs").glob("*/logs/run.log")
    for text in (err, log.read_text()):
        assert "header Bearer <KAGGLE_API_TOKEN> and <GOOGLE_API_KEY>" in text
        assert "0123456789abcdef" not in text
        assert "SecretSecret" not in text


def test_control_characters_in_an_error_do_not_reach_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    trouble = CompetitionUnusable("train\x1b]0;owned\x07.csv is empty.", "Look\x9b2J.\nAgain.")
    assert call("run", "titanic", lifecycle=ScriptedLifecycle(trouble)) == 5
    err = capsys.readouterr().err
    assert err.endswith("autokaggle: train\\x1b]0;owned\\x07.csv is empty.\nLook\\x9b2J.\nAgain.\n")


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt(), RuntimeError(QUERY_INTERRUPTED)])
def test_ctrl_c_says_how_to_go_on(interrupt: BaseException, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("run", "titanic", lifecycle=ScriptedLifecycle(interrupt)) == 130
    err = capsys.readouterr().err
    (folder,) = Path("runs").iterdir()
    assert f"autokaggle resume {folder.name}" in err
    assert "Traceback" not in err


def test_an_unknown_command_is_refused_with_a_guess(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("statu") == 2
    err = capsys.readouterr().err
    assert "statu" in err
    assert "status" in err


def test_a_refused_command_line_is_answered_as_json_when_asked(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("run", "--json") == 2
    found = one_object(capsys.readouterr().out)
    assert found["error"]["exit_code"] == 2
    assert "TARGET" in found["error"]["message"]


def test_settings_without_sense_are_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    Path(".env").write_text("AUTOKAGGLE_SKIP_EXECUTION=perhaps\n")
    assert call("runs") == 2
    assert "AUTOKAGGLE_SKIP_EXECUTION" in capsys.readouterr().err


def test_version_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("--version") == 0
    assert capsys.readouterr().out == f"autokaggle {__version__}\n"
    assert call("--help") == 0
    helped = capsys.readouterr().out
    for command in ("run", "resume", "status", "logs", "runs"):
        assert f"\n  {command} " in helped


# ---------------------------------------------------------------- the real process


def process(*arguments: str, **more: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "autokaggle", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, **more)


def cpu_seconds_of(*arguments: str) -> float:
    """Return the best of three, after one that fills the caches; processor time, since the machine may be busy."""
    taken = []
    for _ in range(4):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert process(*arguments).returncode == 0
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        taken.append(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
    return min(taken[1:])


def test_help_and_status_come_at_once(finished: RunFolder) -> None:
    assert cpu_seconds_of("--help") < HELP_SECONDS * PATIENCE
    assert cpu_seconds_of("run", "--help") < HELP_SECONDS * PATIENCE
    assert cpu_seconds_of("status") < STATUS_SECONDS * PATIENCE


@pytest.mark.parametrize("command", ["--help", "status", "runs", "logs"])
def test_quick_commands_import_nothing_heavy(command: str, finished: RunFolder) -> None:
    code = f"""
import sys
from autokaggle.cli import main
assert main([{command!r}]) == 0
heavy = {{"numpy", "pandas", "sklearn", "duckdb", "requests", "kagglesdk", "pluggy", "psutil", "cryptography"}}
print(sorted(heavy & set(sys.modules)), file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr == "[]\n"


def test_a_closed_pipe_ends_quietly(finished: RunFolder) -> None:
    finished.run_log.write_text("a line of the log\n" * 100_000)
    read, write = os.pipe()
    reader = subprocess.Popen([sys.executable, "-m", "autokaggle", "logs"], stdout=write, stderr=subprocess.PIPE)
    os.close(write)
    os.read(read, 10)
    os.close(read)
    assert reader.communicate(timeout=120)[1] == b""
    assert reader.returncode == 0


def test_a_failure_that_nobody_reads_keeps_its_exit_code(workplace: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "autokaggle", "run", str(workplace / "nowhere"), "--json"]
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "main",
    [
        "raise KeyboardInterrupt",  # while it is still importing
        "os.kill(os.getpid(), signal.SIGTERM); time.sleep(60)",  # where nothing else listens to it
        "atexit.register(os.kill, os.getpid(), signal.SIGTERM); return 130",  # while the interpreter ends
        "atexit.register(os.kill, os.getpid(), signal.SIGINT); return 130",
    ],
)
def test_a_signal_at_any_moment_ends_the_process_in_order(main: str) -> None:
    code = f"import atexit, os, signal, sys, time\nfrom autokaggle import cli\ndef main():\n    {main}\n"
    code += "signal.signal(signal.SIGINT, signal.default_int_handler)\ncli.main = main\nsys.exit(cli.start())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=50)
    assert done.returncode == 130
    assert done.stderr in ("", "autokaggle: Interrupted.\n")


def test_what_libraries_warn_of_is_not_on_the_screen() -> None:
    code = "import sys, warnings\nfrom autokaggle import cli\n"
    code += "cli.main = lambda: warnings.warn('overflow encountered', RuntimeWarning) or 0\nsys.exit(cli.start())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_behind_stdout_is_an_error(finished: RunFolder) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "autokaggle", "runs"], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 4
    assert done.stderr.startswith("autokaggle: No space left on device.\n")


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_closed_output_is_no_failure(closed: str) -> None:
    line = f'"{sys.executable}" -m autokaggle runs {closed}'
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_locale_that_cannot_show_a_character_gets_another_one() -> None:
    command = [sys.executable, "-m", "autokaggle", "run", "./höhe"]
    environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_a_deleted_working_folder_is_told_in_a_sentence(tmp_path: Path) -> None:
    line = f'mkdir x && cd x && rmdir ../x && "{sys.executable}" -m autokaggle runs'
    done = subprocess.run(["bash", "-c", line], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert "working folder was deleted" in done.stderr
    assert "Traceback" not in done.stderr
