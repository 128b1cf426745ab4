"""The built-in proposals; this file chooses configurations that suit the data, and says how long each should take.

It measures nothing: expected seconds are rough, and a run corrects them by what it sees.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from autokaggle.records.candidate import Proposal, Search
from autokaggle.records.data_profile import ColumnProfile, DataProfile
from autokaggle.records.plan import Plan
from autokaggle.skills.pipeline import feature_gate, samples
from autokaggle.skills.pipeline.configurations import ENTRIES, FAMILIES, QUICK, SLOW, XGBOOST, XGBOOST_FOR_GPU, Entry
from autokaggle.skills.pipeline.objective import CLASSIFICATION, QUANTILE_METRIC
from autokaggle.skills.pipeline.proposals import can_start, untried
from autokaggle.skills.pipeline.template_entries import FITS_AT_ONCE, fits
from autokaggle.skills.pipeline.variations import variations

__all__ = ["BASE_REQUIREMENTS", "ENTRIES", "FAMILIES", "next_proposal", "propose", "requirements"]

BASE_REQUIREMENTS = (
    "joblib>=1.4",
    "lightgbm>=4.6",
    "numpy>=2.0",
    "pandas>=2.3",
    "pyarrow>=20",
    "pyyaml>=6.0",
    "scikit-learn>=1.7",
)

# Starting Python, reading tables, making features of a small table; scikit-learn takes longer to import.
START_SECONDS = 1.5
SCIKIT_LEARN_SECONDS = 1.3
SCIKIT_LEARN_FAMILIES = ("linear", "extra_trees", "kernel", "nearest")
# One model of slow LightGBM with one thread: for itself, and for each cell of the table.
SECONDS_PER_MODEL = 0.1
SECONDS_PER_CELL = 5e-6
# The network (templates/tabular/model_mlp.py) takes its time by weights more than by cells: few rows take as many steps
# as a thousand do. Measured from 120 x 300 to 160,000 x 50: a step, each weight for a row of a step, usual rounds.
NETWORK = "mlp"
SECONDS_PER_STEP, SECONDS_PER_ROW_AND_WEIGHT = 7e-4, 1.8e-10
# A round sees a part only of very many rows.
USUAL_ROUNDS, MOST_ROUNDS, MANY_ROWS = 30, 120, 20_000
FIRST_LAYER, OTHER_WEIGHTS = 256, 256 * 128
BATCH_ROWS, MOST_BATCHES, STEPS_PER_ROUND, MOST_WATCHED = 128, 400, (10, 50), 10_000
PIECES, MOST_PIECES, MOST_LEVELS, PARTS_OF_DATE = 16, 600, 40, 5
# What XGBoost takes on a GPU of its time on two cores. Source: Mitchell & Frank 2017, "Accelerating the XGBoost
# algorithm using GPU computing" (3 to 6 times as fast as four cores), taken with caution: not measured here.
GPU_TIME = 0.25
# No candidate may take more than its share of the budget, the first one less: something must come after it.
FIRST_SHARE = 0.2
LARGEST_SHARE = 0.25
# Of several classes each round grows a tree for each: larger steps, and more candidates in the same time, blend better.
SEVERAL_CLASSES_SHARE = 0.125
# These come first; then further features are tried on the slow LightGBM, on the quick one where time is short.
TOLD = ", categories told by the target"
GATE_TITLES = (SLOW, f"{SLOW}{TOLD}")
FIRST = (QUICK, "LightGBM, many leaves", SLOW, "Linear", "XGBoost, slow", "CatBoost")
# The others learn the mean, whatever they are asked for.
QUANTILE_FAMILIES = ("lightgbm", "xgboost", "catboost")


def next_proposal(search: Search) -> Proposal | None:
    """Return what should be tried next with the packages that are there, None when all was."""
    known = [candidate.proposal for candidate in search.candidates] + [*search.running, *search.declined]
    titles = {proposal.title for proposal in known if proposal.author == "portfolio"}
    ready = (each for each in _in_order(search) if each.title not in titles and can_start(each, search))
    return next(untried(ready, search), None)


def _in_order(search: Search) -> Iterator[Proposal]:
    """Yield the strongest configurations, trials of further features, and everything else with those that helped."""
    drafts = list(propose(search.plan, search.profile))
    last_first = max(
        (place for place, draft in enumerate(drafts[: len(FIRST)]) if _plain_title(draft) in FIRST),
        default=-1,
    )
    first = drafts[: last_first + 1]
    if samples.is_time_to_promote(search):
        yield from samples.promoted(search)
    yield from first
    yield from samples.promoted(search)
    base = feature_gate.base(search, (*GATE_TITLES, QUICK))
    if base is None:
        yield from drafts
    else:
        yield from feature_gate.trials(search, base)
        helpful = feature_gate.kept(search)
        if helpful:
            yield from (feature_gate.with_blocks(draft, helpful) for draft in first[1:])
        yield from (feature_gate.with_blocks(draft, helpful) for draft in drafts[len(first) :])
    yield from variations(search)


def _plain_title(draft: Proposal) -> str:
    return draft.title.removesuffix(samples.TOLD).removesuffix(TOLD)


def requirements(plan: Plan, profile: DataProfile) -> tuple[str, ...]:
    """Return what all proposals for this plan need, each once."""
    needed = [line for proposal in propose(plan, profile) for line in proposal.requirements]
    if any(column.kind == "datetime" for column in profile.columns) and feature_gate.has_countries(profile):
        needed += feature_gate.REQUIREMENTS.values()
    return tuple(dict.fromkeys(needed))


def propose(plan: Plan, profile: DataProfile) -> Iterator[Proposal]:
    """Yield proposals in the order in which they should run, of the families that the plan asks for if it does."""
    tried: list[tuple[object, ...]] = []
    for entry in ENTRIES:
        wanted = entry.family in plan.families or (not plan.families and _suits(entry, plan, profile))
        encode_all = entry.encode_all and _has_categories(profile)
        if wanted and (configuration := (entry.family, entry.parameters, encode_all, entry.seed_offset)) not in tried:
            tried.append(configuration)
            largest = _largest_share(plan, profile)
            share = largest if len(tried) > 1 else min(FIRST_SHARE, largest)
            yield _proposal(entry, encode_all, plan, profile, share * plan.time_budget_seconds)


def expected_seconds(entry: Entry, plan: Plan, profile: DataProfile) -> float:
    """Estimate the wall-clock seconds of a candidate on two cores, from rows, columns, classes and folds."""
    columns = [column for column in profile.columns if column.in_train and column.in_test]
    if entry.family == NETWORK:
        count = len(plan.target_columns) * plan.validation.folds * plan.validation.repeats
        seconds = _seconds_of_network(profile.train_rows, columns, plan.validation.folds)
    else:
        count = fits(plan)
        seconds = SECONDS_PER_MODEL + SECONDS_PER_CELL * profile.train_rows * len(columns)
    training = entry.cost * count * seconds / FITS_AT_ONCE
    imports = START_SECONDS + (SCIKIT_LEARN_SECONDS if entry.family in SCIKIT_LEARN_FAMILIES else 0.0)
    return imports + training * (GPU_TIME if _is_for_gpu(entry, plan) else 1.0)


def _seconds_of_network(rows: int, columns: Sequence[ColumnProfile], folds: int) -> float:
    """Estimate the seconds of one network with one thread."""
    levels = [min(column.distinct, MOST_LEVELS) for column in columns if column.kind in ("category", "ordinal")]
    dates = [column for column in columns if column.kind == "datetime"]
    numbers = len(columns) - len(levels) + (PARTS_OF_DATE - 1) * len(dates)
    gaps = sum(bool(column.missing) for column in columns)
    inputs = numbers + min(PIECES * numbers, MOST_PIECES) + sum(levels) + gaps
    row_seconds = SECONDS_PER_ROW_AND_WEIGHT * (inputs * FIRST_LAYER + OTHER_WEIGHTS)
    fewest, most = STEPS_PER_ROUND
    batch = min(rows, max(BATCH_ROWS, rows // MOST_BATCHES))
    steps = min(max(rows // max(1, batch), fewest), most)
    watching = min(rows / folds, MOST_WATCHED) * row_seconds / 3  # no way back
    rounds = min(USUAL_ROUNDS * math.sqrt(max(1.0, rows / MANY_ROWS)), MOST_ROUNDS)
    return rounds * (steps * (SECONDS_PER_STEP + batch * row_seconds) + watching)


def _is_for_gpu(entry: Entry, plan: Plan) -> bool:
    return plan.gpu and XGBOOST in entry.requirements


def proposal(entry: Entry, plan: Plan, profile: DataProfile) -> Proposal:
    """Make a proposal of one entry, of whatever family, that keeps to its share of the budget."""
    encode_all = entry.encode_all and _has_categories(profile)
    return _proposal(entry, encode_all, plan, profile, _largest_share(plan, profile) * plan.time_budget_seconds)


def _suits(entry: Entry, plan: Plan, profile: DataProfile) -> bool:
    """Say whether the configuration is worth its time for these targets and so many rows."""
    if QUANTILE_METRIC.fullmatch(plan.metric) and entry.family not in QUANTILE_FAMILIES:
        return False
    goal = "classes" if plan.task_type in CLASSIFICATION else "values"
    return entry.goal in ("any", goal) and entry.least_rows <= profile.train_rows <= entry.most_rows


def _largest_share(plan: Plan, profile: DataProfile) -> float:
    """Return which share of the budget the fits of one candidate may take; of very many rows samples are made by it."""
    is_several = plan.task_type == "multiclass_classification" and any(len(each) > 2 for each in plan.classes.values())
    return SEVERAL_CLASSES_SHARE if is_several and profile.train_rows < samples.FEWEST_ROWS else LARGEST_SHARE


def _has_categories(profile: DataProfile) -> bool:
    """Say whether any column might be told by the target: else such a configuration is one without."""
    return any(column.type == "VARCHAR" and column.in_train and column.in_test for column in profile.columns)


def _proposal(entry: Entry, encode_all: bool, plan: Plan, profile: DataProfile, most_seconds: float) -> Proposal:
    model: dict[str, Any] = {"parameters": entry.parameters}
    needed = entry.requirements
    if _is_for_gpu(entry, plan):
        model["gpu"] = True
        needed = tuple(XGBOOST_FOR_GPU if line == XGBOOST else line for line in needed)
    config: dict[str, Any] = {
        "model": model,
        "seed": plan.seed + entry.seed_offset,
        "most_seconds": round(most_seconds, 1),
    }
    if encode_all:
        config["features"] = {"target_encode": "all"}
    seconds = expected_seconds(entry, plan, profile)
    made = Proposal(
        title=f"{entry.title}{TOLD}" if encode_all else entry.title,
        family=entry.family,
        hypothesis=entry.hypothesis,
        config=config,
        requirements=(*BASE_REQUIREMENTS, *needed),
        expected_seconds=round(min(seconds, START_SECONDS + most_seconds), 1),
    )
    return samples.on_a_sample(made, profile.train_rows, seconds - START_SECONDS, most_seconds)
