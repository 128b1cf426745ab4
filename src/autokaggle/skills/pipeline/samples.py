"""Samples first where rows are very many; this file sizes them, and says which configurations deserve all rows.

On a table that would take a configuration many times its share of the budget, the clock would end its fits after a few
trees. So each is first fitted on as many rows as its share is enough for, and judged on all of them; the best is then
fitted on as many as the time that was saved on the others is enough for, on all if it can be.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from autokaggle.records.candidate import Candidate, Proposal, Search

SAMPLE_ROWS = "sample_rows"
TOLD = ", on a sample"
# Below, all rows are read and fitted quickly enough, and a sample loses more than it saves.
FEWEST_ROWS, SMALLEST_SAMPLE = 200_000, 40_000
# What would take so many times its share is tried on a sample, with a part of the share: reading, features and
# predictions are of all rows all the same.
TIMES_TOO_LONG = 3.0
PART_OF_SHARE = 0.5
# Samples together may take so much of the budget before the best is fitted on more rows, and that so much.
SHARE_OF_SAMPLES, SHARE_OF_ONE = 1 / 3, 0.4
MOST_PROMOTED = 3
# So large a sample may as well be all rows.
NEARLY_ALL = 0.8


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
    """Yield the best configurations on a sample, the best first, to be fitted on more rows, at best on all."""
    scored = [one for one in _sampled(search.candidates) if one.status == "scored" and one.score is not None]
    scored.sort(key=lambda one: one.score.mean if one.score else 0.0, reverse=search.plan.greater_is_better)
    yield from (_on_more_rows(one, search) for one in scored[:MOST_PROMOTED])


def _on_more_rows(candidate: Candidate, search: Search) -> Proposal:
    config, seconds = dict(candidate.proposal.config), SHARE_OF_ONE * search.plan.time_budget_seconds
    rows = config.pop(SAMPLE_ROWS) * max(1.0, seconds / config["most_seconds"])
    config["most_seconds"] = round(seconds, 1)
    is_all = rows >= NEARLY_ALL * search.profile.train_rows
    if not is_all:
        config[SAMPLE_ROWS] = int(round(rows, -3))
    return msgspec.structs.replace(
        candidate.proposal,
        operator="improve",
        parent=candidate.id,
        title=f"{candidate.proposal.title.removesuffix(TOLD)}, on {'all' if is_all else 'more'} rows",
        hypothesis="What did best on a sample should do better still with more rows.",
        config=config,
        # It ends its fits in time by itself: it may start when there is time for what a sample took.
        expected_seconds=None,
    )


def _sampled(candidates: Sequence[Candidate]) -> list[Candidate]:
    drafts = [one for one in candidates if one.proposal.author == "portfolio" and one.proposal.operator == "draft"]
    return [one for one in drafts if SAMPLE_ROWS in one.proposal.config]
