"""What a talk is about; this file holds the facts that the orchestrator gives to this room."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from autokaggle.records.candidate import Candidate
from autokaggle.records.competition import Competition
from autokaggle.records.data_profile import DataProfile
from autokaggle.records.plan import Plan
from autokaggle.records.run import RunOptions


@dataclass(frozen=True)
class Brief:
    """Everything that may be talked about.

    ``pages`` maps names to Markdown. ``metrics`` maps the known metrics to what they compare ("label", "value", ...),
    ``metric_problems`` those that cannot score this target to the reason. ``default_metric`` is the named default for
    the profile's task. ``gpu`` is the name of the GPU that may be used, "" for none. ``plan`` and ``candidates`` are
    those of a run that has begun to search.
    """

    competition: Competition
    profile: DataProfile
    options: RunOptions
    default_metric: str
    pages: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, str] = field(default_factory=dict)
    metric_problems: Mapping[str, str] = field(default_factory=dict)
    families: tuple[str, ...] = ()
    templates: tuple[str, ...] = ()
    cores: int = 1
    memory_bytes: int = 0
    gpu: str = ""
    plan: Plan | None = None
    candidates: tuple[Candidate, ...] = ()

    @property
    def has_results(self) -> bool:
        """Say whether scores exist that later ones must be comparable with."""
        return any(candidate.score is not None for candidate in self.candidates)

    @property
    def column_names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.profile.columns)
