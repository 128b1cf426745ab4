"""The stages of a run, in order; this table is the best place to start reading.

Each stage is a function of the run's context. It reads what earlier stages left in the run folder, leaves its own
record there, and may be run again: a stage that was interrupted starts over, a finished one is not repeated.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from autokaggle.orchestrator import candidate_search, publishing, reporting, understanding
from autokaggle.orchestrator.context import RunContext
from autokaggle.records.run import StageName


@dataclass(frozen=True)
class Stage:
    """One step of a run: ``carry_out`` returns one line for people on what came of it."""

    name: StageName
    title: str
    carry_out: Callable[[RunContext], str]


STAGES: tuple[Stage, ...] = (
    Stage("fetch", "Fetching the competition", understanding.fetch),
    Stage("profile", "Profiling the data", understanding.profile),
    Stage("discuss", "Deciding on a strategy", understanding.discuss),
    Stage("plan", "Planning", understanding.plan),
    Stage("search", "Searching for candidates", candidate_search.search),
    Stage("ensemble", "Combining the candidates", publishing.ensemble),
    Stage("submission", "Checking the submission", publishing.submission),
    Stage("report", "Writing the report", reporting.report),
)
