"""Samples first where rows are very many; this file sizes them, and says which configurations deserve all rows.

On a table that would take a configuration many times its share of the budget, the clock would end its fits after a few
trees. So each is first fitted on as many rows as its share is enough for, and judged on all of them; the best is then
fitted on all rows, with the time that was saved on the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from autokaggle.records import Candidate, Plan, Proposal, Search

SAMPLE_ROWS = "sample_rows"
TOLD = ", on a sample"
# Below, all rows are read and fitted quickly enough, and a sample loses more than it saves.
FEWEST_ROWS, SMALLEST_SAMPLE = 200_000, 40_000
# What would take so many times its share is tried on a sample, with a part of the share: reading, features and
# predictions are of all rows all the same.
TIMES_TOO_LONG = 3.0
PART_OF_SHARE = 0.5
# Samples together may take so much of the budget before the best is fitted on all rows, and that so much.
SHARE_OF_SAMPLES, SHARE_OF_ONE = 1 / 3, 0.4
MOST_PROMOTED = 3


def on_a_sample(proposal: Proposal, rows: int, seconds: float, share: float) -> Proposal:
    """Return the proposal for fewer rows where ``seconds`` of training on all are far more than its ``share``."""
    if rows < FEWEST_ROWS or seconds < TIMES_TOO_LONG * share:
        return proposal
    most = max(SMALLEST_SAMPLE, round(rows * PART_OF_SHARE * share / seconds, -3))
    config = {**proposal.config, SAMPLE_ROWS: int(most), "most_seconds": round(PART_OF_SHARE * share, 1)}
    saved = (1 - PART_OF_SHARE) * share
    expected = None if proposal.expected_seconds is None else round(proposal.expected_seconds - saved, 1)
    return msgspec.structs.replace(proposal, title=proposal.title + TOLD, config=config, expected_seconds=expected)


def is_time_to_promote(search: Search) -> bool:
    """Say whether samples had their share of the budget."""
    spent = sum(candidate.seconds for candidate in _sampled(search.candidates))
    return spent >= SHARE_OF_SAMPLES * search.plan.time_budget_seconds


def promoted(search: Search) -> Iterator[Proposal]:
    """Yield the best configurations on a sample, the best first, to be fitted on all rows."""
    scored = [one for one in _sampled(search.candidates) if one.status == "scored" and one.score is not None]
    scored.sort(key=lambda one: one.score.mean if one.score else 0.0, reverse=search.plan.greater_is_better)
    yield from (_on_all_rows(one, search.plan) for one in scored[:MOST_PROMOTED])


def _on_all_rows(candidate: Candidate, plan: Plan) -> Proposal:
    config = {name: value for name, value in candidate.proposal.config.items() if name != SAMPLE_ROWS}
    return msgspec.structs.replace(
        candidate.proposal,
        operator="improve",
        parent=candidate.id,
        title=candidate.proposal.title.removesuffix(TOLD) + ", on all rows",
        hypothesis="What did best on a sample should do better still with all rows.",
        config={**config, "most_seconds": round(SHARE_OF_ONE * plan.time_budget_seconds, 1)},
        # It ends its fits in time by itself: it may start when there is time for what a sample took.
        expected_seconds=None,
    )


def _sampled(candidates: Sequence[Candidate]) -> list[Candidate]:
    return [one for one in candidates if one.proposal.author == "portfolio" and SAMPLE_ROWS in one.proposal.config]
