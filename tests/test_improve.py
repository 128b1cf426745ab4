"""`improve`: a finished run goes on at the search, and what it had is never lost."""

from __future__ import annotations

import csv
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from autokaggle.config import Settings
from autokaggle.errors import UsageError
from autokaggle.orchestrator.improving import take_up
from autokaggle.orchestrator.run_lifecycle import carry_out, start_run
from autokaggle.records.candidate import Candidate
from autokaggle.records.outcome import SentSubmission
from autokaggle.records.run import Run, RunOptions
from autokaggle.storage.artifacts import RunFolder
from autokaggle.storage.records_file import read_record, write_record
from autokaggle.storage.run_folders import hold_run
from tests.killable_world import World, events, make_orchard, told, wait_for
from tests.scripted_lifecycle import call, one_object

MORE = ("--time-budget", "10m", "--max-candidates", "1", "--json", "--quiet")


def is_submission_valid(folder: RunFolder) -> bool:
    rows = list(csv.reader(folder.submission.read_text().splitlines()))
    ids = [row[0] for row in rows[1:]]
    return rows[0] == ["id", "sold"] and ids == [str(number) for number in range(110, 160)]


@pytest.mark.slow
def test_a_finished_run_goes_on_and_never_gets_worse(world: World, undisturbed: dict[str, Any]) -> None:
    folder = world.take(undisturbed)
    sent = SentSubmission(ref=7, description="before", status="complete", public_score=0.7)
    write_record(folder.record, msgspec.structs.replace(read_record(folder.record, Run), sent=(sent,)))
    before = [read_record(one.record, Candidate) for one in folder.all_candidates()]
    process = world.start("improve", folder.id, *MORE)
    while process.poll() is None:
        assert is_submission_valid(folder)
        time.sleep(0.01)
    improved = world.finish(process)
    assert improved["run_id"] == folder.id
    assert improved["improved_from"]["mean"] == undisturbed["cv"]["mean"]
    assert improved["cv"]["mean"] >= undisturbed["cv"]["mean"]
    after = [read_record(one.record, Candidate) for one in folder.all_candidates()]
    assert [one.id for one in after] == ["c001", "c002", "c003"]
    assert [one.score for one in after[:2]] == [one.score for one in before]
    assert improved["sent"] is None  # that score was of another file
    (earlier,) = read_record(folder.record, Run).earlier
    assert earlier.sent == (7,)
    assert earlier.submission is not None
    assert earlier.submission.sha256 == undisturbed["submission"]["sha256"]
    started = [event.fields["stage"] for event in events(folder) if event.kind == "stage_started"]
    assert started[-4:] == ["search", "ensemble", "submission", "report"]
    assert started.count("plan") == 1


@pytest.mark.slow
def test_an_improvement_that_is_killed_ends_as_one_that_was_not(
    world: World, undisturbed: dict[str, Any], tmp_path: Path
) -> None:
    folder = world.take(undisturbed)
    copy = tmp_path / "copy"
    shutil.copytree(folder.path, copy, symlinks=True)
    expected = world.finish(world.start("improve", str(copy), *MORE))
    process = world.start("improve", folder.id, *MORE)
    for sign in (told("candidate_started", candidate="c003"), told("candidate_finished", candidate="c003")):
        if wait_for(process, world, len(events(folder)), sign):
            process.send_signal(signal.SIGKILL)
        process.communicate()
        assert is_submission_valid(folder)
        process = world.start("resume", folder.id, "--json", "--quiet")
    killed = world.finish(process)
    assert killed["submission"]["sha256"] == expected["submission"]["sha256"]
    assert killed["cv"] == expected["cv"]


@pytest.mark.slow
def test_what_was_changed_since_is_not_built_upon(world: World, undisturbed: dict[str, Any]) -> None:
    folder = world.take(undisturbed)
    record = read_record(folder.record, Run)
    assert record.ensemble is not None
    member = folder.candidate(record.ensemble.members[0].candidate)
    (member.code / "features.py").write_text((member.code / "features.py").read_text() + "\n# mine\n")
    refused = world.start("improve", folder.id, *MORE)
    out, err = refused.communicate()
    assert refused.returncode == 2
    assert f"the code of {member.id} was changed" in err
    assert msgspec.json.decode(out)["error"]["exit_code"] == 2
    assert read_record(folder.record, Run) == record
    assert folder.metrics.is_file()


# ---------------------------------------------------------------- what is refused, without running anything


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    """A finished run of which nothing was run."""
    monkeypatch.chdir(tmp_path)
    make_orchard(tmp_path / "orchard")
    settings = Settings(home=tmp_path / "home", runs_dir=tmp_path / "runs", skip_execution=True)
    folder = start_run(RunOptions(target=str(tmp_path / "orchard"), chat=False), settings)
    carry_out(folder, settings)
    return folder


def refuse(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Call `improve`, which must refuse as it does what makes no sense; return what it says."""
    assert call("improve", *arguments, "--json") == 2
    out, err = capsys.readouterr()
    answer: dict[str, Any] = one_object(out)
    assert answer["error"]["exit_code"] == 2
    return err


def test_a_run_that_was_only_written_is_refused(capsys: pytest.CaptureFixture[str], written: RunFolder) -> None:
    assert "was written only" in refuse(capsys, "latest", "--time-budget", "30s")


def test_a_run_that_is_not_there_is_refused(capsys: pytest.CaptureFixture[str], written: RunFolder) -> None:
    assert "There is no run 'nothing'" in refuse(capsys, "nothing", "--time-budget", "30s")


@pytest.mark.parametrize("given", [(), ("--time-budget", "soon"), ("--time-budget", "0s")])
def test_a_budget_is_needed(capsys: pytest.CaptureFixture[str], written: RunFolder, given: tuple[str, ...]) -> None:
    assert "--time-budget" in refuse(capsys, "latest", *given)


@pytest.mark.parametrize(("status", "said"), [("failed", "resume"), ("interrupted", "resume"), ("cancelled", "anew")])
def test_a_run_that_is_not_finished_is_refused(
    capsys: pytest.CaptureFixture[str], written: RunFolder, status: Any, said: str
) -> None:
    record = msgspec.structs.replace(read_record(written.record, Run), status=status, error="no wind")
    write_record(written.record, record)
    assert said in refuse(capsys, written.id, "--time-budget", "30s")
    assert read_record(written.record, Run) == record


def test_a_run_at_work_is_refused(written: RunFolder, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home", runs_dir=tmp_path / "runs")
    with hold_run(written), pytest.raises(UsageError, match="Another process is at work"):
        take_up(written, settings, RunOptions(target="orchard", time_budget_seconds=30.0))
