"""The built-in proposals; this file chooses configurations that suit the data, in the order in which they run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from autokaggle.records.candidate import Proposal, Search
from autokaggle.records.data_profile import DataProfile
from autokaggle.records.plan import Plan
from autokaggle.skills.pipeline import feature_gate, samples
from autokaggle.skills.pipeline.configurations import (
    ENTRIES,
    KERNEL,
    LINEAR,
    QUICK,
    SLOW,
    SPARSE,
    XGBOOST,
    XGBOOST_FOR_GPU,
    Entry,
)
from autokaggle.skills.pipeline.expected_time import START_SECONDS, expected_seconds, is_for_gpu
from autokaggle.skills.pipeline.objective import CLASSIFICATION, QUANTILE_METRIC
from autokaggle.skills.pipeline.proposals import can_start, untried
from autokaggle.skills.pipeline.variations import variations

BASE_REQUIREMENTS = (
    "joblib>=1.4",
    "lightgbm>=4.6",
    "numpy>=2.0",
    "pandas>=2.3",
    "pyarrow>=20",
    "pyyaml>=6.0",
    "scikit-learn>=1.8",  # earlier ones do not know by l1_ratio alone that a model is to be sparse
)

# No candidate may take more than its share of the budget, the first one less: something must come after it.
FIRST_SHARE = 0.2
LARGEST_SHARE = 0.25
# Of several classes each round grows a tree for each: larger steps, and more candidates in the same time, blend better.
SEVERAL_CLASSES_SHARE = 0.125
# These come first; then further features are tried on the slow LightGBM, on the quick one where time is short.
TOLD = ", categories told by the target"
GATE_TITLES = (SLOW, f"{SLOW}{TOLD}")
FIRST = (QUICK, "LightGBM, many leaves", SLOW, LINEAR, "XGBoost, slow", "CatBoost", KERNEL)
SHARE_OF_FIRST_KERNEL = 0.15
# The others learn the mean, whatever they are asked for.
QUANTILE_FAMILIES = ("lightgbm", "xgboost", "catboost")


def next_proposal(search: Search) -> Proposal | None:
    """Return what should be tried next with the packages that are there, None when all was.

    Where there is nothing to learn all would say the same of each row, which one is enough to show.
    """
    known = [candidate.proposal for candidate in search.candidates] + [*search.running, *search.declined]
    titles = {proposal.title for proposal in known if proposal.author == "portfolio"}
    if titles and not _is_something_to_learn(search.plan, search.profile):
        return None
    ready = (each for each in _in_order(search) if each.title not in titles and can_start(each, search))
    return next(untried(ready, search), None)


def _in_order(search: Search) -> Iterator[Proposal]:
    """Yield the strongest configurations, trials of further features, and everything else with those that helped."""
    drafts = list(propose(search.plan, search.profile))
    last_first = max(
        (place for place, draft in enumerate(drafts[: len(FIRST)]) if _is_first(draft, search.plan)),
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


def _is_something_to_learn(plan: Plan, profile: DataProfile) -> bool:
    """Say whether a target varies, and there is a column to learn it from, or a table to join.

    Of ids only texts may hold something. A template of a plugin may find more than columns and tables.
    """
    if all(column.distinct == 1 for column in profile.columns if column.name in plan.target_columns):
        return False
    left_out = {*plan.target_columns, *plan.drop_columns}
    used = [each for each in profile.columns if each.in_train and each.in_test and each.name not in left_out]
    has_more = plan.template != "tabular" or any(file.join_columns for file in profile.files)
    return has_more or any(column.kind != "id" or column.type == "VARCHAR" for column in used)


def _is_first(draft: Proposal, plan: Plan) -> bool:
    """Say whether a draft comes before features are tried: a kernel does where it takes little of the budget."""
    title = _plain_title(draft)
    is_short = (draft.expected_seconds or 0.0) <= SHARE_OF_FIRST_KERNEL * plan.time_budget_seconds
    return title in FIRST and (title != KERNEL or is_short)


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
    for entry in _ordered(profile):
        wanted = entry.family in plan.families or (not plan.families and _suits(entry, plan, profile))
        encode_all = entry.encode_all and _has_categories(profile)
        if wanted and (configuration := (entry.family, entry.parameters, encode_all, entry.seed_offset)) not in tried:
            tried.append(configuration)
            largest = _largest_share(plan, profile)
            share = largest if len(tried) > 1 else min(FIRST_SHARE, largest)
            yield _proposal(entry, encode_all, plan, profile, share * plan.time_budget_seconds)


def _ordered(profile: DataProfile) -> list[Entry]:
    """Return the entries; where columns outnumber rows, a line through few columns follows the line through all."""
    ordered = list(ENTRIES)
    if sum(column.in_train and column.in_test for column in profile.columns) > profile.train_rows:
        sparse = next(entry for entry in ENTRIES if entry.title == SPARSE)
        ordered.remove(sparse)
        ordered.insert([entry.title for entry in ordered].index(LINEAR) + 1, sparse)
    return ordered


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
    if is_for_gpu(entry, plan):
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
