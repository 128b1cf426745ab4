"""What a person asked for and how far it came; this file holds the records of run.json."""

from __future__ import annotations

from typing import Any, Literal

from autokaggle.records.base import Record
from autokaggle.records.candidate import Score
from autokaggle.records.outcome import Ensemble, SentSubmission, SubmissionFacts
from autokaggle.records.plan import Plan
from autokaggle.records.sandbox import Isolation

StageName = Literal["fetch", "profile", "discuss", "plan", "search", "ensemble", "submission", "report"]
RunStatus = Literal["created", "queued", "running", "waiting", "done", "failed", "cancelled", "interrupted"]
OVER: tuple[RunStatus, ...] = ("done", "failed", "cancelled")


class RunOptions(Record, frozen=True, kw_only=True):
    """What the person asked for; one field per flag of ``autokaggle run``."""

    target: str
    time_budget_seconds: float = 600.0
    seed: int = 0
    model: str | None = None
    chat: bool = True
    answers: str | None = None
    schema_only: bool = False
    max_cost_usd: float | None = None
    model_family: str = "auto"
    gpu: Literal["auto", "on", "off"] = "auto"
    metric: str | None = None
    validation: str = "auto"
    target_columns: tuple[str, ...] = ()
    template: str = "auto"
    submit: bool = False
    message: str = ""
    skip_execution: bool = False
    cluster: str | None = None
    detach: bool = False
    priority: int = 0
    offline: bool = False
    max_candidates: int | None = None
    original: str | None = None
    folds: int | None = None
    memory_bytes: int | None = None
    disk_bytes: int | None = None
    processes: int | None = None
    allow_unsandboxed: bool = False
    assume_yes: bool = False


class StageRecord(Record, frozen=True, kw_only=True):
    """A stage that was begun: when, and once it ended, after how long and what came of it."""

    name: StageName
    status: Literal["running", "done", "failed"]
    started: str
    seconds: float = 0.0
    message: str = ""


class Earlier(Record, frozen=True, kw_only=True):
    """What a run had come to when `improve` went on with it.

    ``seconds_used`` are of the time budget that it had, ``sent`` the references of what was handed in by then.
    """

    ended: str
    time_budget_seconds: float
    seconds_used: float
    candidates: int
    score: Score | None = None
    submission: SubmissionFacts | None = None
    sent: tuple[int, ...] = ()


class Run(Record, frozen=True, kw_only=True):
    """One run; an improved one has the time budget of its last part, and what it was before in ``earlier``."""

    version: int = 1
    id: str
    slug: str
    target: str
    options: RunOptions
    status: RunStatus
    created: str
    updated: str = ""
    seed: int = 0
    host: dict[str, Any] = {}
    isolation: Isolation | None = None
    stages: tuple[StageRecord, ...] = ()
    plan: Plan | None = None
    ensemble: Ensemble | None = None
    data_sha256: str = ""
    lock_sha256: str = ""
    python: str = ""
    budget_seconds_used: float = 0.0
    earlier: tuple[Earlier, ...] = ()
    sent: tuple[SentSubmission, ...] = ()
    cost_usd: float = 0.0
    error: str = ""

    @property
    def own_sent(self) -> tuple[SentSubmission, ...]:
        """What was handed in of the run as it is now, the latest last; not what it was before it was improved."""
        before = self.earlier[-1].sent if self.earlier else ()
        return tuple(sent for sent in self.sent if sent.ref not in before)
