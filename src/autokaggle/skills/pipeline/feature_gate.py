"""Which further features are worth having; this file tries each block of them once and keeps what helps.

A target that is the sum of other columns may be learned as its parts: that is tried like a block.

The same quick model is trained with and without the block, on the same folds: the block is kept when the paired loss of
rows is better by more than its noise. The runs that are refused stay candidates: they vary the ensemble.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import msgspec

from autokaggle.records.candidate import Candidate, Proposal, Search
from autokaggle.records.data_profile import DataProfile
from autokaggle.skills.pipeline.candidate_config import parts_of_target
from autokaggle.skills.pipeline.configurations import HOLIDAYS

# The blocks of the template's blocks.py in the order in which they should be tried.
BLOCKS = {
    "counts": "How often a value occurs may say more than the value.",
    "totals": "Amounts of the same kind add up: to what was spent, or to all the room there is.",
    "values": "Numbers that recur are names as well: each is told by the target.",
    "missing": "Which values are absent together may have a reason.",
    "aggregates": "A number means something beside others of its category.",
    "bins": "Digits and bins tell how values were written, or made.",
    "pairs": "Two categories together may say what neither says alone.",
    "ratios": "Ratios and differences of numbers take trees many cuts to find.",
    "places": "Distances on the globe cannot be cut out of latitude and longitude.",
    "holidays": "Days off are days unlike others, and so are those before and after.",
    "order": "Rows are numbered as they came; one whose date is out of order has a reason.",
    "cycles": "The last hour of a day is next to the first, and so are months and weekdays.",
}
# The same for the data set behind a synthetic competition, when the user gave it.
ORIGINAL = {
    "original columns": "The original data say what a value meant there, and a model of them what it makes of a row.",
    "original rows": "The rows of the original data may train too, if the competition's rows are enough like them.",
}
COUNTRY = re.compile(r"country|nation(?!al)|(^|_)iso", re.I)
# No features, but what the model learns.
PARTS = "parts"
WHY_PARTS = "What adds up to the target may each follow rules of its own."
# The one block that needs a package of its own.
REQUIREMENTS = {"holidays": HOLIDAYS}
KEPT_ERRORS = 0.7
# All trials together may take so much of the budget, and one so much.
SHARE = 0.25
SHARE_OF_ONE = 0.06


def base(search: Search, titles: Sequence[str]) -> Candidate | None:
    """Return the candidate that blocks are tried on: the first of ``titles`` that is quick enough.

    None as long as there is none; when all are too slow, the last of them, on which nothing is tried.
    """
    scored = {each.proposal.title: each for each in reversed(search.candidates) if each.status == "scored"}
    found = [scored[title] for title in titles if title in scored]
    most = SHARE_OF_ONE * search.plan.time_budget_seconds
    return next((each for each in found if each.seconds <= most), found[-1] if found else None)


def trials(search: Search, base: Candidate) -> Iterator[Proposal]:
    """Yield a trial of each block that the data have something for, as long as their share of the budget lasts."""
    budget = search.plan.time_budget_seconds
    done = {_block_of(candidate.proposal): candidate.seconds for candidate in search.candidates}
    spent = sum(seconds for block, seconds in done.items() if block)
    wanted = BLOCKS
    if search.plan.original_table:
        wanted = {**ORIGINAL, **BLOCKS}
    elif parts_of_target(search.plan, search.profile):
        wanted = {PARTS: WHY_PARTS, **BLOCKS}
    for block, reason in wanted.items():
        if base.seconds > SHARE_OF_ONE * budget or spent + base.seconds > SHARE * budget:
            return
        if block not in done and _has_something(block, search.profile):
            yield _trial(base, block, reason)


def kept(search: Search) -> tuple[str, ...]:
    """Return the blocks whose trials were better than the model without them, beyond noise."""
    found = []
    for candidate in search.candidates:
        block = _block_of(candidate.proposal)
        gains = [gain for gain in candidate.gains if gain.over == candidate.proposal.parent]
        if block and candidate.status == "scored" and any(gain.loss_errors > KEPT_ERRORS for gain in gains):
            found.append(block)
    return tuple(found)


def with_blocks(proposal: Proposal, blocks: tuple[str, ...]) -> Proposal:
    """Return the proposal with the blocks besides; as it is when there are none."""
    if not blocks:
        return proposal
    uses = [block.removeprefix("original ") for block in blocks if block in ORIGINAL]
    asked = {"blocks": [block for block in blocks if block not in (*ORIGINAL, PARTS)], "original": uses}
    features = {**proposal.config.get("features", {}), **{key: names for key, names in asked.items() if names}}
    needed = [line for block, line in REQUIREMENTS.items() if block in blocks and line not in proposal.requirements]
    return msgspec.structs.replace(
        proposal,
        title=f"{proposal.title}, more features",
        config={**proposal.config, "features": features, **({"learn_parts": True} if PARTS in blocks else {})},
        requirements=(*proposal.requirements, *needed),
    )


def _trial(base: Candidate, block: str, reason: str) -> Proposal:
    made = with_blocks(base.proposal, (block,))
    return msgspec.structs.replace(
        made,
        operator="improve",
        parent=base.id,
        title=f"{base.proposal.title}, with {block}",
        hypothesis=reason,
        expected_seconds=base.seconds,
    )


def _block_of(proposal: Proposal) -> str:
    """Return which block a proposal is the trial of, "" when it is none."""
    features = proposal.config.get("features", {})
    blocks = [*features.get("blocks", ()), *(f"original {use}" for use in features.get("original", ()))]
    blocks += [PARTS] if proposal.config.get("learn_parts") else []
    is_trial = len(blocks) == 1 and proposal.author == "portfolio" and proposal.title.endswith(f", with {blocks[0]}")
    return str(blocks[0]) if is_trial else ""


def has_countries(profile: DataProfile) -> bool:
    """Say whether a column of categories is called like one of countries."""
    return any(COUNTRY.search(column.name) and column.type == "VARCHAR" for column in profile.columns)


def _has_something(block: str, profile: DataProfile) -> bool:
    columns = [column for column in profile.columns if column.in_train and column.in_test]
    texts = sum(column.type == "VARCHAR" and column.kind not in ("id", "text") for column in columns)
    numbers = sum(column.type not in ("VARCHAR", "BOOLEAN", "TIMESTAMP", "DATE") for column in columns)
    gaps = sum((column.missing or 0) > 0 for column in columns)
    names = " ".join(column.name.casefold() for column in columns)
    dates = {column.name for column in columns if column.kind == "datetime"}
    needed = {
        **dict.fromkeys((*ORIGINAL, PARTS), True),
        "missing": gaps > 1,
        "aggregates": texts > 0 and numbers > 0,
        "pairs": texts > 1,
        "bins": numbers > 0,
        "values": numbers > 0,
        "totals": numbers > 1,
        "ratios": numbers > 1,
        "places": "lat" in names and "lon" in names,
        "holidays": bool(dates) and has_countries(profile),
        "order": bool(dates) and not dates.issuperset(profile.id_columns),
        "cycles": bool(dates),
    }
    return needed.get(block, texts + numbers > 0)
