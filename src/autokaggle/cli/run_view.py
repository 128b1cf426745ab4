"""What is to be seen of a run; this file folds its events into one picture that screen and `status` draw.

The same events give the same picture, whether they come from the run itself or from its events.jsonl.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from autokaggle.cli.text import epoch, harmless, reason
from autokaggle.records.event import Event
from autokaggle.records.run import OVER, Run, StageName

STAGES: tuple[str, ...] = get_args(StageName)
CUT_SHORT = ("running", "interrupted")
ENDED = (*OVER, "interrupted")
Mark = Literal["waiting", "running", "done", "failed"]


@dataclass
class StageView:
    name: str
    mark: Mark = "waiting"
    started: float | None = None
    seconds: float | None = None
    message: str = ""


@dataclass
class CandidateView:
    """One candidate; ``status`` is "running" until its end is told, "interrupted" when the run ended before."""

    id: str
    title: str = ""
    status: str = "running"
    started: float | None = None
    expected_seconds: float | None = None
    seconds: float | None = None
    score: float | None = None
    reason: str = ""
    parent: str = ""
    operator: str = ""
    low: float | None = None
    high: float | None = None
    verdict: str = ""


@dataclass
class Best:
    """What would be handed in now: a candidate, the ensemble, or the best constant answer."""

    candidate: str
    metric: str
    greater_is_better: bool | None
    score: float
    low: float | None
    high: float | None


@dataclass
class RunView:
    """The picture; times are seconds since 1970, taken from the events."""

    run_id: str = ""
    isolation: str = ""
    backend: str = ""
    status: str = "created"
    started: float | None = None
    finished: float | None = None
    last_told: float | None = None
    budget_seconds: float | None = None
    budget_left: tuple[float, float] | None = None
    stages: dict[str, StageView] = field(default_factory=lambda: {name: StageView(name) for name in STAGES})
    candidates: dict[str, CandidateView] = field(default_factory=dict)
    best: Best | None = None
    progress: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    cost_usd: float | None = None

    def apply(self, event: Event) -> None:
        """Take one event in; a kind that is not known changes nothing."""
        moment = epoch(event.time)
        self.last_told = moment or self.last_told
        change = getattr(self, f"_on_{event.kind}", None)
        if change is not None:
            change(event, event.fields, moment)

    def apply_all(self, events: Iterable[Event]) -> RunView:
        for event in events:
            self.apply(event)
        return self

    def correct(self, run: Run) -> None:
        """Take in the run's record, which knows what no event tells: that the run was killed, and the budget used."""
        self.run_id = run.id
        self.budget_seconds = run.options.time_budget_seconds
        if run.isolation is not None:
            self.isolation, self.backend = run.isolation.level, run.isolation.backend
        updated = epoch(run.updated)
        if updated is not None and run.budget_seconds_used:
            self.budget_left = (max(0.0, self.budget_seconds - run.budget_seconds_used), updated)
        if run.cost_usd:
            self.cost_usd = run.cost_usd
        self.status = run.status
        if run.status in ENDED and self.finished is None:
            self._end(max(updated or 0.0, self.last_told or 0.0) or None)

    def tree(self, most: int) -> list[tuple[int, CandidateView]]:
        """Return the last ``most`` candidates, each below the one that it changes, with how deep it stands there."""
        shown = dict(list(self.candidates.items())[-most:])
        children: dict[str, list[CandidateView]] = {}
        for one in shown.values():
            children.setdefault(one.parent if one.parent in shown and one.parent != one.id else "", []).append(one)
        found: list[tuple[int, CandidateView]] = []
        waiting = [(0, one) for one in reversed(children.pop("", []))]
        while waiting:
            depth, one = waiting.pop()
            found.append((depth, one))
            waiting += [(depth + 1, child) for child in reversed(children.pop(one.id, []))]
        return found

    def elapsed(self, now: float) -> float:
        """Seconds since this process of the run began, until its end."""
        return max(0.0, (self.finished or now) - self.started) if self.started is not None else 0.0

    def left(self, now: float) -> float | None:
        """Seconds of the time budget that are left; None before it was told."""
        if self.budget_left is None:
            return None
        seconds, moment = self.budget_left
        return max(0.0, seconds - max(0.0, (self.finished or now) - moment))

    # Each of these takes in the events of the kind in its name.

    def _on_run_started(self, event: Event, fields: dict[str, Any], moment: float | None) -> None:
        self.run_id = harmless(str(fields.get("run_id", "")))
        self.isolation = harmless(str(fields.get("isolation", "")))
        self.backend = harmless(str(fields.get("backend", "")))
        self.budget_seconds = fields.get("budget_seconds")
        self.status, self.started, self.finished = "running", moment, None
        if self.budget_left is not None and moment is not None:
            # A resumed run has what the process before it left; nothing ran down in between.
            self.budget_left = (self.budget_left[0], moment)
        # A resumed run starts the stage that was cut short over again.
        for stage in self.stages.values():
            if stage.mark in ("running", "failed"):
                self.stages[stage.name] = StageView(stage.name)
        self.candidates = {known: one for known, one in self.candidates.items() if one.status not in CUT_SHORT}

    def _on_stage_started(self, event: Event, fields: dict[str, Any], moment: float | None) -> None:
        name = str(fields.get("stage", ""))
        self.stages[name] = StageView(name, "running", moment)
        self.progress = {}

    def _on_run_improved(self, event: Event, fields: dict[str, Any], moment: float | None) -> None:
        """A finished run goes on at the search, with a time budget of its own."""
        self.status, self.budget_seconds = "interrupted", fields.get("budget_seconds")
        self.budget_left = (float(self.budget_seconds or 0.0), moment) if moment is not None else None
        for name in STAGES[STAGES.index("search") :]:
            self.stages[name] = StageView(name)

    def _on_stage_finished(self, event: Event, fields: dict[str, Any], moment: float | None) -> None:
        stage = self.stages.setdefault(str(fields.get("stage", "")), StageView(str(fields.get("stage", ""))))
        stage.mark, stage.seconds, stage.message = "done", fields.get("seconds"), harmless(event.message)
        if stage.name == "fetch" and self.budget_seconds is not None and moment is not None:
            # The time budget starts when the download ends.
            self.budget_left = (self.budget_seconds, moment)
        self.progress = {}

    def _on_progress(self, event: Event, fields: dict[str, Any], moment: float | None) -> None:
        self.progress = {**fields, "text": harmless(str(fields.get("text", "")))}

    def _on_budget(self, event: Event, fields: dict[str, Any], moment: float | None) -> None:
        if moment is not None and "left_seconds" in fields:
            self.budget_left = (float(fields["left_seconds"]), moment)

    def _on_candidate_started(self, event: Event, fields: dict[str, Any], moment: float | None) -> None:
        name = harmless(str(fields.get("candidate", "")))
        title = harmless(str(fields.get("title", "")))
        self.candidates[name] = CandidateView(
            name,
            title,
            "running",
            moment,
            fields.get("expected_seconds"),
            parent=harmless(str(fields.get("parent") or "")),
            operator=harmless(str(fields.get("operator") or "")),
        )

    def _on_candidate_finished(self, event: Event, fields: dict[str, Any], moment: float | None) -> None:
        name = harmless(str(fields.get("candidate", "")))
        candidate = self.candidates.setdefault(name, CandidateView(name))
        candidate.status = harmless(str(fields.get("status", "")))
        candidate.seconds, candidate.score = fields.get("seconds"), fields.get("score")
        candidate.low, candidate.high = fields.get("low"), fields.get("high")
        candidate.reason = reason(fields.get("reason"))
        candidate.verdict = harmless(str(fields.get("verdict") or ""))
        self.progress = {}

    def _on_best_changed(self, event: Event, fields: dict[str, Any], moment: float | None) -> None:
        self.best = Best(
            candidate=harmless(str(fields.get("candidate", ""))),
            metric=harmless(str(fields.get("metric", ""))),
            greater_is_better=fields.get("greater_is_better"),
            score=float(fields["score"]),
            low=fields.get("low"),
            high=fields.get("high"),
        )

    def _on_model_called(self, event: Event, fields: dict[str, Any], moment: float | None) -> None:
        self.cost_usd = (self.cost_usd or 0.0) + float(fields.get("cost_usd") or 0.0)

    def _on_warning(self, event: Event, fields: dict[str, Any], moment: float | None) -> None:
        self.warnings.append(harmless(event.message))

    def _on_run_finished(self, event: Event, fields: dict[str, Any], moment: float | None) -> None:
        self.status = harmless(str(fields.get("status", "")))
        self._end(moment)

    def _end(self, moment: float | None) -> None:
        self.finished = moment
        for candidate in self.candidates.values():
            if candidate.status == "running":
                candidate.status = "interrupted"
        for stage in self.stages.values():
            if stage.mark == "running":
                stage.mark = "failed"
