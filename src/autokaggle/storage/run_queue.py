"""Runs that wait for a worker; this file hands each to one worker at a time, by leases that a dead worker lets run out.

A run gets into the queue and leaves it with its record (``state_rows.py``), so the queue too can be made again from run
folders. Nothing here starts or ends a process.
"""

from __future__ import annotations

import datetime as dt
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autokaggle.storage.state_store import StateStore

LEASE_SECONDS = 30.0
# Waiting so long counts as much as one step of priority: nothing waits for ever behind what is more urgent.
SECONDS_PER_PRIORITY = 600.0

ORDER = "priority + (julianday(:now) - julianday(queued)) * 86400.0 / :aging DESC, queued, run_id"


@dataclass(frozen=True, kw_only=True)
class Share:
    """What one run gets of a machine: ``processors`` of those it has in all, and a part of its memory."""

    host: str
    count: int
    processors: Sequence[int]
    memory_bytes: int
    host_memory_bytes: int


@dataclass(frozen=True)
class Claim:
    """A run that now belongs to one worker, on these processors. ``attempts`` counts this one."""

    run_id: str
    folder: Path
    attempts: int
    processors: tuple[int, ...]


@dataclass(frozen=True)
class Entry:
    """One run in the queue; ``worker`` is "" while it waits."""

    run_id: str
    folder: Path
    slug: str
    priority: int
    queued: str
    worker: str
    attempts: int


@dataclass(frozen=True)
class WorkerRow:
    """A worker that is there: its process on its host, the runs that it carries out at once, and since when."""

    id: str
    host: str
    pid: int
    slots: int
    started: str


def _utc_now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


@dataclass(frozen=True)
class RunQueue:
    """The queue in an open state store; ``clock`` is what leases are measured by."""

    store: StateStore
    clock: Callable[[], dt.datetime] = field(default=_utc_now)

    def claim(self, worker: str, share: Share, per_competition: int | None = None) -> Claim | None:
        """Take the most urgent run that is free; None when there is none, or this machine has no room for it.

        ``per_competition`` is how many runs of one competition may be held at once, by whomever.
        """
        now = self._moment()
        facts = {"now": now, "most": per_competition, "aging": SECONDS_PER_PRIORITY}
        with self.store.transaction() as execute:
            chosen = _pick_processors(execute, share, now)
            if chosen is None:
                return None
            free = execute(
                "SELECT run_id, runs.folder, attempts FROM queue JOIN runs ON runs.id = run_id"
                " WHERE (worker IS NULL OR lease_until < :now) AND not_before <= :now"
                " AND (:most IS NULL OR :most > (SELECT count(*) FROM queue AS held"
                "   WHERE held.slug = queue.slug AND held.worker IS NOT NULL AND held.lease_until >= :now))"
                f" ORDER BY {ORDER} LIMIT 1",
                facts,
            )
            if not free:
                return None
            run_id, folder, attempts = free[0]
            listed = ",".join(map(str, chosen))
            execute(
                "UPDATE queue SET worker = ?, lease_until = ?, attempts = attempts + 1, processors = ?,"
                " memory_bytes = ? WHERE run_id = ?",
                (worker, self._moment(LEASE_SECONDS), listed, share.memory_bytes, run_id),
            )
        return Claim(run_id, Path(folder), attempts + 1, chosen)

    def sign(self, worker: WorkerRow) -> None:
        """Give a sign of life: the worker is alive, and holds what it holds for another lease."""
        until = self._moment(LEASE_SECONDS)
        with self.store.transaction() as execute:
            execute(
                "INSERT INTO workers VALUES (?, ?, ?, ?, ?, ?)"
                " ON CONFLICT (id) DO UPDATE SET alive_until = excluded.alive_until",
                (worker.id, worker.host, worker.pid, worker.slots, worker.started, until),
            )
            execute("UPDATE queue SET lease_until = ? WHERE worker = ?", (until, worker.id))
            execute("DELETE FROM workers WHERE alive_until < ?", (self._moment(-LEASE_SECONDS),))

    def leave(self, worker: str) -> None:
        """Take a worker off the list, and put what it holds back to its place in the queue."""
        with self.store.transaction() as execute:
            execute(
                "UPDATE queue SET worker = NULL, lease_until = NULL, attempts = attempts - 1 WHERE worker = ?",
                (worker,),
            )
            execute("DELETE FROM workers WHERE id = ?", (worker,))

    def release(self, run_id: str, worker: str, *, was_tried: bool = True, pause_seconds: float = 0.0) -> None:
        """Put a run back to its place in the queue, to be left alone for ``pause_seconds``."""
        self.store.execute(
            "UPDATE queue SET worker = NULL, lease_until = NULL, attempts = attempts - ?,"
            " not_before = max(not_before, ?) WHERE run_id = ? AND worker = ?",
            (0 if was_tried else 1, self._moment(pause_seconds), run_id, worker),
        )

    def postpone(self, run_id: str, seconds: float) -> None:
        """Keep workers from taking a run for so long; whoever holds it keeps it."""
        self.store.execute("UPDATE queue SET not_before = ? WHERE run_id = ?", (self._moment(seconds), run_id))

    def remove(self, run_id: str) -> None:
        """Take a run out of the queue."""
        self.store.execute("DELETE FROM queue WHERE run_id = ?", (run_id,))

    def entries(self) -> list[Entry]:
        """Return all runs in the queue: those at work first, then those that wait, in the order of their turn."""
        found = self.store.execute(
            "SELECT run_id, runs.folder, queue.slug, priority, queued,"
            " CASE WHEN lease_until >= :now THEN coalesce(worker, '') ELSE '' END AS worker, attempts"
            f" FROM queue JOIN runs ON runs.id = run_id ORDER BY worker = '', {ORDER}",
            {"now": self._moment(), "aging": SECONDS_PER_PRIORITY},
        )
        return [Entry(**{**dict(row), "folder": Path(row["folder"])}) for row in found]

    def workers(self) -> list[WorkerRow]:
        """Return the workers that gave a sign of life within the last lease."""
        query = "SELECT id, host, pid, slots, started FROM workers WHERE alive_until >= ? ORDER BY started"
        return [WorkerRow(**dict(row)) for row in self.store.execute(query, (self._moment(),))]

    def _moment(self, later_seconds: float = 0.0) -> str:
        moment = self.clock() + dt.timedelta(seconds=later_seconds)
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _pick_processors(execute: Callable[..., list[sqlite3.Row]], share: Share, now: str) -> tuple[int, ...] | None:
    """Choose processors that no run of this machine holds; None when too few, or too little memory, are left."""
    held: list[Any] = execute(
        "SELECT processors, memory_bytes FROM queue JOIN workers ON workers.id = worker"
        " WHERE host = ? AND lease_until >= ?",
        (share.host, now),
    )
    taken = {int(number) for row in held for number in row["processors"].split(",") if number}
    left = [number for number in share.processors if number not in taken]
    memory = sum(row["memory_bytes"] for row in held) + share.memory_bytes
    if len(left) < share.count or memory > share.host_memory_bytes:
        return None
    return tuple(left[: share.count])
