"""Behind which walls scripts run; this file holds the records of an isolation and of a step that ended."""

from __future__ import annotations

from typing import Literal

from autokaggle.records.base import Record

IsolationLevel = Literal["strong", "partial", "none"]


class StepResult(Record, frozen=True, kw_only=True):
    """One script that ran in the sandbox. ``limit`` names the limit that ended it, None when none did."""

    script: str
    exit_code: int | None
    limit: Literal["wall", "cpu", "memory", "disk", "inodes", "log", "processes", "cancelled"] | None = None
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_memory_bytes: int = 0
    written_bytes: int = 0


class Isolation(Record, frozen=True, kw_only=True):
    """What the probe found: the level in force, the backend's name, and why not a higher level."""

    level: IsolationLevel
    backend: str
    reason: str = ""
