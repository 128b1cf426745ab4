"""The built-in proposals for forecasts; this file lists them in the order in which they should be tried."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from autokaggle.records import DataProfile, Plan, Proposal
from autokaggle.skills.pipeline.objective import choose_objective
from autokaggle.skills.pipeline.portfolio import BASE_REQUIREMENTS

HOLIDAYS = "holidays>=0.45"
REQUIREMENTS = (*BASE_REQUIREMENTS, HOLIDAYS)
# Reading, and looking back from every row of every fold three times.
START_SECONDS = 3.0
SECONDS_PER_ROW = 1.2e-5
SECONDS_PER_CELL = 4e-7
LARGEST_SHARE = 0.35

SMALL_STEPS = {"learning_rate": 0.05, "num_leaves": 31, "feature_fraction": 0.6, "min_data_in_leaf": 20, "rounds": 1500}
SHALLOW = {"learning_rate": 0.05, "num_leaves": 8, "feature_fraction": 0.4, "min_data_in_leaf": 40, "rounds": 1500}

# Title, family, cost against slow LightGBM, hypothesis, parameters, features, relative to the level.
ENTRIES: tuple[tuple[str, str, float, str, dict[str, Any], str, bool], ...] = (
    (
        "Seasonal naive",
        "seasonal",
        0.0,
        "What was measured one season ago, and the mean growth since: every forecast must be better than this.",
        {},
        "seasonal",
        True,
    ),
    (
        "LightGBM, quick, beside the level",
        "lightgbm",
        0.2,
        "How far a value departs from its series' level is alike in all series and years.",
        {"learning_rate": 0.1, "rounds": 300, "patience": 30, "feature_fraction": 0.6},
        "level",
        True,
    ),
    (
        "Linear, beside the level",
        "linear",
        0.1,
        "Level times weekday times season: a product of few factors, which logarithms make a sum.",
        {},
        "level",
        True,
    ),
    (
        "LightGBM, beside the level",
        "lightgbm",
        1.0,
        "Small steps find what single series do otherwise.",
        SMALL_STEPS,
        "level",
        True,
    ),
    (
        "LightGBM, beside last season",
        "lightgbm",
        1.0,
        "Where seasons repeat closely, only the change since the last one is left to learn.",
        SMALL_STEPS,
        "seasonal",
        True,
    ),
    (
        "Linear, beside last season",
        "linear",
        0.1,
        "The change since last season by few factors.",
        {},
        "seasonal",
        True,
    ),
    (
        "LightGBM, shallow, beside the level",
        "lightgbm",
        0.8,
        "Little interaction and few columns per tree: less learned by heart from few years.",
        SHALLOW,
        "level",
        True,
    ),
    (
        "LightGBM, amounts beside the level",
        "lightgbm",
        1.0,
        "Departures as amounts instead of shares serve errors that count amounts.",
        SMALL_STEPS,
        "level",
        False,
    ),
    (
        "LightGBM, beside the level, another seed",
        "lightgbm",
        1.0,
        "The same model with other random choices: the mean of two is steadier than either.",
        {**SMALL_STEPS, "feature_fraction": 0.4},
        "level",
        True,
    ),
)


def propose(plan: Plan, profile: DataProfile) -> Iterator[Proposal]:
    """Yield proposals in the order in which they should run, of the families that the plan asks for if it does."""
    given = choose_objective(plan, profile).target_transform
    shares = given if given != "none" else _logarithm(plan, profile)
    for position, (title, family, cost, hypothesis, parameters, baseline, is_relative) in enumerate(ENTRIES):
        transform = shares if is_relative else given
        repeats_another = not is_relative and transform == shares
        if repeats_another or (plan.families and family not in plan.families):
            continue
        config: dict[str, Any] = {
            "model": {"parameters": parameters},
            "features": {"learn_from": "fold", "baseline": baseline, "target_encode": "none"},
            "target_transform": transform,
            "seed": plan.seed + position,
            "most_seconds": round(LARGEST_SHARE * plan.time_budget_seconds, 1),
        }
        yield Proposal(
            title=title,
            family=family,
            hypothesis=hypothesis,
            config=config,
            requirements=REQUIREMENTS,
            expected_seconds=round(_seconds(cost, plan, profile), 1),
        )


def _logarithm(plan: Plan, profile: DataProfile) -> str:
    """Return the logarithm that the targets allow, with which departures from the level are shares."""
    lows = [column.low for column in profile.columns if column.name in plan.target_columns]
    try:
        lowest = min(float(low) for low in lows if low is not None)
    except ValueError:
        return "none"
    return "none" if lowest < 0 else "log1p" if lowest == 0 else "log"


def _seconds(cost: float, plan: Plan, profile: DataProfile) -> float:
    fits = len(plan.target_columns) * (plan.validation.folds + 1)
    columns = 30 + sum(column.in_train and column.in_test for column in profile.columns)
    preparing = SECONDS_PER_ROW * (3 * profile.train_rows + profile.test_rows) * fits / 2
    training = cost * fits * (0.3 + SECONDS_PER_CELL * profile.train_rows * columns)
    most = LARGEST_SHARE * plan.time_budget_seconds
    return START_SECONDS + preparing + min(training, most)
