"""From a link to a scored submission: real command line, real HTTP on loopback, real environment, real sandbox."""

from __future__ import annotations

import base64
import csv
import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from autokaggle.practice.accounts import DEMO_KEY, DEMO_USERNAME
from autokaggle.practice.demo_competition import DEMO_SLUG, make_demo_competition
from autokaggle.practice.kaggle_server import PracticeKaggle
from autokaggle.records.event import Event
from autokaggle.records.outcome import Importance
from autokaggle.records.plan import Decisions
from autokaggle.records.run import Run
from autokaggle.storage.artifacts import RunFolder
from autokaggle.storage.records_file import read_record

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def kaggle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PracticeKaggle]:
    folder = tmp_path_factory.mktemp("competitions")
    make_demo_competition(folder)
    with PracticeKaggle(folder) as server:
        yield server


def autokaggle(*arguments: str, home: Path, url: str, folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("KAGGLE_", "AUTOKAGGLE_"))}
    environment |= {"AUTOKAGGLE_HOME": str(home), "AUTOKAGGLE_KAGGLE_URL": url}
    environment |= {"KAGGLE_USERNAME": DEMO_USERNAME, "KAGGLE_KEY": DEMO_KEY, **more}
    command = [sys.executable, "-m", "autokaggle", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=900)


@pytest.fixture(scope="module")
def journey(
    kaggle: PracticeKaggle, shared_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[RunFolder, dict[str, Any]]:
    """One run, looked at by every test below."""
    folder = tmp_path_factory.mktemp("work")
    link = f"https://www.kaggle.com/competitions/{DEMO_SLUG}/overview"
    flags = ("--no-chat", "--model", "none", "--time-budget", "10m", "--max-candidates", "2", "--submit", "--json")
    done = autokaggle("run", link, *flags, home=shared_home, url=kaggle.url, folder=folder)
    assert done.returncode == 0, done.stderr
    (folder / "stdout").write_text(done.stdout)
    (folder / "stderr").write_text(done.stderr)
    answer = json.loads(done.stdout)
    return RunFolder(Path(answer["run_dir"])), answer


def test_the_answer_is_one_json_object_with_the_agreed_fields(journey: tuple[RunFolder, dict[str, Any]]) -> None:
    _, answer = journey
    assert {"run_id", "run_dir", "status", "metric", "cv", "submission", "seconds", "isolation", "cost"} <= set(answer)
    assert answer["status"] == "done"
    assert {"mean", "std", "low", "high"} <= set(answer["cv"])
    assert {"path", "rows", "sha256"} <= set(answer["submission"])


def test_the_submission_has_the_sample_files_ids_in_order(
    journey: tuple[RunFolder, dict[str, Any]],
) -> None:
    folder, answer = journey
    sample = next(folder.data.glob("*sample*.csv"))
    with sample.open(newline="") as expected, folder.submission.open(newline="") as handed_in:
        expected_rows, rows = list(csv.reader(expected)), list(csv.reader(handed_in))
    assert rows[0] == expected_rows[0]
    assert [row[0] for row in rows] == [row[0] for row in expected_rows]
    assert hashlib.sha256(folder.submission.read_bytes()).hexdigest() == answer["submission"]["sha256"]


def test_the_run_folder_is_the_documented_one(journey: tuple[RunFolder, dict[str, Any]]) -> None:
    folder, _ = journey
    expected = [
        "run.json", "input/competition.json", "input/data_profile.json", "input/folds.parquet",
        "input/chat_transcript.md", "input/chat_decisions.json", "input/tables/train.parquet", "code/features.py",
        "code/train.py", "code/validate.py", "code/predict.py", "code/config.yaml", "code/README.md",
        "env/requirements.txt", "env/requirements.lock", "env/venv", "candidates/c001/candidate.json",
        "candidates/c001/code/train.py", "candidates/c001/output/oof.parquet", "candidates/c001/log",
        "output/submission.csv", "output/metrics.json", "output/model.joblib", "output/oof.parquet",
        "output/test_predictions.parquet", "output/report.html", "logs/run.log", "logs/events.jsonl",
    ]  # fmt: skip
    assert [name for name in expected if not (folder.path / name).exists()] == []


def test_kaggle_scored_what_was_sent(journey: tuple[RunFolder, dict[str, Any]]) -> None:
    folder, _ = journey
    (sent,) = read_record(folder.record, Run).sent
    assert sent.status == "complete"
    assert sent.public_score is not None
    assert sent.public_score > 0.75


def test_every_stage_is_recorded_as_done(journey: tuple[RunFolder, dict[str, Any]]) -> None:
    run = read_record(journey[0].record, Run)
    names = ["fetch", "profile", "discuss", "plan", "search", "ensemble", "submission", "report"]
    assert [(stage.name, stage.status) for stage in run.stages] == [(name, "done") for name in names]
    assert run.isolation is not None
    assert run.isolation.level in {"strong", "partial"}


def test_nothing_that_a_run_leaves_or_says_holds_the_key(
    journey: tuple[RunFolder, dict[str, Any]], shared_home: Path
) -> None:
    folder, _ = journey
    # Installed packages are not ours, and take a minute to read.
    apart = {"venv", "environments", "wheels"}
    places = (folder.path.parents[1], shared_home)
    files = [path for place in places for path in place.rglob("*") if path.is_file() and not apart & set(path.parts)]
    names = {path.name for path in files}
    assert {"stdout", "stderr", "run.json", "events.jsonl", "submission.csv", f"{DEMO_SLUG}.json"} <= names
    assert any(name.startswith("state") for name in names)
    pair = f"{DEMO_USERNAME}:{DEMO_KEY}".encode()
    # The header goes out as Basic, whose encoding would hide the key from a search for itself.
    forms = (DEMO_KEY.encode(), base64.b64encode(pair).rstrip(b"="), base64.b64encode(DEMO_KEY.encode()).rstrip(b"="))
    assert [str(path) for path in files for form in forms if form in path.read_bytes()] == []


def test_everything_in_the_run_folder_is_the_users_alone(journey: tuple[RunFolder, dict[str, Any]]) -> None:
    folder, _ = journey
    # __pycache__ comes from scripts that a test ran by hand.
    apart = {"venv", "__pycache__"}
    own = [path for path in folder.path.rglob("*") if not apart & set(path.parts) and not path.is_symlink()]
    assert [str(path) for path in own if path.stat().st_mode & 0o077] == []


def test_the_published_code_makes_the_same_submission_by_hand(
    journey: tuple[RunFolder, dict[str, Any]], tmp_path: Path
) -> None:
    folder, _ = journey
    environment = {"PATH": os.environ["PATH"], "AUTOKAGGLE_OUTPUT": str(tmp_path), "HOME": str(tmp_path)}
    for script in ("train.py", "validate.py", "predict.py"):
        command = [folder.venv / "bin" / "python", folder.code / script]
        done = subprocess.run(command, cwd=folder.path, env=environment, capture_output=True, text=True, timeout=900)
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "submission.csv").read_bytes() == folder.submission.read_bytes()


def test_reproduce_rebuilds_the_same_submission_in_an_environment_built_anew(
    journey: tuple[RunFolder, dict[str, Any]], kaggle: PracticeKaggle, shared_home: Path
) -> None:
    folder, answer = journey
    done = autokaggle(
        "reproduce", str(folder.path), "--json", home=shared_home, url=kaggle.url, folder=folder.path.parent
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["verdict"], found["found_sha256"]) == ("identical", answer["submission"]["sha256"])
    assert list(shared_home.glob("*replay-*")) == []


def test_reproduce_says_where_another_submission_differs(
    journey: tuple[RunFolder, dict[str, Any]], kaggle: PracticeKaggle, shared_home: Path, tmp_path: Path
) -> None:
    folder, _ = journey
    copy = RunFolder(tmp_path / folder.id)
    shutil.copytree(folder.path, copy.path, symlinks=True)
    lines = copy.submission.read_text("utf-8").splitlines(keepends=True)
    lines[1] = lines[1].split(",")[0] + ",0.123\n"
    copy.submission.write_text("".join(lines), "utf-8")
    (tmp_path / "out.log").write_text("mine", "utf-8")
    flags = (str(copy.path), "--reuse-environment", "--output", str(tmp_path / "out"), "--json")
    done = autokaggle("reproduce", *flags, home=shared_home, url=kaggle.url, folder=tmp_path)
    found = json.loads(done.stdout)
    assert done.returncode == 1
    assert (found["verdict"], found["cells"]) == ("different", 1)
    assert "line 2" in done.stderr
    assert "was changed or replaced" in done.stderr
    assert (tmp_path / "out" / "submission.csv").read_bytes() == folder.submission.read_bytes()
    assert (tmp_path / "out.log").read_text("utf-8") == "mine"


def test_reproduce_refuses_data_that_have_changed(
    journey: tuple[RunFolder, dict[str, Any]], kaggle: PracticeKaggle, shared_home: Path, tmp_path: Path
) -> None:
    folder, _ = journey
    copy = RunFolder(tmp_path / folder.id)
    shutil.copytree(folder.path, copy.path, symlinks=True)
    train = next(copy.data.glob("train*.csv"))
    content = train.read_bytes()
    train.unlink()
    train.write_bytes(content + b"1\n")
    done = autokaggle("reproduce", str(copy.path), home=shared_home, url=kaggle.url, folder=tmp_path)
    assert done.returncode == 5
    assert "has changed since the run" in done.stderr


def test_the_exported_notebook_makes_the_same_submission_in_a_clean_environment(
    journey: tuple[RunFolder, dict[str, Any]], kaggle: PracticeKaggle, shared_home: Path, tmp_path: Path
) -> None:
    folder, _ = journey
    exported = tmp_path / "notebook.ipynb"
    flags = (str(folder.path), "--format", "notebook", "--output", str(exported), "--json")
    done = autokaggle("export", *flags, home=shared_home, url=kaggle.url, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["notes"] == []
    python, uv = tmp_path / "venv/bin/python", str(Path(sys.executable).with_name("uv"))
    subprocess.run([uv, "venv", "-q", str(tmp_path / "venv")], check=True)
    install = [uv, "pip", "install", "-q", "--python", str(python)]
    subprocess.run([*install, "--require-hashes", "-r", str(folder.requirements_lock)], check=True)
    subprocess.run([*install, "nbclient", "ipykernel"], check=True)
    execute = (
        "import sys, nbclient, nbformat; notebook = nbformat.read(sys.argv[1], 4); nbformat.validate(notebook);"
        "nbclient.NotebookClient(notebook, timeout=600, kernel_name='python3').execute()"
    )
    environment = {"PATH": f"{python.parent}:/usr/bin:/bin", "HOME": str(tmp_path), "AUTOKAGGLE_DATA": str(folder.data)}
    command = [str(python), "-c", execute, str(exported)]
    executed = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=900)
    assert executed.returncode == 0, executed.stderr[-3000:]
    assert (tmp_path / "submission.csv").read_bytes() == folder.submission.read_bytes()


def test_the_exported_zip_runs_from_its_own_folder_and_holds_no_data(
    journey: tuple[RunFolder, dict[str, Any]], kaggle: PracticeKaggle, shared_home: Path, tmp_path: Path
) -> None:
    folder, _ = journey
    exported = tmp_path / "export.zip"
    flags = (str(folder.path), "--format", "zip", "--output", str(exported))
    done = autokaggle("export", *flags, home=shared_home, url=kaggle.url, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(exported) as archive:
        archive.extractall(tmp_path)
    place = tmp_path / folder.id
    names = {path.relative_to(place).as_posix() for path in place.rglob("*") if path.is_file()}
    assert {"README.md", "report.html", "notebook.ipynb", "env/requirements.lock", "code/predict.py"} <= names
    assert not {name for name in names if name.endswith(("train.csv", ".parquet", ".joblib"))}
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    for script in (["make_input.py", str(folder.data)], ["code/train.py"], ["code/predict.py"]):
        command = [str(folder.venv / "bin" / "python"), *script]
        ran = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, timeout=900)
        assert ran.returncode == 0, ran.stderr
    assert (place / "output" / "submission.csv").read_bytes() == folder.submission.read_bytes()


def test_report_measures_importance_when_the_run_had_no_time_for_it(
    journey: tuple[RunFolder, dict[str, Any]], kaggle: PracticeKaggle, shared_home: Path
) -> None:
    folder, _ = journey
    folder.importance.unlink(missing_ok=True)
    done = autokaggle("report", str(folder.path), "--json", home=shared_home, url=kaggle.url, folder=folder.path.parent)
    assert done.returncode == 0, done.stderr
    found = read_record(folder.importance, Importance)
    assert found.columns[0].loss > 0
    assert found.columns[0].loss >= found.columns[-1].loss
    page = folder.report.read_text("utf-8")
    assert "Which columns matter" in page
    assert len(page) < 500_000


def test_decisions_name_who_took_them(journey: tuple[RunFolder, dict[str, Any]]) -> None:
    decisions = read_record(journey[0].decisions, Decisions).decisions
    assert {decision.by for decision in decisions} == {"strategist"}
    assert next(decision for decision in decisions if decision.key == "metric").value == "roc_auc"


def test_events_tell_the_whole_story(journey: tuple[RunFolder, dict[str, Any]]) -> None:
    import msgspec

    events = [msgspec.json.decode(line, type=Event) for line in journey[0].events.read_bytes().splitlines()]
    kinds = [event.kind for event in events]
    assert kinds[0] == "run_started"
    assert kinds[-1] == "run_finished"
    assert kinds.count("stage_finished") == 8
    assert "best_changed" in kinds


def test_a_finished_run_resumes_to_the_same_end_without_work(
    journey: tuple[RunFolder, dict[str, Any]], kaggle: PracticeKaggle, shared_home: Path
) -> None:
    folder, answer = journey
    before = folder.submission.read_bytes()
    done = autokaggle("resume", str(folder.path), "--json", home=shared_home, url=kaggle.url, folder=folder.path.parent)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["submission"] == answer["submission"]
    assert folder.submission.read_bytes() == before
