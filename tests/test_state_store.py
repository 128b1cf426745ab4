"""The index of runs: what it keeps, finds and rebuilds, and what it does when its file is unusable."""

from __future__ import annotations

import shutil
import sqlite3
import stat
import subprocess
import sys
import threading
from pathlib import Path

import msgspec
import pytest

from autokaggle.errors import AutoKaggleError, OutsideWorldError, UsageError
from autokaggle.records.candidate import Candidate, Proposal, Score
from autokaggle.records.event import Event
from autokaggle.records.outcome import Member, Metrics, SubmissionFacts
from autokaggle.records.run import Run, RunOptions, RunStatus, StageRecord
from autokaggle.records.sandbox import Isolation
from autokaggle.storage.artifacts import RunFolder
from autokaggle.storage.records_file import write_record
from autokaggle.storage.state_store import StateStore, StateStoreDamaged, open_state_store, rebuild_state_store

SCORE = Score(metric="accuracy", greater_is_better=True, mean=0.83, std=0.01, folds=(0.82, 0.84), low=0.8, high=0.86)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home" / "state.sqlite3"


def run_record(run_id: str, *, created: str = "2026-01-02T03:04:05Z", status: RunStatus = "running") -> Run:
    return Run(
        id=run_id,
        slug="titanic",
        target="titanic",
        options=RunOptions(target="titanic"),
        status=status,
        created=created,
        isolation=Isolation(level="strong", backend="bubblewrap"),
        stages=(StageRecord(name="fetch", status="done", started=created, seconds=1.5),),
    )


def candidate_record(candidate_id: str) -> Candidate:
    proposal = Proposal(title="baseline", family="lightgbm")
    return Candidate(id=candidate_id, proposal=proposal, status="scored", score=SCORE, seconds=3.0)


def event(kind: str, **fields: object) -> Event:
    return Event(time="2026-01-02T03:04:06Z", kind=kind, message="Größe ✓", fields=fields)


def write_run(runs_dir: Path, run_id: str, created: str = "2026-01-02T03:04:05Z") -> RunFolder:
    """Make a run folder with one candidate, two events and metrics, as a run leaves it."""
    folder = RunFolder.create(runs_dir, run_id)
    write_record(folder.record, run_record(run_id, created=created, status="done"))
    folder.candidate("c001").path.mkdir()
    write_record(folder.candidate("c001").record, candidate_record("c001"))
    lines = [msgspec.json.encode(event(kind)) for kind in ("run_started", "run_finished")]
    folder.events.write_bytes(b"\n".join(lines) + b"\n")
    facts = SubmissionFacts(rows=3, sha256="0" * 64)
    cv = {"mean": 0.83, "std": 0.01, "folds": [0.82, 0.84], "low": 0.8, "high": 0.86}
    metrics = Metrics(
        metric="accuracy",
        greater_is_better=True,
        cv=cv,
        candidates=1,
        ensemble=(Member(candidate="c001", weight=1.0),),
        submission=facts,
        seconds={},
        isolation="strong",
    )
    write_record(folder.metrics, metrics)
    return folder


def test_a_run_is_found_again_with_its_score_and_candidates(path: Path, tmp_path: Path) -> None:
    folder = write_run(tmp_path / "runs", "titanic-20260102-030405-abcd")
    with StateStore(path) as store:
        store.record_run(run_record(folder.id), folder.path)
        store.record_candidate(folder.id, candidate_record("c001"))
        store.record_candidate(folder.id, candidate_record("c001"))
    with StateStore(path) as store:
        (row,) = store.runs()
    assert (row.id, row.folder, row.status, row.isolation) == (folder.id, folder.path, "running", "strong")
    assert (row.metric, row.greater_is_better, row.score, row.score_low, row.score_high) == (
        "accuracy",
        True,
        0.83,
        0.8,
        0.86,
    )
    assert row.candidates == 1


def test_recording_a_run_again_keeps_its_candidates_and_events(path: Path, tmp_path: Path) -> None:
    with StateStore(path) as store:
        store.record_run(run_record("a"), tmp_path)
        store.record_candidate("a", candidate_record("c001"))
        store.add_event("a", event("info", rows=7))
        store.record_run(run_record("a", status="done"), tmp_path)
        assert (store.runs()[0].status, store.runs()[0].candidates) == ("done", 1)
        assert store.events("a") == [event("info", rows=7)]


def test_runs_come_newest_first_and_limited(path: Path, tmp_path: Path) -> None:
    with StateStore(path) as store:
        for day in (2, 3, 1):
            store.record_run(run_record(f"run-{day}", created=f"2026-01-0{day}T00:00:00Z"), tmp_path)
        assert [row.id for row in store.runs()] == ["run-3", "run-2", "run-1"]
        assert [row.id for row in store.runs(2)] == ["run-3", "run-2"]


def test_a_reference_is_an_id_a_prefix_or_latest(path: Path, tmp_path: Path) -> None:
    with StateStore(path) as store:
        assert store.find("latest") is None
        for run_id, day in (("titanic-1", 1), ("titanic-12", 3), ("house_1", 2)):
            store.record_run(run_record(run_id, created=f"2026-01-0{day}T00:00:00Z"), tmp_path)
        found = {
            reference: store.find(reference) for reference in ("latest", "titanic-1", "h", "house%", "nothing", "")
        }
        ids = {reference: row and row.id for reference, row in found.items()}
        assert ids == {
            "latest": "titanic-12",
            "titanic-1": "titanic-1",
            "h": "house_1",
            "house%": None,
            "nothing": None,
            "": None,
        }
        with pytest.raises(UsageError, match="fits several runs: titanic-12, titanic-1"):
            store.find("tit")


def test_an_event_of_an_unknown_run_is_refused(path: Path) -> None:
    with StateStore(path) as store, pytest.raises(AutoKaggleError, match="FOREIGN KEY"):
        store.add_event("nobody", event("info"))


def test_the_file_is_private_and_several_stores_can_be_open(path: Path, tmp_path: Path) -> None:
    with StateStore(path) as one, StateStore(path) as other:
        one.record_run(run_record("a"), tmp_path)
        other.record_run(run_record("b"), tmp_path)
        assert {row.id for row in one.runs()} == {"a", "b"}
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
        assert set(modes.values()) == {0o600}, modes
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_threads_write_without_losing_an_event(path: Path, tmp_path: Path) -> None:
    with StateStore(path) as store:
        store.record_run(run_record("a"), tmp_path)

        def write(number: int) -> None:
            for step in range(25):
                store.add_event("a", event("info", thread=number, step=step))

        threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(store.events("a")) == 100


def test_processes_write_without_losing_an_event(path: Path, tmp_path: Path) -> None:
    with StateStore(path) as store:
        store.record_run(run_record("a"), tmp_path)
    code = """
import sys
from pathlib import Path
from autokaggle.records.event import Event
from autokaggle.storage.state_store import StateStore
with StateStore(Path(sys.argv[1])) as store:
    for step in range(50):
        store.add_event("a", Event(time="", kind="info"))
"""
    writers = [subprocess.Popen([sys.executable, "-c", code, str(path)]) for _ in range(4)]
    assert [writer.wait(300) for writer in writers] == [0] * 4
    with StateStore(path) as store:
        assert len(store.events("a")) == 200


def test_a_rebuild_makes_the_same_rows_from_the_folders(path: Path, tmp_path: Path) -> None:
    folder = write_run(tmp_path / "runs", "titanic-20260102-030405-abcd")
    (tmp_path / "runs" / "no run").mkdir()
    (tmp_path / "runs" / "a file").write_text("")
    with StateStore(path) as store:
        for _ in range(2):
            rebuilt = store.rebuild(tmp_path / "runs")
            assert (rebuilt.runs, rebuilt.problems) == (1, ())
        row = store.find(folder.id)
        assert row is not None
        assert (row.score, row.candidates, row.status) == (0.83, 1, "done")
        assert [found.kind for found in store.events(folder.id)] == ["run_started", "run_finished"]


def test_a_rebuild_drops_runs_whose_folder_is_gone_and_keeps_runs_elsewhere(path: Path, tmp_path: Path) -> None:
    kept, gone = write_run(tmp_path / "elsewhere", "kept-1"), write_run(tmp_path / "runs", "gone-1")
    with StateStore(path) as store:
        for folder in (kept, gone):
            store.record_run(run_record(folder.id), folder.path)
        shutil.rmtree(gone.path)
        store.rebuild(tmp_path / "runs")
        assert [row.id for row in store.runs()] == ["kept-1"]


def test_a_rebuild_names_damaged_records_and_takes_the_rest(path: Path, tmp_path: Path) -> None:
    write_run(tmp_path / "runs", "good-1")
    write_run(tmp_path / "runs", "half-1").candidate("c001").record.write_text('{"id": "c0')
    write_run(tmp_path / "runs", "lost-1").record.write_bytes(b"\xff\x00")
    cut = write_run(tmp_path / "runs", "cut-1").events
    cut.write_bytes(cut.read_bytes()[:-10])
    with StateStore(path) as store:
        rebuilt = store.rebuild(tmp_path / "runs")
        assert {row.id: row.candidates for row in store.runs()} == {"good-1": 1, "half-1": 0, "cut-1": 1}
        assert len(store.events("cut-1")) == 1
    assert rebuilt.runs == 3
    assert ["half-1" in problem or "lost-1" in problem for problem in rebuilt.problems] == [True, True]


@pytest.mark.parametrize("damage", [b"this is no database, only text\n" * 100, b"SQLite format 3\0" + b"\xff" * 4000])
def test_a_damaged_file_is_set_aside_and_made_anew(path: Path, tmp_path: Path, damage: bytes) -> None:
    write_run(tmp_path / "runs", "titanic-1")
    path.parent.mkdir()
    path.write_bytes(damage)
    with pytest.raises(StateStoreDamaged, match="is damaged"):
        StateStore(path)
    told: list[str] = []
    with open_state_store(path, tmp_path / "runs", told.append) as store:
        assert [row.id for row in store.runs()] == ["titanic-1"]
    (kept,) = path.parent.glob("state.sqlite3.damaged-*")
    assert kept.read_bytes() == damage
    assert len(told) == 1
    assert str(kept) in told[0]
    assert "1 runs" in told[0]


def test_damage_within_is_mended_by_a_rebuild(path: Path, tmp_path: Path) -> None:
    for number in range(30):
        write_run(tmp_path / "runs", f"titanic-{number}")
    with StateStore(path) as store:
        store.rebuild(tmp_path / "runs")
    content = bytearray(path.read_bytes())
    content[8192:] = b"\xa5" * (len(content) - 8192)
    path.write_bytes(content)
    told: list[str] = []
    assert rebuild_state_store(path, tmp_path / "runs", told.append).runs == 30
    assert len(told) == 1
    with StateStore(path) as store:
        store.check()
        assert len(store.runs()) == 30


def test_a_sound_file_is_not_replaced(path: Path, tmp_path: Path) -> None:
    told: list[str] = []
    with open_state_store(path, tmp_path, told.append) as store:
        store.record_run(run_record("a"), tmp_path)
    with open_state_store(path, tmp_path, told.append) as store:
        assert [row.id for row in store.runs()] == ["a"]
    assert told == []


def test_a_home_that_is_a_file_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("")
    with pytest.raises(OutsideWorldError, match="Cannot write the state store") as caught:
        StateStore(tmp_path / "home" / "state.sqlite3")
    assert "AUTOKAGGLE_HOME" in caught.value.next_step


@pytest.mark.skipif(shutil.which("bwrap") is None, reason="a read-only file system needs bubblewrap")
@pytest.mark.parametrize("there", [False, True])
def test_a_read_only_folder_is_a_clear_error(path: Path, there: bool) -> None:
    path.parent.mkdir()
    if there:
        StateStore(path).close()
    code = """
import sys
from pathlib import Path
from autokaggle.errors import OutsideWorldError
from autokaggle.storage.state_store import StateStore
try:
    StateStore(Path(sys.argv[1]))
except OutsideWorldError as error:
    print(error.message)
"""
    done = subprocess.run(
        ["bwrap", "--ro-bind", "/", "/", "--dev", "/dev", sys.executable, "-c", code, str(path)],
        capture_output=True,
        text=True,
    )
    if "bwrap:" in done.stderr:
        pytest.skip(f"bubblewrap does not work here: {done.stderr.strip()}")
    assert done.stdout == f"Cannot write the state store {path}: Read-only file system.\n", done.stderr


def test_a_locked_database_is_a_clear_error(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autokaggle.storage.state_store.BUSY_TIMEOUT_SECONDS", 0.05)
    StateStore(path).close()
    blocker = sqlite3.connect(path, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    try:
        with StateStore(path) as store, pytest.raises(OutsideWorldError, match="locked by another process"):
            store.record_run(run_record("a"), tmp_path)
    finally:
        blocker.close()


def test_a_run_goes_on_when_the_index_cannot_be_written(path: Path, tmp_path: Path) -> None:
    told: list[str] = []
    with open_state_store(path, tmp_path, told.append) as store:
        store.record_run(run_record("a"), tmp_path)
        with sqlite3.connect(path) as connection:
            connection.execute("DROP TABLE events")
        connection.close()
        store.add_event("a", event("info"))
        store.add_event("a", event("info"))
        store.record_run(run_record("b"), tmp_path)
        assert [row.id for row in store.runs()] == ["a"]
    assert len(told) == 1
    assert "goes on without the index" in told[0]
