"""The built-in proposals; this file lists configurations in the order in which they should be tried.

First the quickest sane baseline, so that something can be handed in at once; then what adds most to an ensemble per
second. It measures nothing: expected seconds are rough, and a run corrects them by what it sees.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from autokaggle.records import DataProfile, Plan, Proposal, Search
from autokaggle.skills.pipeline.proposals import untried

BASE_REQUIREMENTS = (
    "joblib>=1.4",
    "lightgbm>=4.6",
    "numpy>=2.0",
    "pandas>=2.3",
    "pyarrow>=20",
    "pyyaml>=6.0",
    "scikit-learn>=1.7",
)
XGBOOST = "xgboost-cpu>=3.0"
CATBOOST = "catboost>=1.2.7"

# Starting Python, reading tables, making features of a small table; scikit-learn takes longer to import.
START_SECONDS = 1.5
SCIKIT_LEARN_SECONDS = 1.3
# One model of slow LightGBM with one thread: for itself, and for each cell of the table.
SECONDS_PER_MODEL = 0.1
SECONDS_PER_CELL = 5e-6
# No candidate may take more than its share of the budget, the first one less: something must come after it.
FIRST_SHARE = 0.2
LARGEST_SHARE = 0.4
# Fits run side by side, one thread each.
FITS_AT_ONCE = 2


@dataclass(frozen=True)
class Entry:
    """One configuration; ``cost`` is its training time as a multiple of slow LightGBM's.

    With ``encode_all`` the model is told a category's mean target too. One that has ``requirements`` needs more than
    the base environment: it is proposed only when its family was asked for.
    """

    title: str
    family: str
    cost: float
    hypothesis: str
    parameters: dict[str, Any] = field(default_factory=dict)
    encode_all: bool = False
    requirements: tuple[str, ...] = ()
    seed_offset: int = 0


SLOW = "LightGBM, slow and narrow"
EXTRA_TREES = {
    "extra_trees": True,
    "learning_rate": 0.04,
    "num_leaves": 40,
    "feature_fraction": 0.6,
    "min_data_in_leaf": 10,
    "lambda_l2": 1.0,
}
STUMPY = {
    "learning_rate": 0.04,
    "num_leaves": 8,
    "feature_fraction": 0.25,
    "min_data_in_leaf": 20,
    "lambda_l2": 5.0,
}
PLAIN = {
    "learning_rate": 0.05,
    "num_leaves": 31,
    "feature_fraction": 1.0,
    "bagging_fraction": 1.0,
    "bagging_freq": 0,
    "min_data_in_leaf": 20,
    "lambda_l2": 0.0,
    "patience": 50,
}

ENTRIES = (
    Entry(
        "LightGBM, quick",
        "lightgbm",
        0.2,
        "A few quick trees show that the whole path works and give a first score.",
        {"learning_rate": 0.1, "rounds": 300, "patience": 30, "feature_fraction": 0.6},
    ),
    Entry(
        SLOW,
        "lightgbm",
        1.2,
        "Many small steps, few leaves and a part of the columns for each tree; a category's mean target says at once "
        "what splits would have to find.",
        encode_all=True,
    ),
    Entry(
        "Linear",
        "linear",
        0.1,
        "A straight line errs elsewhere than trees do, and costs next to nothing.",
    ),
    Entry(
        "LightGBM, eight leaves",
        "lightgbm",
        0.8,
        "Shallower trees on fewer columns each: less interaction, less noise.",
        STUMPY,
    ),
    Entry(
        "LightGBM, plain",
        "lightgbm",
        0.6,
        "All rows and all columns for each tree, larger steps: good where there are many rows.",
        PLAIN,
    ),
    Entry(
        "LightGBM, random cuts",
        "lightgbm",
        1.0,
        "Cuts at random places make trees that differ more, and smoother predictions.",
        EXTRA_TREES,
    ),
    Entry(
        SLOW,
        "lightgbm",
        1.0,
        "The best single model per second where categories are few.",
    ),
    Entry(
        "XGBoost, slow",
        "xgboost",
        1.5,
        "Another boosting library grows other trees from the same data.",
        requirements=(XGBOOST,),
    ),
    Entry(
        "CatBoost",
        "catboost",
        6.0,
        "Symmetric trees and ordered encoding of categories: often the best single model, and the dearest.",
        requirements=(CATBOOST,),
    ),
    Entry(
        "XGBoost, shallow",
        "xgboost",
        1.5,
        "Three levels and a third of the columns: less interaction, less noise.",
        {"eta": 0.04, "max_depth": 3, "colsample_bytree": 0.3},
        requirements=(XGBOOST,),
    ),
    Entry(
        "Extra trees",
        "extra_trees",
        1.3,
        "Trees that are grown alone and averaged err otherwise than trees that correct each other.",
        {"rounds": 150},
        encode_all=True,
    ),
    Entry(
        "Linear",
        "linear",
        0.1,
        "Many levels in few columns suit a linear model when data are few.",
        encode_all=True,
    ),
    Entry(
        f"{SLOW}, another seed",
        "lightgbm",
        1.2,
        "The same model with other random choices: the mean of two is steadier than either.",
        encode_all=True,
        seed_offset=1,
    ),
    Entry(
        "LightGBM, eight leaves, another seed",
        "lightgbm",
        0.9,
        "Shallow trees profit most from what is told at once.",
        STUMPY,
        encode_all=True,
        seed_offset=2,
    ),
    Entry(
        "LightGBM, random cuts, another seed",
        "lightgbm",
        1.2,
        "Random cuts seldom find a category's few good levels by themselves.",
        EXTRA_TREES,
        encode_all=True,
        seed_offset=3,
    ),
)
FAMILIES = tuple(dict.fromkeys(entry.family for entry in ENTRIES))


def next_proposal(search: Search) -> Proposal | None:
    """Return what should be tried next, None when all was."""
    return next(untried(propose(search.plan, search.profile), search), None)


def requirements(plan: Plan, profile: DataProfile) -> tuple[str, ...]:
    """Return what all proposals for this plan need, each once."""
    needed = (line for proposal in propose(plan, profile) for line in proposal.requirements)
    return tuple(dict.fromkeys(needed))


def propose(plan: Plan, profile: DataProfile) -> Iterator[Proposal]:
    """Yield proposals in the order in which they should run, of the families that the plan asks for if it does."""
    tried: list[tuple[object, ...]] = []
    for entry in ENTRIES:
        wanted = entry.family in plan.families or not (plan.families or entry.requirements)
        encode_all = entry.encode_all and _has_categories(profile)
        if wanted and (configuration := (entry.family, entry.parameters, encode_all, entry.seed_offset)) not in tried:
            tried.append(configuration)
            share = LARGEST_SHARE if len(tried) > 1 else FIRST_SHARE
            yield _proposal(entry, encode_all, plan, profile, share * plan.time_budget_seconds)


def expected_seconds(entry: Entry, plan: Plan, profile: DataProfile) -> float:
    """Estimate the wall-clock seconds of a candidate on two cores, from rows, columns, classes and folds."""
    boosters = len(plan.target_columns)
    if plan.task_type == "multiclass_classification":
        boosters = sum(len(labels) if len(labels) > 2 else 1 for labels in plan.classes.values())
    models = boosters * plan.validation.folds * plan.validation.repeats
    cells = profile.train_rows * sum(column.in_train and column.in_test for column in profile.columns)
    training = entry.cost * models * (SECONDS_PER_MODEL + SECONDS_PER_CELL * cells) / FITS_AT_ONCE
    imports = START_SECONDS + (SCIKIT_LEARN_SECONDS if entry.family in ("linear", "extra_trees") else 0.0)
    return imports + training


def proposal(entry: Entry, plan: Plan, profile: DataProfile) -> Proposal:
    """Make a proposal of one entry, of whatever family, that keeps to its share of the budget."""
    encode_all = entry.encode_all and _has_categories(profile)
    return _proposal(entry, encode_all, plan, profile, LARGEST_SHARE * plan.time_budget_seconds)


def _has_categories(profile: DataProfile) -> bool:
    """Say whether any column might be told by the target: else such a configuration is one without."""
    return any(column.type == "VARCHAR" and column.in_train and column.in_test for column in profile.columns)


def _proposal(entry: Entry, encode_all: bool, plan: Plan, profile: DataProfile, most_seconds: float) -> Proposal:
    config: dict[str, Any] = {
        "model": {"parameters": entry.parameters},
        "seed": plan.seed + entry.seed_offset,
        "most_seconds": round(most_seconds, 1),
    }
    if encode_all:
        config["features"] = {"target_encode": "all"}
    return Proposal(
        title=f"{entry.title}, categories told by the target" if encode_all else entry.title,
        family=entry.family,
        hypothesis=entry.hypothesis,
        config=config,
        requirements=(*BASE_REQUIREMENTS, *entry.requirements),
        expected_seconds=round(min(expected_seconds(entry, plan, profile), START_SECONDS + most_seconds), 1),
    )
