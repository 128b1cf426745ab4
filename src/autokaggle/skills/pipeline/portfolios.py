"""Which built-in proposals serve a plan; this file asks the portfolio of the plan's template.

A template that has none of its own gets that for tables: what descends from the pipeline for tables can do what it can.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain

import msgspec

from autokaggle.records.candidate import Proposal, Search
from autokaggle.records.data_profile import DataProfile
from autokaggle.records.plan import Plan
from autokaggle.skills.pipeline import portfolio, portfolio_image, portfolio_text, portfolio_timeseries
from autokaggle.skills.pipeline.proposals import can_start, untried, wants_gpu
from autokaggle.skills.pipeline.variations import variations

OF_TEMPLATE: dict[str, Callable[[Plan, DataProfile], Iterator[Proposal]]] = {
    "image": portfolio_image.propose,
    "text": portfolio_text.propose,
    "timeseries": portfolio_timeseries.propose,
}


def next_proposal(search: Search) -> Proposal | None:
    """Return what should be tried next, None when all was."""
    if propose := OF_TEMPLATE.get(search.plan.template):
        ready = (each for each in propose(_plan_for_now(search), search.profile) if can_start(each, search))
        return next(untried(chain(ready, variations(search)), search), None)
    return portfolio.next_proposal(search)


def can_use_gpu(plan: Plan, profile: DataProfile) -> bool:
    """Say whether any of the proposals for a plan with a GPU uses it."""
    propose = OF_TEMPLATE.get(plan.template, portfolio.propose)
    return any(map(wants_gpu, propose(plan, profile)))


def _plan_for_now(search: Search) -> Plan:
    """Return the plan, without a GPU while what images need for one is not there: it may come late, or never."""
    is_waiting = portfolio_image.TORCH in search.missing
    return msgspec.structs.replace(search.plan, gpu=False) if is_waiting else search.plan


def requirements(plan: Plan, profile: DataProfile) -> tuple[str, ...]:
    """Return what all proposals for this plan need, each once."""
    if propose := OF_TEMPLATE.get(plan.template):
        return tuple(dict.fromkeys(line for proposal in propose(plan, profile) for line in proposal.requirements))
    return portfolio.requirements(plan, profile)
