"""The built-in proposals; this file lists configurations in the order in which they should be tried.

First the quickest sane baseline, so that something can be handed in at once; then what adds most to an ensemble per
second. It measures nothing: expected seconds are rough and meant for planning only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from autokaggle.records import DataProfile, Plan, Proposal

BASE_REQUIREMENTS = (
    "joblib>=1.4",
    "lightgbm>=4.6",
    "numpy>=2.0",
    "pandas>=2.3",
    "pyarrow>=20",
    "pyyaml>=6.0",
    "scikit-learn>=1.7",
)
# Imports, reading tables, making features of a small table.
START_SECONDS = 1.5


@dataclass(frozen=True)
class _Entry:
    """One configuration; ``cost`` is its training time as a multiple of slow LightGBM's."""

    title: str
    family: str
    cost: float
    hypothesis: str
    parameters: dict[str, Any] = field(default_factory=dict)
    features: dict[str, Any] = field(default_factory=dict)
    requirements: tuple[str, ...] = ()


ENTRIES = (
    _Entry(
        "LightGBM, quick",
        "lightgbm",
        0.15,
        "A few quick trees show that the whole path works and give a first score.",
        {"learning_rate": 0.1, "rounds": 300, "patience": 30, "feature_fraction": 0.6},
    ),
    _Entry(
        "LightGBM, slow and narrow",
        "lightgbm",
        1.0,
        "Many small steps, few leaves, and a part of the columns for each tree: the best single model per second.",
    ),
)


def propose(plan: Plan, profile: DataProfile) -> Iterator[Proposal]:
    """Yield proposals in the order in which they should run; only the families that the plan asks for, if it does."""
    for entry in ENTRIES:
        if plan.families and entry.family not in plan.families:
            continue
        config: dict[str, Any] = {"model": {"parameters": entry.parameters}}
        if entry.features:
            config["features"] = entry.features
        yield Proposal(
            title=entry.title,
            family=entry.family,
            hypothesis=entry.hypothesis,
            config=config,
            requirements=(*BASE_REQUIREMENTS, *entry.requirements),
            expected_seconds=START_SECONDS + entry.cost * slow_boosting_seconds(plan, profile),
        )


def slow_boosting_seconds(plan: Plan, profile: DataProfile) -> float:
    """Estimate the seconds of slow LightGBM over all folds on two cores."""
    classes = sum(len(labels) if len(labels) > 2 else 1 for labels in plan.classes.values())
    models = max(classes, len(plan.target_columns)) * plan.validation.folds * plan.validation.repeats
    features = max(1, len(profile.columns))
    return models * (0.1 + 2.5e-6 * profile.train_rows * features)
