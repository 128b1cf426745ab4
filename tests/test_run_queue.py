"""The queue: each run with one worker at a time, the urgent first, nobody for ever last, no machine overcommitted."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from autokaggle.config import Settings
from autokaggle.orchestrator.standing import leave_to_worker, take_from_queue
from autokaggle.records.run import Run, RunOptions, RunStatus
from autokaggle.storage.artifacts import RunFolder
from autokaggle.storage.records_file import read_record, write_record
from autokaggle.storage.run_queue import LEASE_SECONDS, RunQueue, Share, WorkerRow
from autokaggle.storage.state_store import StateStore, rebuild_state_store

MOMENT = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)


class Clock:
    def __init__(self) -> None:
        self.now = MOMENT

    def __call__(self) -> dt.datetime:
        return self.now

    def pass_seconds(self, seconds: float) -> None:
        self.now += dt.timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def queue(tmp_path: Path, clock: Clock) -> Iterator[RunQueue]:
    with StateStore(tmp_path / "state.sqlite3") as store:
        yield RunQueue(store, clock)


def put(
    queue: RunQueue,
    name: str,
    *,
    slug: str = "titanic",
    priority: int = 0,
    status: RunStatus = "queued",
    after: int = 0,
) -> Run:
    queued = (MOMENT + dt.timedelta(seconds=after)).isoformat()
    options = RunOptions(target=slug, detach=True, priority=priority)
    run = Run(id=name, slug=slug, target=slug, options=options, status=status, created=queued, updated=queued)
    queue.store.record_run(run, Path("/runs") / name)
    return run


def share(host: str = "here", count: int = 1, memory_bytes: int = 1) -> Share:
    return Share(host=host, count=count, processors=(0, 1), memory_bytes=memory_bytes, host_memory_bytes=4)


def sign(queue: RunQueue, worker: str, host: str = "here") -> None:
    queue.sign(WorkerRow(worker, host, 1, 2, "2026-01-02T03:04:05Z"))


def claimed(queue: RunQueue, worker: str = "one", **more: int | str) -> str | None:
    claim = queue.claim(worker, share(**more))  # type: ignore[arg-type]
    return claim.run_id if claim else None


def test_the_urgent_come_first_then_who_waits_longest(queue: RunQueue) -> None:
    put(queue, "late", after=2)
    put(queue, "early", after=1)
    put(queue, "urgent", priority=1, after=3)
    assert [claimed(queue) for _ in range(4)] == ["urgent", "early", "late", None]


def test_who_waits_long_enough_comes_before_the_urgent(queue: RunQueue, clock: Clock) -> None:
    put(queue, "patient")
    put(queue, "urgent", priority=3, after=1900)
    clock.pass_seconds(1901)
    assert claimed(queue) == "patient"


def test_a_run_belongs_to_one_worker_until_its_lease_runs_out(queue: RunQueue, clock: Clock) -> None:
    put(queue, "only")
    sign(queue, "one")
    assert claimed(queue, "one") == "only"
    clock.pass_seconds(LEASE_SECONDS * 0.9)
    assert claimed(queue, "two") is None
    sign(queue, "one")
    clock.pass_seconds(LEASE_SECONDS * 0.9)
    assert claimed(queue, "two") is None
    clock.pass_seconds(LEASE_SECONDS * 0.2)
    sign(queue, "two")
    again = queue.claim("two", share())
    assert again is not None
    assert (again.run_id, again.attempts) == ("only", 2)


def test_a_worker_that_leaves_gives_its_runs_back(queue: RunQueue) -> None:
    put(queue, "only")
    sign(queue, "one")
    assert claimed(queue, "one") == "only"
    queue.leave("one")
    assert queue.workers() == []
    assert [(entry.worker, entry.attempts) for entry in queue.entries()] == [("", 0)]
    assert claimed(queue, "two") == "only"


def test_a_machine_is_never_overcommitted_by_several_workers(queue: RunQueue) -> None:
    for number in range(4):
        put(queue, f"run{number}")
    for worker in ("one", "two"):
        sign(queue, worker)
    first, second = queue.claim("one", share()), queue.claim("two", share())
    assert first is not None
    assert second is not None
    assert {first.processors, second.processors} == {(0,), (1,)}
    assert queue.claim("one", share()) is None
    sign(queue, "far", host="elsewhere")
    assert claimed(queue, "far", host="elsewhere", count=2) is not None
    queue.remove(first.run_id)
    assert queue.claim("one", share(count=2)) is None
    assert queue.claim("one", share(memory_bytes=4)) is None
    assert queue.claim("one", share()) is not None


def test_runs_of_one_competition_can_be_limited(queue: RunQueue) -> None:
    put(queue, "a")
    put(queue, "b", after=1)
    put(queue, "c", slug="other", after=2)
    sign(queue, "one")
    wide = Share(host="here", count=1, processors=range(8), memory_bytes=1, host_memory_bytes=8)
    found = [queue.claim("one", wide, per_competition=1) for _ in range(3)]
    assert [claim and claim.run_id for claim in found] == ["a", "c", None]


def test_a_postponed_run_waits(queue: RunQueue, clock: Clock) -> None:
    put(queue, "only")
    queue.postpone("only", 60)
    assert claimed(queue) is None
    clock.pass_seconds(61)
    assert claimed(queue) == "only"
    queue.release("only", "one", was_tried=False, pause_seconds=30)
    assert claimed(queue) is None


@pytest.mark.parametrize("status", ["done", "failed", "cancelled"])
def test_a_run_leaves_the_queue_when_it_is_over(queue: RunQueue, status: RunStatus) -> None:
    put(queue, "only")
    put(queue, "only", status="running")
    assert [entry.run_id for entry in queue.entries()] == ["only"]
    put(queue, "only", status=status)
    assert queue.entries() == []


def test_a_lost_queue_is_made_again_from_the_run_folders(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home", runs_dir=tmp_path / "runs")
    for name, priority in (("waits", 0), ("urgent", 5)):
        folder = RunFolder.create(settings.runs_dir, f"{name}-20260102-030405-abcd")
        options = RunOptions(target="titanic", priority=priority)
        write_record(
            folder.record,
            Run(id=folder.id, slug="titanic", target="titanic", options=options, status="created", created="2026"),
        )
        leave_to_worker(folder, settings)
    settings.state.unlink()
    rebuild_state_store(settings.state, settings.runs_dir, print)
    with StateStore(settings.state) as store:
        assert [entry.run_id[:5] for entry in RunQueue(store).entries()] == ["urgen", "waits"]
    killed = msgspec.structs.replace(read_record(folder.record, Run), status="running")
    write_record(folder.record, killed)
    settings.state.unlink()
    rebuild_state_store(settings.state, settings.runs_dir, print)
    take_from_queue(RunFolder(settings.runs_dir / "waits-20260102-030405-abcd"), settings)
    with StateStore(settings.state) as store:
        assert [entry.run_id[:5] for entry in RunQueue(store).entries()] == ["urgen"]
