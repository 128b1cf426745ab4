"""Commands that look at runs: `status`, `logs`, `runs`, and `resume` and `cancel`, which name a run in the same way."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from autokaggle.orchestrator.journal import Journal
from autokaggle.records.candidate import Candidate, Gain, Proposal, Score
from autokaggle.records.run import Run
from autokaggle.storage.artifacts import RunFolder
from autokaggle.storage.records_file import read_record, write_record
from autokaggle.storage.state_store import StateStore
from tests.scripted_lifecycle import ScriptedLifecycle, call, killed, one_object, start_slow_run

pytestmark = pytest.mark.usefixtures("workplace")


@pytest.mark.parametrize("reference", ["latest", "titanic", "whole", "folder", None])
def test_a_run_is_named_by_id_prefix_latest_or_folder(
    reference: str | None, finished: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    named = {"whole": finished.id, "folder": f"runs/{finished.id}"}.get(reference or "", reference)
    assert call("status", *([named] if named else []), "--json") == 0
    assert one_object(capsys.readouterr().out)["run_id"] == finished.id


def test_a_run_elsewhere_is_found_through_the_index(
    finished: RunFolder, capsys: pytest.CaptureFixture[str], tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert call("status", finished.id, "--json") == 0
    assert one_object(capsys.readouterr().out)["run_dir"] == str(finished.path)


@pytest.mark.parametrize("command", ["status", "logs", "resume"])
def test_a_run_that_is_not_there_is_a_usage_error(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(command, "nothing") == 2
    assert "There is no run 'nothing'" in capsys.readouterr().err
    assert call(command) == 2
    assert "autokaggle run TARGET" in capsys.readouterr().err


def test_an_ambiguous_prefix_names_the_runs(capsys: pytest.CaptureFixture[str], lifecycle: ScriptedLifecycle) -> None:
    for _ in range(2):
        assert call("run", "titanic", lifecycle=lifecycle) == 0
    assert call("status", "tit") == 2
    assert "titanic-20260102-030400-abcd, titanic-20260102-030401-abcd" in capsys.readouterr().err


def test_status_shows_stages_candidates_and_the_best_score(
    finished: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("status") == 0
    out = capsys.readouterr().out
    for part in (finished.id, "isolation strong (bubblewrap)", "search", "c001", "baseline", "accuracy ↑ 0.83710"):
        assert part in out
    assert "\x1b" not in out


def test_status_of_a_killed_run_says_how_to_go_on(finished: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    killed(finished)
    assert call("status") == 0
    assert f"autokaggle resume {finished.id}" in capsys.readouterr().out
    assert call("status", "--json") == 0
    assert one_object(capsys.readouterr().out)["status"] == "interrupted"


def test_status_of_a_run_at_work_counts_on(finished: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    killed(finished)
    with FileLock(finished.lock):
        assert call("status", "--json") == 0
    found = one_object(capsys.readouterr().out)
    assert found["status"] == "running"
    assert 500 < found["left_seconds"] < 600
    assert found["best"]["score"] == 0.8371
    assert [candidate["id"] for candidate in found["candidates"]] == ["c001"]


def test_watching_ends_with_the_run(capsys: pytest.CaptureFixture[str], workplace: Path) -> None:
    worker = start_slow_run(workplace)
    assert call("status", "--watch") == 0
    worker.join()
    out = capsys.readouterr().out
    assert out.index("c001 started") < out.index("best so far") < out.index("run done")


def test_logs_follow_a_run_until_it_ends(capsys: pytest.CaptureFixture[str], workplace: Path) -> None:
    worker = start_slow_run(workplace)
    assert call("logs", "--follow") == 0
    worker.join()
    out = capsys.readouterr().out
    assert out.count("run_started") == 1
    assert "run_finished" in out


def test_the_log_of_a_candidate_cannot_steer_the_terminal(
    finished: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("logs", "--candidate", "c001") == 0
    told, log = capsys.readouterr().out.split("\n\n== log\n")
    assert log == "training\n\\x1b[2J\\x1b]0;owned\\x07 fold 1�\nlast line\n"
    assert told.startswith("c001  baseline\n  draft by the portfolio\n  failed after")


@pytest.mark.parametrize("candidate", ["c002", "../../etc", ""])
def test_a_candidate_that_is_not_there_is_a_usage_error(
    candidate: str, finished: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("logs", "--candidate", candidate) == 2
    assert "c001" in capsys.readouterr().err


def test_resume_carries_the_same_run_on(finished: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    finished.candidate("c001").record.unlink()
    finished.candidate("c001").log.unlink()
    finished.candidate("c001").path.rmdir()
    killed(finished)
    assert call("resume", finished.id, "--json") == 0
    assert one_object(capsys.readouterr().out)["run_id"] == finished.id


def test_runs_lists_newest_first_as_a_table_and_as_json(
    capsys: pytest.CaptureFixture[str], lifecycle: ScriptedLifecycle
) -> None:
    for _ in range(2):
        assert call("run", "titanic", lifecycle=lifecycle) == 0
    capsys.readouterr()
    assert call("runs") == 0
    header, *lines = capsys.readouterr().out.splitlines()
    assert header.split() == ["run", "created", "status", "candidates", "score"]
    assert [line.split()[0] for line in lines] == ["titanic-20260102-030401-abcd", "titanic-20260102-030400-abcd"]
    assert lines[0].split()[-2:] == ["accuracy", "0.83710"]
    assert call("runs", "--json", "--limit", "1") == 0
    found = one_object(capsys.readouterr().out)
    assert [run["run_id"] for run in found["runs"]] == ["titanic-20260102-030401-abcd"]
    assert found["runs"][0]["cv"] == {"mean": 0.8371, "low": 0.79, "high": 0.88}


def test_runs_without_any_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("runs") == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert "autokaggle run TARGET" in err
    assert call("runs", "--json") == 0
    assert one_object(capsys.readouterr().out) == {"runs": []}


def test_runs_tells_killed_and_removed_runs_apart(finished: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    home = Path.home() / ".local/share/autokaggle"
    killed(finished)
    with StateStore(home / "state.sqlite3") as store:
        store.record_run(read_record(finished.record, Run), finished.path)
    assert call("runs", "--json") == 0
    assert one_object(capsys.readouterr().out)["runs"][0]["status"] == "interrupted"
    finished.record.unlink()
    assert call("runs", "--json") == 0
    assert one_object(capsys.readouterr().out)["runs"][0]["status"] == "folder gone"


def test_runs_rebuild_makes_a_lost_index_anew(finished: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    index = Path.home() / ".local/share/autokaggle/state.sqlite3"
    index.write_bytes(b"damaged " * 1000)
    assert call("runs", "--rebuild", "--json") == 0
    out, err = capsys.readouterr()
    assert [run["run_id"] for run in one_object(out)["runs"]] == [finished.id]
    assert "was damaged" in err
    assert "1 runs read" in err


# ---------------------------------------------------------------- cancel

AT_WORK = """
import sys, time
from pathlib import Path
from filelock import FileLock
with FileLock(Path(sys.argv[1]) / ".lock"):
    print("at work", flush=True)
    time.sleep(60)
"""


def test_cancel_ends_the_process_at_work_and_marks_the_run(
    finished: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    killed(finished)
    command = [sys.executable, "-c", AT_WORK, str(finished.path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "at work\n"
        assert call("cancel", finished.id, "--json") == 0
        assert worker.wait(60) != 0
    assert one_object(capsys.readouterr().out) == {"run_id": finished.id, "status": "cancelled"}
    assert read_record(finished.record, Run).status == "cancelled"
    assert call("runs", "--json") == 0
    assert one_object(capsys.readouterr().out)["runs"][0]["status"] == "cancelled"


def test_cancel_marks_a_run_that_nobody_works_on(finished: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    killed(finished)
    assert call("cancel") == 0
    assert capsys.readouterr().out == f"Run {finished.id} is cancelled.\n"
    assert call("cancel") == 2
    assert "is cancelled already" in capsys.readouterr().err


def test_a_run_that_is_done_cannot_be_cancelled(finished: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("cancel", "latest") == 2
    assert "is done already" in capsys.readouterr().err
    assert read_record(finished.record, Run).status == "done"


def test_a_cancelled_run_does_not_go_on(finished: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    killed(finished)
    assert call("cancel") == 0
    assert call("resume") == 2
    err = capsys.readouterr().err
    assert "was cancelled" in err
    assert "autokaggle run titanic" in err
    assert read_record(finished.record, Run).status == "cancelled"


def test_a_given_runs_dir_binds_also_for_ids_that_the_index_knows_elsewhere(
    finished: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "elsewhere").mkdir()
    elsewhere = ["status", finished.id, "--runs-dir", str(tmp_path / "elsewhere")]
    assert call(*elsewhere) == 2
    assert "There is no run" in capsys.readouterr().err


# ---------------------------------------------------------------- the candidates


def leave_candidate(folder: RunFolder, name: str, changes: str = "", **facts: Any) -> None:
    """Leave a candidate's record, and what it changed, as the search does."""
    place = folder.candidate(name)
    place.path.mkdir(exist_ok=True)
    write_record(place.record, Candidate(id=name, **facts))
    if changes:
        place.changes.write_text(changes)


@pytest.fixture
def tree(finished: RunFolder) -> RunFolder:
    """Three candidates: a draft, one that changes it, and one of somebody else's."""
    score = Score(
        metric="accuracy", greater_is_better=True, mean=0.82, std=0.01, folds=(0.81, 0.83), low=0.79, high=0.84
    )
    draft = Proposal(title="baseline", family="lightgbm", hypothesis="A few trees.")
    leave_candidate(finished, "c001", proposal=draft, status="scored", score=score, seconds=3.0)
    change = Proposal(
        operator="improve", title="ratios", family="lightgbm", hypothesis="Large ones differ.", parent="c001",
        author="model",
    )  # fmt: skip
    gain = Gain(over="c001", value=0.004, error=0.001, is_noise=False)
    leave_candidate(
        finished, "c003", "--- c001/features.py\n+++ c003/features.py\n@@ -1 +1,2 @@\n-old\n+new\n+\x1b[2J\n",
        proposal=change, status="scored", score=score, seconds=7.25, gains=(gain,), ensemble_gain=0.0123,
        verdict="published with weight 0.60",
    )  # fmt: skip
    other = Proposal(title="straight", family="linear")
    leave_candidate(finished, "c002", proposal=other, status="failed", reason="exit code 1: oops", seconds=1.0)
    return finished


def test_the_log_ends_with_the_tree_of_candidates(tree: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("logs") == 0
    log, told = capsys.readouterr().out.split("\n== candidates\n")
    assert "run_started" in log
    assert told.splitlines() == [
        "c001  baseline",
        "  draft by the portfolio: A few trees.",
        "  accuracy 0.82000 (95 %: 0.79000 to 0.84000) after 3.0 s",
        "└─ c003  ratios",
        "     improve of c001 by the model: Large ones differ.",
        "     changed: features.py +2 -1",
        "     accuracy 0.82000 (95 %: 0.79000 to 0.84000) after 7.2 s",
        "     better than c001 by 0.004 ± 0.001; the combination's loss fell by 1.23%; published with weight",
        "     0.60",
        "c002  straight",
        "  draft by the portfolio",
        "  failed after 1.0 s: exit code 1: oops",
    ]


def test_the_log_of_a_candidate_begins_with_what_it_changed(
    tree: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("logs", "--candidate", "c003") == 0
    told = capsys.readouterr().out
    assert "improve of c001 by the model: Large ones differ." in told
    assert "+++ c003/features.py" in told
    assert "+\\x1b[2J" in told


def test_status_shows_children_below_their_parents(
    finished: RunFolder, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(finished)
    journal.tell("candidate_started", candidate="c002", title="ratios", parent="c001", operator="improve")
    journal.tell(
        "candidate_finished", candidate="c002", status="scored", seconds=2.0, score=0.84, low=0.8, high=0.87,
        verdict="better than c001 by 0.01 ± 0.002",
    )  # fmt: skip
    monkeypatch.setenv("COLUMNS", "120")
    assert call("status") == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("c002")]
    assert "└ ratios (improve)  better than c001 by 0.01 ± 0.002" in line
    assert "0.84000 (0.80000 to 0.87000)" in line
