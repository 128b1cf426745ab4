"""Workers in processes of their own: every run is carried out once, within the machine, whatever dies meanwhile."""

from __future__ import annotations

import csv
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from autokaggle.config import Settings
from autokaggle.orchestrator.run_lifecycle import start_run
from autokaggle.orchestrator.standing import leave_to_worker
from autokaggle.records.run import Run, RunOptions
from autokaggle.storage.artifacts import RunFolder
from autokaggle.storage.records_file import read_record
from autokaggle.storage.run_folders import is_at_work
from autokaggle.storage.run_queue import RunQueue
from autokaggle.storage.state_store import StateStore
from tests.patience import PATIENCE_SECONDS, wait_until

pytestmark = pytest.mark.slow


@pytest.fixture
def world(tmp_path: Path) -> Path:
    """A folder to stand in, with two local competitions: trees, which of them were sold."""
    for name in ("orchard", "nursery"):
        chance = random.Random(7)
        folder = tmp_path / name
        folder.mkdir()
        rows = [(number, round(chance.uniform(1, 9), 2), chance.choice(["oak", "elm"])) for number in range(90)]
        tables: dict[str, list[tuple[object, ...]]] = {
            "train.csv": [("id", "height", "kind", "sold"), *((*row, int(row[1] > 5)) for row in rows[:60])],
            "test.csv": [("id", "height", "kind"), *rows[60:]],
            "sample_submission.csv": [("id", "sold"), *((row[0], 0) for row in rows[60:])],
        }
        for file, lines in tables.items():
            with (folder / file).open("w", newline="") as stream:
                csv.writer(stream).writerows(lines)
    return tmp_path


@pytest.fixture
def start(world: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start the program in the world; what is left of it at the end is killed."""
    started: list[subprocess.Popen[str]] = []

    def start_program(*arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "autokaggle", *arguments],
            cwd=world,
            env={**os.environ, "AUTOKAGGLE_HOME": str(world / "home"), "AUTOKAGGLE_SKIP_EXECUTION": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start_program
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def call(start: Callable[..., subprocess.Popen[str]]) -> Callable[..., dict[str, Any]]:
    def answer(*arguments: str, code: int = 0) -> dict[str, Any]:
        process = start(*arguments, "--json")
        out, err = process.communicate(timeout=PATIENCE_SECONDS)
        assert process.returncode == code, err
        found: dict[str, Any] = json.loads(out)
        return {**found, "stderr": err}

    return answer


def queue_run(world: Path, number: int) -> dict[str, Any]:
    settings = Settings(home=world / "home", runs_dir=world / "runs", skip_execution=True)
    folder = start_run(RunOptions(target=str(world / ("orchard", "nursery")[number % 2])), settings)
    return {"run_id": folder.id, "run_dir": str(folder.path), "status": leave_to_worker(folder, settings).status}


def record(facts: dict[str, Any]) -> Run:
    return read_record(RunFolder(Path(facts["run_dir"])).record, Run)


def is_running(facts: dict[str, Any]) -> bool:
    return is_at_work(RunFolder(Path(facts["run_dir"]))) and record(facts).status == "running"


def test_ten_runs_finish_within_the_machine(world: Path, call: Callable[..., Any], start: Callable[..., Any]) -> None:
    queued = [call("run", "orchard", "--detach"), *(queue_run(world, number) for number in range(9))]
    assert {facts["status"] for facts in queued} == {"queued"}
    assert "autokaggle worker" in queued[0]["stderr"]
    assert len(call("queue")["runs"]) == 10
    workers = [start("worker", "--slots", "2", "--drain", "--json") for _ in range(2)]
    most_at_once, shares = 0, set()
    with StateStore(world / "home" / "state.sqlite3") as store:
        while any(worker.poll() is None for worker in workers):
            at_work = store.execute("SELECT worker, processors FROM queue WHERE worker IS NOT NULL")
            held = [number for row in at_work for number in row["processors"].split(",")]
            assert len(held) == len(set(held))
            most_at_once = max(most_at_once, len(at_work))
            shares |= {row["processors"] for row in at_work}
            time.sleep(0.05)
        assert RunQueue(store).entries() == []
        assert RunQueue(store).workers() == []
    carried_out = [run for worker in workers for run in json.loads(worker.communicate()[0])["runs"]]
    assert sorted(run["run_id"] for run in carried_out) == sorted(facts["run_id"] for facts in queued)
    assert {run["status"] for run in carried_out} == {record(facts).status for facts in queued} == {"done"}
    assert most_at_once <= len(os.sched_getaffinity(0))
    assert shares <= {str(number) for number in os.sched_getaffinity(0)} or len(os.sched_getaffinity(0)) != 2


def test_a_killed_worker_frees_its_run_for_the_next(call: Callable[..., Any], start: Callable[..., Any]) -> None:
    facts = call("run", "orchard", "--detach")
    folder = RunFolder(Path(facts["run_dir"]))
    worker = start("worker")
    wait_until(lambda: is_running(facts))
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    wait_until(lambda: not is_at_work(folder))
    if record(facts).status != "done":
        assert record(facts).status == "queued"
        assert call("worker", "--drain")["runs"][0]["status"] == "done"
    assert record(facts).status == "done"


def test_a_stopped_worker_puts_its_run_back(call: Callable[..., Any], start: Callable[..., Any]) -> None:
    facts = call("run", "orchard", "--detach")
    worker = start("worker")
    wait_until(lambda: is_running(facts))
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(PATIENCE_SECONDS) == 130
    assert record(facts).status in ("queued", "done")
    waiting = call("queue")
    assert waiting["workers"] == []
    assert [(run["run_id"], run["worker"]) for run in waiting["runs"]] in ([(facts["run_id"], None)], [])
    call("worker", "--once")
    assert record(facts).status == "done"


def test_a_cancelled_run_ends_at_its_worker_and_is_not_taken_again(
    call: Callable[..., Any], start: Callable[..., Any]
) -> None:
    waits, runs = call("run", "orchard", "--detach"), call("run", "nursery", "--detach", "--priority", "2")
    worker = start("worker", "--json")
    wait_until(lambda: is_running(runs))
    assert call("cancel", waits["run_id"])["status"] == "cancelled"
    assert call("cancel", runs["run_id"])["status"] == "cancelled"
    wait_until(lambda: call("queue")["runs"] == [])
    worker.send_signal(signal.SIGTERM)
    worker.wait(PATIENCE_SECONDS)
    assert {record(waits).status, record(runs).status} == {"cancelled"}


def test_a_run_that_cannot_go_on_fails_with_its_reason(world: Path, call: Callable[..., Any]) -> None:
    facts = call("run", "orchard", "--detach")
    (world / "orchard" / "train.csv").write_text("")
    assert call("worker", "--drain")["runs"][0]["status"] == "failed"
    assert "train.csv" in record(facts).error
    assert call("queue")["runs"] == []


def test_a_queued_run_can_be_carried_out_by_hand_and_left_again(call: Callable[..., Any]) -> None:
    facts = call("run", "orchard", "--detach")
    assert call("resume", facts["run_id"])["status"] == "done"
    assert call("queue")["runs"] == []
    assert call("resume", facts["run_id"], "--detach")["status"] == "queued"
    assert call("worker", "--drain")["runs"][0]["status"] == "done"
