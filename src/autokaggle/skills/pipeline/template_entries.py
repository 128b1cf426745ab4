"""What the portfolios of text, images and forecasts have in common; this file makes proposals of their entries."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from autokaggle.records.candidate import Proposal
from autokaggle.records.plan import Plan
from autokaggle.skills.pipeline.candidate_config import merge

# Fits run side by side, one thread each.
FITS_AT_ONCE = 2


@dataclass(frozen=True)
class TemplateEntry:
    """One configuration.

    ``cost`` is for the portfolio's own estimate of seconds, ``features`` and ``settings`` go into its ``config.yaml``,
    ``requirements`` are those that no other entry needs.
    """

    title: str
    family: str
    cost: float
    hypothesis: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    features: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    requirements: tuple[str, ...] = ()


@dataclass(frozen=True)
class Estimate:
    """Wall-clock seconds on two cores: to read and prepare rows, and to train."""

    preparing: float
    training: float


def proposals(
    entries: Iterable[TemplateEntry],
    plan: Plan,
    requirements: tuple[str, ...],
    largest_share: float,
    estimate: Callable[[TemplateEntry], Estimate],
) -> Iterator[Proposal]:
    """Yield proposals in the order of the entries, of the families that the plan asks for if it does.

    All fits of one together may take ``largest_share`` of the time budget.
    """
    most_seconds = largest_share * plan.time_budget_seconds
    for position, entry in enumerate(entries):
        if plan.families and entry.family not in plan.families:
            continue
        seconds = estimate(entry)
        base = {
            "model": {"parameters": dict(entry.parameters)},
            "features": dict(entry.features),
            "seed": plan.seed + position,
            "most_seconds": round(most_seconds, 1),
        }
        yield Proposal(
            title=entry.title,
            family=entry.family,
            hypothesis=entry.hypothesis,
            config=merge(base, entry.settings),
            requirements=(*requirements, *entry.requirements),
            expected_seconds=round(seconds.preparing + min(seconds.training, most_seconds), 1),
        )


def fits(plan: Plan) -> int:
    """Return how many boosters' worth of fits a candidate takes: of each target, or of each of many classes."""
    boosters = len(plan.target_columns)
    if plan.task_type == "multiclass_classification":
        boosters = sum(len(labels) if len(labels) > 2 else 1 for labels in plan.classes.values())
    return boosters * plan.validation.folds * plan.validation.repeats
