"""Rows of the state store; this file turns records into SQL statements and rows back into records.

It opens nothing: ``state_store.py`` runs the statements.
"""

from __future__ import annotations

import contextlib
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from autokaggle.errors import AutoKaggleError
from autokaggle.records.candidate import Candidate
from autokaggle.records.event import Event
from autokaggle.records.outcome import Metrics
from autokaggle.records.run import OVER, Run, RunStatus
from autokaggle.storage.artifacts import RunFolder
from autokaggle.storage.records_file import read_record

Statement = tuple[str, tuple[Any, ...]]


@dataclass(frozen=True)
class RunRow:
    """One run as the index knows it. ``score`` and its bounds are those of the published submission, if any."""

    id: str
    folder: Path
    slug: str
    target: str
    status: RunStatus
    created: str
    updated: str
    isolation: str | None
    metric: str | None
    greater_is_better: bool | None
    score: float | None
    score_low: float | None
    score_high: float | None
    cost_usd: float
    error: str
    candidates: int


def run_statements(run: Run, folder: RunFolder) -> list[Statement]:
    """Insert or update the run and its stages, with the score of its published submission if there is one."""
    metrics = None
    # The score is a convenience here: a run that has not published, or not readably, has none.
    with contextlib.suppress(OSError, AutoKaggleError):
        metrics = read_record(folder.metrics, Metrics)
    cv = metrics.cv if metrics else {}
    row = {
        "id": run.id,
        "folder": str(folder.path.absolute()),
        "slug": run.slug,
        "target": run.target,
        "status": run.status,
        "created": run.created,
        "updated": run.updated,
        "isolation": run.isolation and run.isolation.level,
        "metric": metrics and metrics.metric,
        "greater_is_better": metrics and metrics.greater_is_better,
        "score": cv.get("mean"),
        "score_low": cv.get("low"),
        "score_high": cv.get("high"),
        "cost_usd": run.cost_usd,
        "error": run.error,
    }
    stages = [
        (
            "INSERT INTO stages VALUES (?, ?, ?, ?, ?, ?, ?)",
            (run.id, position, stage.name, stage.status, stage.started, stage.seconds, stage.message),
        )
        for position, stage in enumerate(run.stages)
    ]
    forget = ("DELETE FROM stages WHERE run_id = ?", (run.id,))
    return [_upsert("runs", ("id",), row), forget, *stages, _queue_statement(run)]


def _queue_statement(run: Run) -> Statement:
    """Keep a run in the queue from the moment that it is left to a worker until its end, whoever holds it."""
    if run.status in OVER or not run.options.detach:
        return "DELETE FROM queue WHERE run_id = ?", (run.id,)
    return (
        "INSERT INTO queue (run_id, slug, priority, queued) VALUES (?, ?, ?, ?) ON CONFLICT (run_id) DO NOTHING",
        (run.id, run.slug, run.options.priority, run.updated or run.created),
    )


def candidate_statement(run_id: str, candidate: Candidate) -> Statement:
    """Insert or update one candidate."""
    score, proposal = candidate.score, candidate.proposal
    row = {
        "run_id": run_id,
        "id": candidate.id,
        "title": proposal.title,
        "family": proposal.family,
        "operator": proposal.operator,
        "parent": proposal.parent,
        "status": candidate.status,
        "reason": candidate.reason,
        "score": score and score.mean,
        "score_low": score and score.low,
        "score_high": score and score.high,
        "greater_is_better": score and score.greater_is_better,
        "seconds": candidate.seconds,
    }
    return _upsert("candidates", ("run_id", "id"), row)


def event_statement(run_id: str, event: Event) -> Statement:
    """Append one event."""
    fields = msgspec.json.encode(event.fields).decode()
    return (
        "INSERT INTO events (run_id, time, kind, message, fields) VALUES (?, ?, ?, ?, ?)",
        (run_id, event.time, event.kind, event.message, fields),
    )


def run_row(row: sqlite3.Row) -> RunRow:
    """Read one row of ``runs``, joined with its number of candidates."""
    values = dict(row)
    greater = values.pop("greater_is_better")
    return RunRow(
        folder=Path(values.pop("folder")), greater_is_better=None if greater is None else bool(greater), **values
    )


def event_of(row: sqlite3.Row) -> Event:
    """Read one row of ``events``."""
    return Event(time=row["time"], kind=row["kind"], message=row["message"], fields=msgspec.json.decode(row["fields"]))


def _upsert(table: str, key: tuple[str, ...], row: dict[str, Any]) -> Statement:
    # Not INSERT OR REPLACE: that deletes the old row first, and with it all rows that refer to it.
    changes = ", ".join(f"{name} = excluded.{name}" for name in row if name not in key)
    marks = ", ".join("?" * len(row))
    statement = f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks}) ON CONFLICT ({', '.join(key)})"
    return f"{statement} DO UPDATE SET {changes}", tuple(row.values())
