"""The search; this file spends the time budget on proposals, one after another, and keeps the best at hand.

A proposal is started when what is left should be enough for it, judged by how long earlier ones took against what was
expected of them.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from autokaggle.errors import OutsideWorldError
from autokaggle.orchestrator.best_so_far import best_so_far
from autokaggle.orchestrator.candidate_run import run_candidate
from autokaggle.orchestrator.context import RunContext
from autokaggle.orchestrator.run_environment import prepare_environment
from autokaggle.records import Candidate, Proposal
from autokaggle.skills.sandbox.requirements import check_requirements

# Less than this is not worth starting a candidate for: imports alone take two seconds.
SHORTEST_SECONDS = 4.0

FINISHED = frozenset({"scored", "failed", "leaking"})


def search(context: RunContext) -> str:
    """Try proposals until the budget, the proposals or ``--max-candidates`` end."""
    if not context.is_executed:
        return "skipped: nothing is executed"
    best = best_so_far(context)
    best.hand_in()
    try:
        environment = prepare_environment(context, requirements(context))
    except OutsideWorldError as error:
        context.journal.tell("warning", f"No candidate can run: {error.message} {error.next_step}")
        return "no environment, so no candidate"
    earlier = [candidate for candidate in context.candidates() if candidate.status in FINISHED]
    pace = Pace()
    for candidate in earlier:
        pace.learn(candidate)
    number = len(earlier)
    for proposal in _not_yet_tried(context, earlier):
        if context.run.options.max_candidates is not None and number >= context.run.options.max_candidates:
            break
        seconds = context.budget.left_for_search_seconds
        if seconds < SHORTEST_SECONDS:
            break
        if number and pace.expect(proposal) > seconds:
            context.journal.tell("info", f"Not started: {proposal.title} needs about {pace.expect(proposal):.0f} s.")
            continue
        number += 1
        candidate, evaluation = run_candidate(context, best, f"c{number:03d}", proposal, environment, seconds)
        pace.learn(candidate)
        if evaluation is not None:
            best.add(candidate, evaluation)
    scored = len(best.evaluations)
    return f"{number} candidates tried, {scored} scored; {best.plan.metric} {best.score.mean:.5g}"


def requirements(context: RunContext) -> tuple[str, ...]:
    """Return what the template and every proposal that may be tried need; what may not be installed is left out."""
    needed = dict.fromkeys(context.plugins.template(context.plan.template).requirements)
    asked = dict.fromkeys(line for proposal in _proposals(context) for line in proposal.requirements)
    accepted, refused = check_requirements(line for line in asked if line not in needed)
    for refusal in refused:
        context.journal.tell("warning", f"{refusal.requirement} is not installed: {refusal.reason}")
    return (*needed, *accepted)


def first_proposal(context: RunContext) -> Proposal:
    """Return what the search would try first."""
    return next(_proposals(context))


class Pace:
    """How long candidates take here against what was expected of them."""

    def __init__(self) -> None:
        self._factor = 1.0

    def learn(self, candidate: Candidate) -> None:
        """Take one finished candidate into account."""
        expected = candidate.proposal.expected_seconds
        if expected and candidate.status == "scored":
            self._factor = max(0.5, self._factor * 0.5 + 0.5 * candidate.seconds / expected)

    def expect(self, proposal: Proposal) -> float:
        """Return the seconds that a proposal should take here."""
        return (proposal.expected_seconds or SHORTEST_SECONDS) * self._factor


def _proposals(context: RunContext) -> Iterator[Proposal]:
    plan, profile = context.plan, context.profile
    for proposer in context.plugins.proposers():
        yield from proposer.propose(plan, profile)


def _not_yet_tried(context: RunContext, earlier: list[Candidate]) -> Iterator[Proposal]:
    # Compared as JSON, which is what a record on disk was read back from.
    tried = {msgspec.json.encode(candidate.proposal, order="deterministic") for candidate in earlier}
    for proposal in _proposals(context):
        if msgspec.json.encode(proposal, order="deterministic") not in tried:
            yield proposal
