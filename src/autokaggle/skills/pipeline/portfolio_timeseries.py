"""The built-in proposals for forecasts; this file lists them in the order in which they should be tried."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from autokaggle.records.candidate import Proposal
from autokaggle.records.data_profile import DataProfile
from autokaggle.records.plan import Plan
from autokaggle.skills.pipeline.configurations import HOLIDAYS
from autokaggle.skills.pipeline.objective import choose_objective
from autokaggle.skills.pipeline.portfolio import BASE_REQUIREMENTS
from autokaggle.skills.pipeline.template_entries import FITS_AT_ONCE, Estimate, TemplateEntry, proposals

REQUIREMENTS = (*BASE_REQUIREMENTS, HOLIDAYS)
# Reading, and looking back from every row of every fold three times.
START_SECONDS = 3.0
SECONDS_PER_ROW = 1.2e-5
SECONDS_PER_CELL = 4e-7
# One that could take more takes larger steps: several that err otherwise are worth more than one of small steps.
LARGEST_SHARE = 0.2

QUICK = {"learning_rate": 0.1, "rounds": 300, "patience": 30, "feature_fraction": 0.6}
SMALL_STEPS = {"learning_rate": 0.05, "num_leaves": 31, "feature_fraction": 0.6, "min_data_in_leaf": 20, "rounds": 1500}
SHALLOW = {"learning_rate": 0.05, "num_leaves": 8, "feature_fraction": 0.4, "min_data_in_leaf": 40, "rounds": 1500}


def _beside(baseline: str) -> dict[str, str]:
    return {"learn_from": "fold", "baseline": baseline, "target_encode": "none"}


# ``cost`` is beside that of small steps.
ENTRIES = (
    TemplateEntry(
        "Seasonal naive",
        "seasonal",
        0.0,
        "What was measured one season ago, and the mean growth since: every forecast must be better than this.",
        features=_beside("seasonal"),
    ),
    TemplateEntry(
        "LightGBM, quick, calendar and time",
        "lightgbm",
        0.15,
        "A plain table of columns, calendar and time: no error in the past that is looked back on can lead it astray.",
        QUICK,
        _beside("none"),
    ),
    TemplateEntry(
        "Linear, beside the level",
        "linear",
        0.1,
        "Where a series stood last, last month and last year, weighed as it served best.",
        features=_beside("level"),
    ),
    TemplateEntry(
        "LightGBM, quick, beside the latest level",
        "lightgbm",
        0.2,
        "How far a value departs from where its series stood last is alike in all series and years.",
        QUICK,
        _beside("latest"),
    ),
    TemplateEntry(
        "LightGBM, quick, the season's shape",
        "lightgbm",
        0.15,
        "Latest level times the shape of week and year: the shape is learned from departures from the level around "
        "each day, which no wandering of the level disturbs.",
        QUICK,
        _beside("around"),
    ),
    TemplateEntry(
        "Linear, the season's shape",
        "linear",
        0.1,
        "Level times weekday times season: a product of few factors, which logarithms make a sum.",
        features=_beside("around"),
    ),
    TemplateEntry(
        "LightGBM, calendar and time",
        "lightgbm",
        0.7,
        "Trees that know the time itself keep the level of the last months; small steps find what single series do.",
        SMALL_STEPS,
        _beside("none"),
    ),
    TemplateEntry(
        "LightGBM, beside the latest level",
        "lightgbm",
        1.0,
        "Small steps find which series keep moving away from where they stood.",
        SMALL_STEPS,
        _beside("latest"),
    ),
    TemplateEntry(
        "LightGBM, the season's shape",
        "lightgbm",
        0.7,
        "Small steps find what single series do otherwise.",
        SMALL_STEPS,
        _beside("around"),
    ),
    TemplateEntry(
        "LightGBM, beside last season",
        "lightgbm",
        1.0,
        "Where seasons repeat closely, only the change since the last one is left to learn.",
        SMALL_STEPS,
        _beside("seasonal"),
    ),
    TemplateEntry(
        "LightGBM, shallow, the season's shape",
        "lightgbm",
        0.5,
        "Little interaction and few columns per tree: less learned by heart from few years.",
        SHALLOW,
        _beside("around"),
    ),
    TemplateEntry(
        "LightGBM, beside the level",
        "lightgbm",
        1.0,
        "The mean of a whole season is a level that no short event moves.",
        SMALL_STEPS,
        _beside("level"),
    ),
    TemplateEntry(
        "Linear, beside last season",
        "linear",
        0.1,
        "The change since last season by few factors.",
        features=_beside("seasonal"),
    ),
    TemplateEntry(
        "LightGBM, amounts beside the latest level",
        "lightgbm",
        1.0,
        "Departures as amounts instead of shares serve errors that count amounts.",
        SMALL_STEPS,
        _beside("latest"),
        {"target_transform": "none"},
    ),
)


def propose(plan: Plan, profile: DataProfile) -> Iterator[Proposal]:
    """Yield proposals in the order in which they should run; amounts where the metric asks for no logarithm."""
    given = choose_objective(plan, profile).target_transform
    shares = given if given != "none" else _logarithm(plan, profile)
    entries = [
        replace(entry, settings={"target_transform": shares, **entry.settings})
        for entry in ENTRIES
        if not entry.settings or (given == "none" and shares != "none")
    ]
    fits = len(plan.target_columns) * (plan.validation.folds + 1)
    columns = 30 + sum(column.in_train and column.in_test for column in profile.columns)
    preparing = SECONDS_PER_ROW * (3 * profile.train_rows + profile.test_rows) * fits / FITS_AT_ONCE

    def estimate(entry: TemplateEntry) -> Estimate:
        training = entry.cost * fits * (0.3 + SECONDS_PER_CELL * profile.train_rows * columns)
        return Estimate(START_SECONDS + preparing, training)

    return proposals(entries, plan, REQUIREMENTS, LARGEST_SHARE, estimate)


def _logarithm(plan: Plan, profile: DataProfile) -> str:
    """Return the logarithm that the targets allow, with which departures from the level are shares."""
    lows = [column.low for column in profile.columns if column.name in plan.target_columns]
    try:
        lowest = min(float(low) for low in lows if low is not None)
    except ValueError:
        return "none"
    return "none" if lowest < 0 else "log1p" if lowest == 0 else "log"
