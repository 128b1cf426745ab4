"""Kill -9 at every boundary and inside every stage, of the run's process and of the sandbox: nothing is redone or lost.

One run is killed at each point in its turn and resumed, and must end with the submission of a run that nobody touched.
"""

from __future__ import annotations

import signal
import subprocess
import time
from collections import Counter
from typing import Any

import msgspec
import psutil
import pytest

from autokaggle.records.candidate import Candidate
from autokaggle.records.run import Run
from autokaggle.storage.artifacts import RunFolder
from autokaggle.storage.records_file import read_record
from autokaggle.storage.state_store import StateStore
from tests.killable_world import (
    FLAGS,
    PATIENCE_SECONDS,
    Sign,
    World,
    events,
    sandboxes_below,
    sha256,
    told,
    wait_for,
)

pytestmark = pytest.mark.slow

STAGES = ("fetch", "profile", "discuss", "plan", "search", "ensemble", "submission", "report")

# In the order in which a run comes to them. After a kill the run is resumed, and killed at the next.
POINTS: dict[str, Sign] = {
    "the beginning": told("run_started"),
    "fetch": told("stage_started", stage="fetch"),
    "the end of fetch": told("stage_finished", stage="fetch"),
    "profile": told("stage_started", stage="profile"),
    "the end of profile": told("stage_finished", stage="profile"),
    "discuss": told("stage_started", stage="discuss"),
    "plan": told("stage_started", stage="plan"),
    "the end of plan": told("stage_finished", stage="plan"),
    "search": told("stage_started", stage="search"),
    "the first answer": told("best_changed", candidate="constant"),
    "the first candidate": told("candidate_started", candidate="c001"),
    "the first score": told("candidate_finished", candidate="c001"),
    "the second candidate": told("candidate_started", candidate="c002"),
    "the second score": told("candidate_finished", candidate="c002"),
    "the end of search": told("stage_finished", stage="search"),
    "ensemble": told("stage_started", stage="ensemble"),
    "submission": told("stage_started", stage="submission"),
    "the end of submission": told("stage_finished", stage="submission"),
    "report": told("stage_started", stage="report"),
}


def check_nothing_was_redone(folder: RunFolder) -> None:
    finished: set[object] = set()
    for event in events(folder):
        if event.kind in ("stage_started", "candidate_started"):
            assert event.fields.get("candidate", event.fields.get("stage")) not in finished
        elif event.kind in ("stage_finished", "candidate_finished"):
            finished.add(event.fields.get("candidate", event.fields.get("stage")))
    assert finished >= {"c001", "c002"}


def test_a_run_that_is_killed_at_every_point_ends_as_if_nobody_had_touched_it(
    world: World, undisturbed: dict[str, Any]
) -> None:
    killed: list[str] = []
    known = 0
    process = world.start("run", "orchard", *FLAGS)
    for name, sign in POINTS.items():
        if wait_for(process, world, known, sign):
            process.send_signal(signal.SIGKILL)
            killed.append(name)
        process.communicate()  # which also closes its pipes
        folder = world.run_folder()
        assert folder is not None
        assert read_record(folder.record, Run).status == "running"
        known = len(events(folder))
        process = world.start("resume", folder.id, "--json", "--quiet")
    answer = world.finish(process)
    assert len(killed) >= 12, killed
    assert folder is not None
    assert answer["submission"]["sha256"] == undisturbed["submission"]["sha256"] == sha256(folder)
    assert answer["cv"] == undisturbed["cv"]
    check_nothing_was_redone(folder)
    record = read_record(folder.record, Run)
    assert [stage.name for stage in record.stages if stage.status == "done"] == list(STAGES)
    assert sandboxes_below(folder.path) == []
    with StateStore(world.home / "state.sqlite3") as store:
        assert [row.status for row in store.runs()] == ["done"]


def sandbox_of(process: subprocess.Popen[str], folder: RunFolder, candidate: str) -> tuple[psutil.Process, ...]:
    """Wait for the sandbox in which the code of a candidate works; return its supervisor and what is behind walls."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not (boxes := sandboxes_below(folder.candidate(candidate).path)):
        assert time.monotonic() < end
        assert process.poll() is None
        time.sleep(0.01)
    # Inside bubblewrap: its first process, whose child is the code.
    supervisor = boxes[0].parent()
    assert supervisor is not None
    assert supervisor.pid != process.pid
    return supervisor, *boxes


def check_ends_as(undisturbed: dict[str, Any], answer: dict[str, Any], folder: RunFolder, deaths: int) -> None:
    assert answer["submission"]["sha256"] == undisturbed["submission"]["sha256"]
    assert sandboxes_below(folder.path) == []
    candidates = [read_record(one.record, Candidate) for one in folder.all_candidates()]
    assert [one.id for one in candidates if one.score is not None] == ["c001", "c002"]
    warnings = Counter("killed from outside" in event.message for event in events(folder) if event.kind == "warning")
    assert warnings[True] == deaths


def test_a_sandbox_that_is_killed_while_it_trains_is_run_again(world: World, undisturbed: dict[str, Any]) -> None:
    process = world.start("run", "orchard", *FLAGS)
    assert wait_for(process, world, 0, POINTS["the first candidate"])
    folder = world.run_folder()
    assert folder is not None
    sandbox_of(process, folder, "c001")[-1].kill()
    assert wait_for(process, world, 0, POINTS["the second candidate"])
    sandbox_of(process, folder, "c002")[0].kill()
    check_ends_as(undisturbed, world.finish(process), folder, deaths=2)


def test_a_run_that_is_killed_with_its_sandbox_runs_the_candidate_again(
    world: World, undisturbed: dict[str, Any]
) -> None:
    process = world.start("run", "orchard", *FLAGS)
    assert wait_for(process, world, 0, POINTS["the first candidate"])
    folder = world.run_folder()
    assert folder is not None
    supervisor, *_ = sandbox_of(process, folder, "c001")
    supervisor.suspend()  # else it sees the run die, and ends the code in good order
    process.kill()
    process.communicate()
    supervisor.kill()
    answer = world.finish(world.start("resume", folder.id, "--json", "--quiet"))
    check_ends_as(undisturbed, answer, folder, deaths=0)


def test_two_processes_on_one_run_refuse_politely(world: World) -> None:
    process = world.start("run", "orchard", *FLAGS)
    assert wait_for(process, world, 0, POINTS["profile"])
    folder = world.run_folder()
    assert folder is not None
    second = world.start("resume", folder.id, "--json")
    out, err = second.communicate(timeout=PATIENCE_SECONDS)
    assert second.returncode == 2
    assert "Another process is at work" in err
    assert "Traceback" not in err
    assert msgspec.json.decode(out)["error"]["exit_code"] == 2
    process.kill()
    process.communicate()
