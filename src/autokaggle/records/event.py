"""What is told along the way; this file holds the lines of logs/events.jsonl, progress, and findings of `doctor`."""

from __future__ import annotations

from typing import Any, Literal

from autokaggle.records.base import Record


class Event(Record, frozen=True, kw_only=True):
    """One line of logs/events.jsonl; ``fields`` depends on ``kind`` (docs/run-folder.md lists them)."""

    time: str
    kind: str
    message: str = ""
    fields: dict[str, Any] = {}


class Finding(Record, frozen=True):
    """One line of `doctor`; ``next_step`` says what to do about a warning or a failure."""

    name: str
    status: Literal["ok", "warn", "fail"]
    detail: str
    next_step: str = ""


class Progress(Record, frozen=True, kw_only=True):
    """How far a longer step is; ``total`` is None while unknown."""

    text: str
    done: float = 0.0
    total: float | None = None
    unit: str = ""
