"""The built-in proposals for text; this file lists them in the order in which they should be tried."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from autokaggle.records import DataProfile, Plan, Proposal
from autokaggle.skills.pipeline.portfolio import BASE_REQUIREMENTS

REQUIREMENTS = (*BASE_REQUIREMENTS, "scipy>=1.11", "threadpoolctl>=3")
# Starting Python and scikit-learn; counting words and parts of words, and summing them up as topics.
START_SECONDS = 3.0
SECONDS_PER_TEXT = {"words": 6e-4, "topics": 1.5e-3, "none": 0.0}
LARGEST_SHARE = 0.4


@dataclass(frozen=True)
class Entry:
    """One configuration.

    ``documents`` is what its model sees of texts, ``cost`` its seconds per fit and 10,000 rows.
    """

    title: str
    family: str
    documents: str
    cost: float
    hypothesis: str
    parameters: dict[str, Any] = field(default_factory=dict)
    target_encode: str = "keys"
    only_classes: bool = False


ENTRIES = (
    Entry(
        "Words, linear",
        "linear",
        "words",
        1.5,
        "Which words occur says most, and a straight line through many words is hard to beat when texts are few.",
    ),
    Entry(
        "Words, naive Bayes and linear",
        "linear",
        "words",
        1.5,
        "Words that tell classes apart by themselves count more.",
        {"naive_bayes": True, "C": 1.0},
        only_classes=True,
    ),
    Entry(
        "Topics, LightGBM",
        "lightgbm",
        "topics",
        8.0,
        "Trees join topics, lengths and the other columns.",
        {"learning_rate": 0.05, "num_leaves": 15, "feature_fraction": 0.3, "rounds": 600, "patience": 50},
        "all",
    ),
    Entry(
        "Words, linear, strong penalty",
        "linear",
        "words",
        1.0,
        "A strong penalty trusts the common words alone.",
        {"C": 1.0, "alpha": 4.0},
    ),
    Entry(
        "Topics, extra trees",
        "extra_trees",
        "topics",
        5.0,
        "Trees that are grown alone err otherwise than trees that correct each other.",
        {"rounds": 200},
        "all",
    ),
    Entry(
        "Words, linear, weak penalty",
        "linear",
        "words",
        2.5,
        "A weak penalty lets rare words speak.",
        {"C": 15.0, "alpha": 0.3},
    ),
    Entry(
        "Columns alone, LightGBM",
        "lightgbm",
        "none",
        2.0,
        "What is left without the words: the other columns.",
        {"learning_rate": 0.05, "rounds": 600, "patience": 50},
        "all",
    ),
    Entry(
        "Topics, LightGBM, eight leaves",
        "lightgbm",
        "topics",
        8.0,
        "Shallow trees on few columns each: less learned by heart.",
        {"learning_rate": 0.04, "num_leaves": 8, "feature_fraction": 0.2, "rounds": 800, "patience": 60},
    ),
)


def propose(plan: Plan, profile: DataProfile) -> Iterator[Proposal]:
    """Yield proposals in the order in which they should run, of the families that the plan asks for if it does."""
    for position, entry in enumerate(ENTRIES):
        if plan.families and entry.family not in plan.families:
            continue
        if entry.only_classes and (not plan.classes or plan.task_type == "ordinal"):
            continue
        config = {
            "model": {"parameters": entry.parameters},
            "features": {"documents": entry.documents, "target_encode": entry.target_encode},
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
    rows = profile.train_rows + profile.test_rows
    texts = max(1, sum(column.kind == "text" for column in profile.columns))
    counting = SECONDS_PER_TEXT[entry.documents] * rows * texts
    per_class = sum(len(labels) if len(labels) > 2 else 1 for labels in plan.classes.values())
    boosters = max(len(plan.target_columns), per_class if plan.task_type == "multiclass_classification" else 0)
    fits = boosters * plan.validation.folds * plan.validation.repeats
    training = entry.cost * fits * profile.train_rows / 10_000 / 2
    return START_SECONDS + counting + min(training, LARGEST_SHARE * plan.time_budget_seconds)
