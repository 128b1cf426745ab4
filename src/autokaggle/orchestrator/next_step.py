"""What to ask a language model for next; this file chooses operator and parents from the results so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from autokaggle.records.candidate import Candidate, Operator, Proposal, Search
from autokaggle.skills.pipeline.written_code import OWN_MODEL

FIRST_DRAFTS = 3
DEEPEST_DEBUG = 3
MOST_FUSES = 2
IMPROVES_BEFORE_FUSE = 2
SCORED_BEFORE_PIPELINE = 2
# After so many changes that gained nothing, another parent has its turn.
MOST_VAIN_CHILDREN = 3


@dataclass(frozen=True)
class Step:
    """One request: ``parents`` are ids; ``is_pipeline`` asks a draft for a model besides features."""

    operator: Operator
    parents: tuple[str, ...] = ()
    is_pipeline: bool = False


class History:
    """The model's own part of a search, and what of it came to nothing before it was run (``dropped``)."""

    def __init__(self, search: Search, dropped: Sequence[Step]) -> None:
        self.finished = [one for one in search.candidates if one.proposal.author == "model"]
        at_work = [one for one in search.running if one.author == "model"]
        self.proposals: list[Proposal] = [*(one.proposal for one in self.finished), *at_work]
        self.dropped = dropped
        self.by_id = {one.id: one for one in search.candidates}
        self.greater_is_better = search.plan.greater_is_better

    @property
    def ranked(self) -> list[Candidate]:
        """Those with a score, the best first."""
        scored = [one for one in self.finished if one.status == "scored" and one.score is not None]
        return sorted(scored, key=lambda one: one.score.mean if one.score else 0.0, reverse=self.greater_is_better)

    def count(self, operator: Operator) -> int:
        made = sum(one.operator == operator for one in self.proposals)
        return made + sum(one.operator == operator for one in self.dropped)

    def has_tried(self, operator: Operator, parent: str) -> bool:
        """Say whether the operator was applied to the candidate, with whatever result."""
        made = any(one.operator == operator and one.parent == parent for one in self.proposals)
        return made or any(one.operator == operator and parent in one.parents for one in self.dropped)

    def vain_children(self, parent: str) -> int:
        """Count the changes to a candidate that did not score better than it, beyond the noise."""
        vain = sum(one.operator == "improve" and parent in one.parents for one in self.dropped)
        for one in self.finished:
            if one.proposal.parent == parent:
                vain += not any(gain.over == parent and gain.value > 0 and not gain.is_noise for gain in one.gains)
        return vain

    def debugs_behind(self, candidate: Candidate) -> int:
        """Count the repairs that led to a candidate, one after another."""
        depth, one = 0, candidate
        while one.proposal.operator == "debug" and one.proposal.parent in self.by_id:
            depth, one = depth + 1, self.by_id[one.proposal.parent]
        return depth

    def root(self, candidate: Candidate) -> str:
        """Return the draft that a candidate comes from."""
        while candidate.proposal.parent in self.by_id:
            candidate = self.by_id[candidate.proposal.parent]
        return candidate.id


def next_step(search: Search, dropped: Sequence[Step]) -> Step | None:
    """Return the next request: repair what failed, else draft, then improve, now and then fuse; None for nothing."""
    history = History(search, dropped)
    for one in reversed(history.finished):
        is_open = one.status == "failed" and not history.has_tried("debug", one.id)
        if is_open and history.debugs_behind(one) < DEEPEST_DEBUG:
            return Step("debug", (one.id,))
    if history.count("draft") < FIRST_DRAFTS:
        return Step("draft")
    ranked = history.ranked
    is_pipeline_due = not any(OWN_MODEL in one.files for one in history.proposals)
    if is_pipeline_due and len(ranked) >= SCORED_BEFORE_PIPELINE and not any(one.is_pipeline for one in dropped):
        return Step("draft", is_pipeline=True)
    if pair := _pair_to_fuse(history, ranked):
        return Step("fuse", pair)
    parents = [one.id for one in ranked if history.vain_children(one.id) < MOST_VAIN_CHILDREN]
    if parents:
        return Step("improve", (parents[0],))
    return Step("draft") if history.count("draft") < 2 * FIRST_DRAFTS else None


def _pair_to_fuse(history: History, ranked: Sequence[Candidate]) -> tuple[str, str] | None:
    """Return the two best candidates that come from different drafts of features, when a fusion is due."""
    fuses = history.count("fuse")
    if fuses >= MOST_FUSES or history.count("improve") < IMPROVES_BEFORE_FUSE * (fuses + 1):
        return None
    of_features = [one for one in ranked if OWN_MODEL not in one.proposal.files]
    for second in of_features[1:]:
        first = of_features[0]
        if history.root(second) != history.root(first) and second.proposal.operator != "fuse":
            return first.id, second.id
    return None
