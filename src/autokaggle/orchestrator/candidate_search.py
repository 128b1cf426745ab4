"""The search; this file spends the time budget on proposals, one after another, and keeps the best at hand.

A proposal is started when what is left should be enough for it, judged by how long earlier ones took against what was
expected of them.
"""

from __future__ import annotations

from autokaggle.errors import AutoKaggleError, OutsideWorldError
from autokaggle.orchestrator.best_so_far import best_so_far
from autokaggle.orchestrator.candidate_run import run_candidate
from autokaggle.orchestrator.context import RunContext
from autokaggle.orchestrator.run_environment import RunEnvironments
from autokaggle.records import Candidate, Proposal, Search
from autokaggle.skills.pipeline.proposals import identity, known_in
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
        environments = RunEnvironments(context, *requirements(context))
    except OutsideWorldError as error:
        context.journal.tell("warning", f"No candidate can run: {error.message} {error.next_step}")
        return "no environment, so no candidate"
    finished = [candidate for candidate in context.candidates() if candidate.status in FINISHED]
    pace = Pace()
    for candidate in finished:
        pace.learn(candidate)
    declined: list[Proposal] = []
    most = context.run.options.max_candidates
    while most is None or len(finished) < most:
        environments.take()
        # A run of so many candidates is to give the same ones each time, however long packages take to come.
        proposal = _next_proposal(context, finished, declined, environments.missing if most is None else ())
        seconds = context.budget.left_for_search_seconds
        if seconds < SHORTEST_SECONDS:
            break
        if proposal is None or not environments.hold(proposal):
            if not environments.wait(seconds):
                if proposal is None:
                    break
                declined.append(proposal)
            continue
        if finished and pace.expect(proposal) > seconds:
            context.journal.tell("info", f"Not started: {proposal.title} needs about {pace.expect(proposal):.0f} s.")
            declined.append(proposal)
            continue
        name = f"c{len(finished) + 1:03d}"
        candidate, evaluation = run_candidate(context, best, name, proposal, environments.current, seconds)
        if most is None:
            environments.build_rest()
        finished.append(candidate)
        pace.learn(candidate)
        if evaluation is not None:
            best.add(candidate, evaluation)
    scored = len(best.evaluations)
    return f"{len(finished)} candidates tried, {scored} scored; {best.plan.metric} {best.score.mean:.5g}"


def requirements(context: RunContext) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return what the template needs, and for all that proposers ask for besides what of it may be installed."""
    needed = dict.fromkeys(context.plugins.template(context.plan.template).requirements)
    plan, profile = context.plan, context.profile
    later: dict[str, str] = {}
    for proposer in context.plugins.proposers():
        for line in proposer.requirements(plan, profile):
            if line not in needed and line not in later:
                accepted, refused = check_requirements([line])
                later[line] = "".join(accepted)
                for refusal in refused:
                    context.journal.tell("warning", f"{refusal.requirement} is not installed: {refusal.reason}")
    return tuple(needed), later


def first_proposal(context: RunContext) -> Proposal:
    """Return what the search would try first.

    Raises:
        AutoKaggleError: no proposer has any.
    """
    proposal = _next_proposal(context, [], [], tuple(requirements(context)[1])) or _next_proposal(context, [], [], ())
    if proposal is None:
        raise AutoKaggleError("Nothing was proposed.", "Choose another --model-family.")
    return proposal


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


def _next_proposal(
    context: RunContext, finished: list[Candidate], declined: list[Proposal], missing: tuple[str, ...]
) -> Proposal | None:
    search = Search(
        plan=context.plan,
        profile=context.profile,
        seconds_left=context.budget.left_for_search_seconds,
        candidates=tuple(finished),
        declined=tuple(declined),
        missing=missing,
    )
    known = known_in(search)
    for proposer in context.plugins.proposers():
        proposal = proposer.propose(search)
        if proposal is not None and identity(proposal) not in known and not {*proposal.requirements} & {*missing}:
            return proposal
    return None
