"""When the portfolio is at its end and time is left; this file varies the settings of what did best.

Each variation changes every setting of one of the best candidates a little, by lot, and trains with another seed: near
a good model most are good, and their mean is steadier than any of them. They end when the latest of them together
gained next to nothing; a run that was asked to go on has them until its time is up.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from itertools import count
from typing import Any

import msgspec

from autokaggle.records.candidate import Candidate, Proposal, Search
from autokaggle.skills.pipeline.proposals import can_start

# What may vary of each family: the template's own value, and by how many times it is raised or lowered at most.
# Families that are missing here give the same model with any seed, and have no settings that matter.
SETTINGS: dict[str, dict[str, tuple[float, float]]] = {
    "lightgbm": {
        "learning_rate": (0.03, 1.5),
        "num_leaves": (15, 1.8),
        "feature_fraction": (0.4, 1.6),
        "bagging_fraction": (0.8, 1.2),
        "min_data_in_leaf": (15, 2.5),
        "lambda_l2": (3.0, 4.0),
    },
    "xgboost": {
        "eta": (0.03, 1.5),
        "max_depth": (4, 1.4),
        "min_child_weight": (3, 2.5),
        "subsample": (0.8, 1.2),
        "colsample_bytree": (0.5, 1.6),
        "lambda": (3.0, 4.0),
    },
    "catboost": {
        "learning_rate": (0.06, 1.5),
        "depth": (5, 1.3),
        "l2_leaf_reg": (3.0, 4.0),
        "subsample": (0.8, 1.2),
        "rsm": (0.6, 1.5),
    },
    "extra_trees": {"min_samples_leaf": (2, 2.0)},
    "mlp": {"dropout": (0.35, 1.5), "learning_rate": (0.002, 1.8)},
}
MOST_PARENTS = 4
FIRST_SEED = 1_000
# So many variations must lower the loss of what would be handed in by this share together.
PATIENCE = 12
LEAST_GAIN = 0.0005


def variations(search: Search) -> Iterator[Proposal]:
    """Yield one variation after the other of the best of the portfolio's candidates in turn, while they gain."""
    if not search.is_improvement and _is_vain(search):
        return
    # What one takes and needs all take and need: there is no end of those of a parent that cannot go on.
    declined = {one.parent for one in search.declined if _is_variation(one, search)}
    parents = [one for one in _best(search) if one.id not in declined and can_start(one.proposal, search)]
    for number in count(1) if parents else ():
        yield _varied(parents[(number - 1) % len(parents)], number, search.plan.seed)


def _is_variation(proposal: Proposal, search: Search) -> bool:
    is_ours = proposal.author == "portfolio" and proposal.operator == "improve"
    return is_ours and int(proposal.config.get("seed", 0)) >= search.plan.seed + FIRST_SEED


def _is_vain(search: Search) -> bool:
    """Say whether the latest variations gained too little for as many more."""
    latest = [one for one in search.candidates if _is_variation(one.proposal, search)][-PATIENCE:]
    return len(latest) == PATIENCE and sum(one.ensemble_gain or 0.0 for one in latest) < LEAST_GAIN


def _best(search: Search) -> list[Candidate]:
    """Return the best candidate of each family that can vary, but no variation, the best first."""
    scored = [
        one
        for one in search.candidates
        if one.status == "scored"
        and one.score is not None
        and one.proposal.author == "portfolio"
        and one.proposal.family in SETTINGS
        and not _is_variation(one.proposal, search)
    ]
    scored.sort(key=lambda one: one.score.mean if one.score else 0.0, reverse=search.plan.greater_is_better)
    of_family: dict[str, Candidate] = {}
    for one in scored:
        of_family.setdefault(one.proposal.family, one)
    return list(of_family.values())[:MOST_PARENTS]


def _varied(parent: Candidate, number: int, seed: int) -> Proposal:
    proposal = parent.proposal
    model = proposal.config.get("model", {})
    chance = random.Random(f"{seed} {number}")  # noqa: S311 - no secret
    settings = _settings(proposal.family, model.get("parameters", {}), chance)
    return msgspec.structs.replace(
        proposal,
        operator="improve",
        parent=parent.id,
        title=f"{proposal.title}, varied ({number})",
        hypothesis="Settings near those of a good model, and another seed: averaged, both err less.",
        config={**proposal.config, "model": {**model, "parameters": settings}, "seed": seed + FIRST_SEED + number},
    )


def _settings(family: str, given: Mapping[str, Any], chance: random.Random) -> dict[str, Any]:
    """Return the settings of a model, with all changed that may be."""
    found = dict(given)
    for name, (usual, factor) in SETTINGS[family].items():
        value = given.get(name, usual)
        made = value * factor ** chance.uniform(-1, 1)
        if isinstance(usual, int):
            found[name] = max(1, round(made))
        else:
            # What is at most one by itself is a share, or so small that it never comes near.
            found[name] = float(f"{min(made, 1.0) if usual <= 1 else made:.3g}")
    return found
