"""A thousand queued runs on the state store; this file measures claims, finds double ones, and times `status`.

    python benchmarks/queue_scale.py --name queue-scale

Eight processes claim runs from one database, write what a run writes there (its record, stages, three candidates, 40
events), and end them, until the queue is empty. Nothing is trained: this measures the store, not the machine.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
from tables import table, write_block

from autokaggle.config import Settings
from autokaggle.records.candidate import Candidate, Proposal, Score
from autokaggle.records.event import Event
from autokaggle.records.run import Run, RunOptions, StageRecord
from autokaggle.storage.artifacts import RunFolder
from autokaggle.storage.records_file import write_record
from autokaggle.storage.run_queue import RunQueue, Share, WorkerRow
from autokaggle.storage.state_store import StateStore

EVENTS = 40
STAGES = ("fetch", "profile", "discuss", "plan", "search", "ensemble", "submission", "report")
SCORE = Score(metric="accuracy", greater_is_better=True, mean=0.8, std=0.01, folds=(0.8,) * 5, low=0.7, high=0.9)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--name", help="write the table into docs/benchmarks.md, between the marks of this name")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="autokaggle-queue-") as name:
        lines = measure(Settings(home=Path(name, "home"), runs_dir=Path(name, "runs")), given.runs, given.workers)
    text = table(["what", "measured"], [list(line) for line in lines])
    print("\n".join(text))
    if given.name:
        command = f"python benchmarks/queue_scale.py --runs {given.runs} --workers {given.workers} --name {given.name}"
        write_block(given.name, [f"`{command}`", "", *text])


def measure(settings: Settings, runs: int, workers: int) -> list[tuple[str, str]]:
    """Queue, carry out and look; return rows of the table."""
    began = time.perf_counter()
    with StateStore(settings.state) as store:
        for number in range(runs):
            queue_run(store, settings, number)
    queued = time.perf_counter() - began
    listing = min(seconds_of("queue", settings) for _ in range(3))
    began = time.perf_counter()
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        results = pool.starmap(work, [(settings.home, number) for number in range(workers)])
    worked = time.perf_counter() - began
    claims = [run for claimed, _ in results for run in claimed]
    waits = sorted(seconds for _, took in results for seconds in took)
    doubles = [run for run, times in Counter(claims).items() if times > 1]
    size = sum(path.stat().st_size for path in settings.home.glob("state.sqlite3*"))
    with StateStore(settings.state) as store:
        over = store.execute("SELECT count(*) FROM runs WHERE status = 'done'")[0][0]
    load = os.getloadavg()[0]
    shares = " / ".join(f"{1000 * waits[int(share * (len(waits) - 1))]:.1f} ms" for share in (0.5, 0.99, 1.0))
    status, listed = (min(seconds_of(command, settings) for _ in range(3)) for command in ("status", "runs"))
    return [
        ("runs queued, one after another", f"{runs:,} in {queued:.1f} s ({runs / queued:,.0f} a second)"),
        (f"claimed, recorded and ended by {workers} processes", f"{len(claims):,} in {worked:.1f} s"),
        ("runs a second, with all that a run writes", f"{len(claims) / worked:,.0f}"),
        ("one claim, median / 99 of 100 / longest", shares),
        ("claimed twice", str(len(doubles))),
        ("done at the end", f"{over:,}"),
        ("the database", f"{size / 1e6:.1f} MB, {size / runs / 1e3:.1f} kB a run"),
        (f"`queue --json` with {runs:,} runs waiting", f"{listing:.2f} s"),
        ("`status latest --json` with all of them done", f"{status:.2f} s"),
        ("`runs --json`", f"{listed:.2f} s"),
        ("load of the machine (1 minute)", f"{load:.1f}"),
    ]  # fmt: skip


def queue_run(store: StateStore, settings: Settings, number: int) -> None:
    """Make one run's folder and record, as `run --detach` does."""
    slug = f"competition-{number % 50}"
    folder = RunFolder.create(settings.runs_dir, f"{slug}-20260102-030405-{number:04x}")
    options = RunOptions(target=slug, detach=True, priority=number % 3)
    moment = f"2026-01-02T03:04:{number % 60:02d}Z"
    run = Run(id=folder.id, slug=slug, target=slug, options=options, status="queued", created=moment, updated=moment)
    write_record(folder.record, run)
    store.record_run(run, folder.path)


def work(home: Path, number: int) -> tuple[list[str], list[float]]:
    """Claim runs until there are none; return which, and how long each claim took."""
    claimed, took = [], []
    # Each worker as if it had a machine of its own: what is measured is the store, not the room on this machine.
    name, host = f"worker-{number}", f"{socket.gethostname()}-{number}"
    share = Share(host=host, count=1, processors=(0,), memory_bytes=1, host_memory_bytes=1)
    with StateStore(home / "state.sqlite3") as store:
        queue = RunQueue(store)
        while True:
            began = time.perf_counter()
            claim = queue.claim(name, share)
            took.append(time.perf_counter() - began)
            if claim is None:
                return claimed, took
            claimed.append(claim.run_id)
            queue.sign(WorkerRow(name, host, os.getpid(), 1, "2026-01-02T03:04:05Z"))
            carry_out(store, claim.folder)


def carry_out(store: StateStore, path: Path) -> None:
    """Write into the store what a run of three candidates writes there."""
    folder = RunFolder(path)
    run = msgspec.json.decode(folder.record.read_bytes(), type=Run)
    stages = tuple(StageRecord(name=name, status="done", started=run.created, seconds=1.0) for name in STAGES)  # type: ignore[arg-type]
    for count in range(1, len(stages) + 1):
        store.record_run(msgspec.structs.replace(run, status="running", stages=stages[:count]), path)
    for number in range(EVENTS):
        fields: dict[str, Any] = {"candidate": "c001", "score": 0.8, "seconds": 12.5}
        store.add_event(run.id, Event(time=run.created, kind="candidate_finished", message=f"{number}", fields=fields))
    for number in range(3):
        proposal = Proposal(title="LightGBM, quick", family="lightgbm")
        store.record_candidate(run.id, Candidate(id=f"c{number:03d}", proposal=proposal, status="scored", score=SCORE))
    done = msgspec.structs.replace(run, status="done", stages=stages)
    write_record(folder.record, done)
    store.record_run(done, path)


def seconds_of(command: str, settings: Settings) -> float:
    """Time one call of the program, as a person waits for it."""
    environment = {**os.environ, "AUTOKAGGLE_HOME": str(settings.home), "AUTOKAGGLE_RUNS_DIR": str(settings.runs_dir)}
    began = time.perf_counter()
    line = [sys.executable, "-m", "autokaggle", command, "--json"]
    subprocess.run(line, env=environment, check=True, capture_output=True, timeout=120)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
