"""When the portfolio is at its end and a run goes on; this file varies the settings of what did best.

Each variation changes every setting of one of the best candidates a little, by lot, and trains with another seed: near
a good model most are good, and their mean is steadier than any of them.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import count
from typing import Any

import msgspec

from autokaggle.records.candidate import Candidate, Proposal, Search

# Settings that may be multiplied by up to this, or its inverse; shares stay between a tenth and one.
FACTORS = {
    "learning_rate": 1.5, "eta": 1.5, "num_leaves": 1.8, "min_data_in_leaf": 2.5, "min_child_weight": 2.5,
    "lambda_l2": 4.0, "l2_leaf_reg": 4.0,
}  # fmt: skip
SHARES = ("feature_fraction", "bagging_fraction", "colsample_bytree", "subsample", "rsm")
STEPS = ("depth", "max_depth")
WIDEST_SHARE_FACTOR = 1.4
# These give the same model with any seed, and have no settings that matter.
FIXED_FAMILIES = ("linear", "kernel", "nearest")
MOST_PARENTS = 4
FIRST_SEED = 1_000


def variations(search: Search) -> Iterator[Proposal]:
    """Yield one variation after the other, without end, of the best of the portfolio's candidates in turn."""
    parents = _best(search)
    for number in count(1) if parents else ():
        yield _varied(parents[(number - 1) % len(parents)], number, search.plan.seed)


def _best(search: Search) -> list[Candidate]:
    """Return the best candidate of each family that can vary, but no variation, the best first."""
    scored = [
        one
        for one in search.candidates
        if one.status == "scored"
        and one.score is not None
        and one.proposal.author == "portfolio"
        and one.proposal.family not in FIXED_FAMILIES
        and int(one.proposal.config.get("seed", 0)) < search.plan.seed + FIRST_SEED
    ]
    scored.sort(key=lambda one: one.score.mean if one.score else 0.0, reverse=search.plan.greater_is_better)
    of_family: dict[str, Candidate] = {}
    for one in scored:
        of_family.setdefault(one.proposal.family, one)
    return list(of_family.values())[:MOST_PARENTS]


def _varied(parent: Candidate, number: int, seed: int) -> Proposal:
    chance = random.Random(f"{seed} {number}")  # noqa: S311 - no secret
    proposal = parent.proposal
    model = proposal.config.get("model", {})
    settings = {name: _changed(name, value, chance) for name, value in model.get("parameters", {}).items()}
    return msgspec.structs.replace(
        proposal,
        operator="improve",
        parent=parent.id,
        title=f"{proposal.title}, varied ({number})",
        hypothesis="Settings near those of a good model, and another seed: averaged, both err less.",
        config={**proposal.config, "model": {**model, "parameters": settings}, "seed": seed + FIRST_SEED + number},
        expected_seconds=parent.seconds,
    )


def _changed(name: str, value: Any, chance: random.Random) -> Any:
    """Return the setting, changed where it is one that may be."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    if name in FACTORS:
        made = value * FACTORS[name] ** chance.uniform(-1, 1)
        return max(2, round(made)) if isinstance(value, int) else float(f"{made:.4g}")
    if name in SHARES:
        return round(min(1.0, max(0.1, value * WIDEST_SHARE_FACTOR ** chance.uniform(-1, 1))), 3)
    return max(2, value + chance.choice((-1, 0, 1))) if name in STEPS else value
