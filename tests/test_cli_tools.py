"""Commands that stand for themselves: `sandbox`, `profile` and `cache`."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from autokaggle.cli.profile_text import profile_text
from autokaggle.config import load_settings
from autokaggle.skills.dataset.data_profiler import profile_dataset
from autokaggle.skills.sandbox.environment_store import MARKER, mark_as_built
from tests.scripted_lifecycle import call, one_object

pytestmark = pytest.mark.usefixtures("workplace")

SCRIPT = """
import os, sys
print("arguments", sys.argv[1:], "\\x1b[31mred")
print(sorted(os.listdir(os.environ["AUTOKAGGLE_INPUT"])))
open(os.environ["AUTOKAGGLE_OUTPUT"] + "/made.txt", "w").write("made")
try:
    open(os.path.expanduser(sys.argv[2]))
except OSError:
    print("kept out")
sys.exit(7)
"""


@pytest.fixture
def competition(workplace: Path) -> Path:
    folder = workplace / "orchard"
    folder.mkdir()
    rows = [f"{number},{number % 7},{'ab'[number % 2]},{number % 2}" for number in range(200)]
    (folder / "train.csv").write_text("id,size,colour,ripe\n" + "\n".join(rows[:150]) + "\n")
    (folder / "test.csv").write_text("id,size,colour\n" + "\n".join(row[:-2] for row in rows[150:]) + "\n")
    (folder / "sample_submission.csv").write_text("id,ripe\n" + "\n".join(f"{n},0" for n in range(150, 200)) + "\n")
    return folder


# ---------------------------------------------------------------- sandbox


def process(*arguments: str, **more: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "autokaggle", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, **more)


@pytest.fixture
def walls() -> None:
    from autokaggle.skills.sandbox.isolation import probe_isolation

    if probe_isolation(allow_unsandboxed=True).level == "none":
        pytest.skip("nothing can isolate code on this machine")


def test_a_script_runs_as_a_candidate_runs(walls: None, workplace: Path) -> None:
    for name in ("code", "in"):
        (workplace / name).mkdir()
    (workplace / "code" / "script.py").write_text(SCRIPT)
    (workplace / "in" / "data.csv").write_text("x\n")
    (workplace / "secret").write_text("secret")
    done = process(
        "sandbox", "--input", "in", "--output", "out", "--memory", "512M", "--disk", "64M", "--processes", "64",
        "--json", "--", "code/script.py", "--flag",
        str(workplace / "secret"),
    )  # fmt: skip
    assert done.returncode == 7
    assert done.stdout.splitlines() == [
        f"arguments ['--flag', '{workplace}/secret'] \\x1b[31mred",
        "['data.csv']",
        "kept out",
    ]
    assert (workplace / "out" / "made.txt").read_text() == "made"
    record = json.loads(done.stderr.splitlines()[-1])
    assert (record["script"], record["exit_code"], record["limit"]) == ("script.py", 7, None)
    assert record["isolation"]["level"] in ("strong", "partial")


def test_a_limit_ends_the_script_and_is_named(walls: None, workplace: Path) -> None:
    (workplace / "script.py").write_text("import time\nprint('waits', flush=True)\ntime.sleep(60)\n")
    done = process("sandbox", "--wall", "5", "--", sys.executable, "script.py")
    assert done.returncode == 124
    assert done.stdout.startswith("waits\n")
    assert "ended by the limit on wall" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--", "nothing.py"], "no script nothing.py"),
        (["--", "python3"], "No script was given"),
        (["--memory", "1", "--", "script.py"], "like 512M"),
        (["--memory", "much", "--", "script.py"], "like 512M"),
        (["--disk", "some", "--", "script.py"], "--disk 'some'"),
        (["--memory", "9" * 400, "--", "script.py"], "up to 1024T"),
        (["--processes", "2", "--", "script.py"], "--processes"),
        (["--processes", "9" * 20, "--", "script.py"], "--processes"),
        (["--wall", "soon", "--", "script.py"], "like 90s"),
        (["--input", "nowhere", "--", "script.py"], "--input nowhere is no folder"),
        ([], "Missing argument"),
    ],
)
def test_bad_words_are_refused(
    arguments: list[str], said: str, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (workplace / "script.py").write_text("")
    assert call("sandbox", *arguments) == 2
    assert said in capsys.readouterr().err


def test_files_of_somebody_else_are_not_swept(walls: None, workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (workplace / "script.py").write_text("import os\nopen(os.environ['AUTOKAGGLE_OUTPUT'] + '/made', 'a')\n")
    (workplace / "theirs").mkdir()
    (workplace / "theirs").chmod(0o755)
    link = workplace / "theirs" / "link"
    link.symlink_to("/nowhere")
    assert call("sandbox", "--output", "theirs", "--", "script.py") == 2
    assert call("reproduce", "--output", "theirs", "latest") == 2
    assert capsys.readouterr().err.count("--output theirs holds files already") == 2
    assert link.is_symlink()
    assert call("sandbox", "--output", "script.py", "--", "script.py") == 2
    assert call("sandbox", "--output", ".", "--", "script.py") == 2
    link.unlink()
    for _ in range(2):  # what an earlier script left there is no obstacle
        assert call("sandbox", "--output", "theirs", "--", "script.py") == 0
    assert (workplace / "theirs").stat().st_mode & 0o777 == 0o755
    capsys.readouterr()
    assert call("reproduce", "--output", "theirs", "latest") == 2
    assert "--output theirs holds files already" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["hard link", "large", "name", "mode"])
def test_files_that_look_like_those_of_a_script_are_not_swept(
    kind: str, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (workplace / "script.py").write_text("")
    (workplace / "theirs" / "deep").mkdir(mode=0o700, parents=True)
    (workplace / "theirs").chmod(0o700)
    file = workplace / "theirs" / "deep" / ("tab\there" if kind == "name" else "notes.txt")
    file.write_text("notes")
    file.chmod(0o640 if kind == "mode" else 0o600)
    if kind == "hard link":
        (workplace / "again.txt").hardlink_to(file)
    if kind == "large":
        os.truncate(file, 33 << 20)
    assert call("sandbox", "--disk", "64M", "--output", "theirs", "--", "script.py") == 2
    assert "--output theirs holds files already" in capsys.readouterr().err
    assert file.read_text().startswith("notes")


def test_a_folder_of_somebody_else_is_no_output(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (workplace / "script.py").write_text("")
    (workplace / "theirs").mkdir(mode=0o755)
    monkeypatch.setattr(os, "geteuid", lambda: (workplace / "theirs").stat().st_uid + 1)
    assert call("sandbox", "--output", "theirs", "--", "script.py") == 2
    assert "belongs to somebody else" in capsys.readouterr().err


# ---------------------------------------------------------------- profile


def test_profile_shows_target_task_and_columns(competition: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("profile", "./orchard") == 0
    out = capsys.readouterr().out
    assert "150 of train, 50 of test" in out
    assert re.search(r"^target +ripe", out, re.MULTILINE)
    assert re.search(r"^task +binary classification", out, re.MULTILINE)
    assert re.search(r"^  train\.csv +train, 150 rows$", out, re.MULTILINE)
    for column in ("id", "size", "colour", "ripe"):
        assert f"\n  {column}" in out


@pytest.mark.parametrize("width", [20, 40, 60, 80, 120])
def test_a_profile_fits_the_terminal_and_says_the_same(width: int, competition: Path, tmp_path: Path) -> None:
    found = profile_dataset(competition, tmp_path / "tables", {})
    found = msgspec.structs.replace(found, warnings=("a warning of many words " * 9,), columns=found.columns * 70)
    whole, fitted = profile_text(found, None), profile_text(found, width)
    assert fitted.split() == whole.split()
    assert max(map(len, fitted.splitlines())) <= max(width, 40)
    assert "more columns" in whole


def test_profile_as_json_is_the_whole_record_and_leaves_nothing_behind(
    competition: Path, capsys: pytest.CaptureFixture[str], workplace: Path
) -> None:
    assert call("profile", "orchard", "--target-column", "size", "--json") == 0
    found = one_object(capsys.readouterr().out)
    assert found["target_columns"] == ["size"]
    assert (found["train_rows"], found["test_rows"]) == (150, 50)
    assert sorted(path.name for path in workplace.iterdir()) == ["orchard"]
    assert list((Path.home() / ".local/share/autokaggle").glob("*profile-*")) == []


def test_profile_of_nothing_usable_says_why(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (workplace / "orchard").mkdir()
    assert call("profile", "./orchard") == 5
    assert "holds no data files" in capsys.readouterr().err
    assert call("profile", "./nowhere") == 2


# ---------------------------------------------------------------- cache


def test_the_cache_lists_what_it_holds_and_forgets_it(
    competition: Path, capsys: pytest.CaptureFixture[str], tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    from autokaggle.practice.accounts import DEMO_TOKEN
    from autokaggle.practice.kaggle_server import PracticeKaggle
    from tests.kaggle_servers import SLUG, write_competition

    root = tmp_path_factory.mktemp("kaggle")
    write_competition(root)
    with PracticeKaggle(root) as kaggle:
        monkeypatch.setenv("AUTOKAGGLE_KAGGLE_URL", kaggle.url)
        monkeypatch.setenv("KAGGLE_API_TOKEN", DEMO_TOKEN)
        assert call("profile", SLUG) == 0
    capsys.readouterr()
    assert call("cache", "list", "--json") == 0
    (row,) = one_object(capsys.readouterr().out)["competitions"]
    assert (row["slug"], row["files"]) == (SLUG, 5)
    assert call("cache", "list") == 0
    assert SLUG in capsys.readouterr().out
    assert call("cache", "prune", SLUG) == 0
    assert "1 competitions forgotten" in capsys.readouterr().out
    assert call("cache", "list") == 0
    assert "Nothing is in the cache" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"), [([], "--all"), (["titanic", "--all"], "--all"), (["nowhere"], "Not in the cache: nowhere")]
)
def test_pruning_wants_to_be_told_what(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("cache", "prune", *arguments) == 2
    assert said in capsys.readouterr().err


def test_pruning_all_removes_environments_that_are_not_used(capsys: pytest.CaptureFixture[str]) -> None:
    store = load_settings().environments
    for name, days in (("old", 3.0), ("used", 0.1)):
        (store / name / "bin").mkdir(parents=True)
        (store / name / "bin" / "python").write_text("x" * 1000)
        mark_as_built(store / name, "3.11.0")
        moment = time.time() - days * 86400
        os.utime(store / name / MARKER, (moment, moment))
    assert call("cache", "prune", "--all", "--json") == 0
    pruned = one_object(capsys.readouterr().out)
    assert (pruned["competitions"], pruned["environments"]) == (0, 1)
    assert pruned["bytes"] >= 1000
    assert [path.name for path in store.iterdir() if path.is_dir()] == ["used"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_gives_a_script_for_each_shell(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("completion", shell) == 0
    assert f"_AUTOKAGGLE_COMPLETE={shell}_complete" in capsys.readouterr().out


def test_completion_names_the_commands() -> None:
    asked = {"_AUTOKAGGLE_COMPLETE": "bash_complete", "COMP_WORDS": "autokaggle st", "COMP_CWORD": "1"}
    assert process(env={**os.environ, **asked}).stdout.split() == ["plain,status"]


BASH = """
eval "$(autokaggle completion bash)"
COMP_WORDS=({words}); COMP_CWORD={last}
_autokaggle_completion autokaggle
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
ZSH = 'autoload -U compinit; compinit -u -D; eval "$(autokaggle completion zsh)"; print $_comps[autokaggle]'
FISH = "autokaggle completion fish | source; complete -C 'autokaggle {line}'"


def in_shell(shell: str, script: str, folder: Path) -> list[str]:
    """Run a script in a real shell in which `autokaggle` is this program; skip where there is no such shell."""
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    (folder / "bin").mkdir(exist_ok=True)
    program = folder / "bin" / "autokaggle"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m autokaggle "$@"\n')
    program.chmod(0o755)
    environment = {**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}"}
    done = subprocess.run([shell, "-c", script], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_bash_completes_commands_flags_and_runs(tmp_path: Path) -> None:
    for name in ("titanic-20260102-030405-abcd", "house-20260103-030405-abcd"):
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / "run.json").write_text("{}")
    asked = {
        "autokaggle can": ["cancel"],
        "autokaggle run --time": ["--time-budget"],
        'autokaggle status ""': ["latest", "house-20260103-030405-abcd", "titanic-20260102-030405-abcd"],
    }
    for words, expected in asked.items():
        script = BASH.format(words=words, last=len(words.split()) - 1)
        assert in_shell("bash", script, tmp_path) == expected


def test_zsh_takes_the_script(tmp_path: Path) -> None:
    assert in_shell("zsh", ZSH, tmp_path) == ["_autokaggle_completion"]


def test_fish_completes_commands_with_their_help(tmp_path: Path) -> None:
    (line,) = in_shell("fish", FISH.format(line="can"), tmp_path)
    assert line == "cancel\tEnd a run for good."
