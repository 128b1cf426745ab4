"""The search; this file spends the time budget on the proposals of all proposers, and keeps the best at hand.

First the quickest sane baseline; then, whenever there is room for another candidate, the offer with the largest
expected gain per second. What is left of the budget at the end is for the ensemble.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from itertools import count

import msgspec

from autokaggle.errors import AutoKaggleError, DiskTrouble, OutsideWorldError
from autokaggle.orchestrator.best_so_far import BestSoFar, best_so_far
from autokaggle.orchestrator.candidate_history import keep_changes
from autokaggle.orchestrator.context import RunContext
from autokaggle.orchestrator.crew import Crew, Outcome
from autokaggle.orchestrator.model_proposer import ModelProposer
from autokaggle.orchestrator.policy import SHORTEST_SECONDS, Policy, candidates_at_once
from autokaggle.orchestrator.run_environment import RunEnvironments
from autokaggle.orchestrator.talking import open_gate
from autokaggle.plugins.extensions import Proposer
from autokaggle.records.candidate import Candidate, Proposal, Search
from autokaggle.records.plan import Plan
from autokaggle.skills.pipeline.proposals import identity, known_in
from autokaggle.skills.sandbox.limits import available_cores, machine_memory_bytes
from autokaggle.skills.sandbox.requirements import check_requirements

FINISHED = frozenset({"scored", "failed", "leaking"})
# A candidate ends within its seconds and one of grace; after this long without a sign it is left behind.
GRACE_SECONDS = 2.0
LOOK_SECONDS = 1.0


def search(context: RunContext) -> str:
    """Try proposals until the budget, the proposals or ``--max-candidates`` end."""
    if not context.is_executed:
        return "skipped: nothing is executed"
    with context.budget.measured():
        best = best_so_far(context)
        best.hand_in()
    try:
        environments = RunEnvironments(context, *requirements(context))
    except DiskTrouble:
        raise
    except OutsideWorldError as error:
        context.journal.warn(f"No candidate can run: {error.message} {error.next_step}")
        return "no environment, so no candidate"
    searching = CandidateSearch(context, best, environments)
    searching.carry_out()
    shutil.rmtree(context.folder.trial, ignore_errors=True)
    tried, scored = len(searching.finished), len(best.evaluations)
    if not tried:
        packages = ", ".join(environments.too_late)
        besides = f"; {packages} would have taken longer" if packages else ""
        said = "No candidate was tried: none could start in the time that was left, with the packages that were there"
        context.journal.warn(f"{said}{besides}.")
    return f"{tried} candidates tried, {scored} scored; {best.plan.metric} {best.score.mean:.5g}"


def requirements(context: RunContext) -> tuple[tuple[str, ...], dict[str, str], dict[str, str]]:
    """Return what the template needs, and for all that proposers ask for besides what of it may be installed.

    The last is the same for a plan without a GPU.
    """
    needed = tuple(dict.fromkeys(context.plugins.template(context.plan.template).requirements))
    without_gpu = msgspec.structs.replace(context.plan, gpu=False)
    asked, asked_without_gpu = (
        _asked_besides(context, context.plan, needed),
        _asked_besides(context, without_gpu, needed),
    )
    allowed = {line: _allowed(context, line) for line in dict.fromkeys((*asked, *asked_without_gpu))}
    return needed, {line: allowed[line] for line in asked}, {line: allowed[line] for line in asked_without_gpu}


def _asked_besides(context: RunContext, plan: Plan, needed: tuple[str, ...]) -> list[str]:
    profile = context.profile
    lines = (line for proposer in context.plugins.proposers() for line in proposer.requirements(plan, profile))
    return [line for line in dict.fromkeys(lines) if line not in needed]


def _allowed(context: RunContext, line: str) -> str:
    accepted, refused = check_requirements([line])
    for refusal in refused:
        context.journal.warn(f"{refusal.requirement} is not installed: {refusal.reason}")
    return "".join(accepted)


def first_proposal(context: RunContext) -> Proposal:
    """Return what the search would try first.

    Raises:
        AutoKaggleError: no proposer has any.
    """
    seconds = context.budget.left_for_search_seconds
    everything = Search(plan=context.plan, profile=context.profile, seconds_left=seconds)
    at_once = msgspec.structs.replace(everything, missing=tuple(requirements(context)[1]))
    proposers = context.plugins.proposers()
    proposal = next(offers(proposers, at_once), None) or next(offers(proposers, everything), None)
    if proposal is None:
        raise AutoKaggleError("Nothing was proposed.", "Choose another --model-family.")
    return proposal


def offers(proposers: list[Proposer], state: Search) -> Iterator[Proposal]:
    """Yield what each proposer would try next, less what the search knows already."""
    known = known_in(state)
    for proposer in proposers:
        proposal = proposer.propose(state)
        is_new = proposal is not None and identity(proposal) not in known
        if proposal is not None and is_new and not {*proposal.requirements} & {*state.missing}:
            yield proposal


class CandidateSearch:
    """One process's part of a search; it begins where an earlier one ended."""

    def __init__(self, context: RunContext, best: BestSoFar, environments: RunEnvironments) -> None:
        self.context = context
        self.best = best
        self.environments = environments
        self.most = context.run.options.max_candidates
        self.finished = [one for one in context.candidates() if one.status in FINISHED]
        self.declined: list[Proposal] = []
        self.proposers = context.plugins.proposers()
        # A run of so many candidates is to be the same each time: results come in one order only.
        here = context.steps_at_once(candidates_at_once(available_cores(), machine_memory_bytes()))
        size = 1 if self.most is not None else context.cluster_width or here
        self.crew = Crew(context, best, size)
        # When the last of those at work is over, in seconds of the budget: our own work may turn out slower meanwhile,
        # and what is kept back for it grows, but what was begun is not thrown away for that.
        self.promised_seconds = 0.0
        self.model = self._open_model()
        self.policy = Policy(is_repeatable=self.most is not None)
        for candidate in tuple(self.finished):
            self._take_up(candidate)

    def carry_out(self) -> None:
        """Start candidates and take in what they found until there is nothing more to start."""
        with self.crew:
            self._fill()
            while (self.crew.working or self._is_something_coming()) and not self._is_overdue():
                outcome = self.crew.wait(LOOK_SECONDS)
                if outcome is not None:
                    self.finished.append(outcome.candidate)
                    if self.most is None:
                        # The next one works while this one is weighed; then the choice knows less than a resumed run.
                        self._fill()
                    with self.context.budget.measured():
                        self._weigh(outcome)
                self._fill()

    def _is_overdue(self) -> bool:
        budget = self.context.budget
        return budget.left_for_search_seconds <= 0 and budget.used_seconds > self.promised_seconds + GRACE_SECONDS

    def _open_model(self) -> ModelProposer | None:
        """Let the run's language model propose as well, if it has one."""
        gate = open_gate(self.context)
        if gate is None:
            return None
        proposer = ModelProposer(self.context, gate, lambda: self.environments.current, self.crew.wake)
        self.proposers = [*self.proposers, proposer]
        return proposer

    def _is_something_coming(self) -> bool:
        """Say whether waiting may bring more to start."""
        is_time = self.context.budget.left_for_search_seconds >= SHORTEST_SECONDS
        is_coming = self.environments.is_building or (self.model is not None and self.model.is_thinking)
        return is_time and not self._is_enough() and is_coming

    def _fill(self) -> None:
        """Start candidates as long as there are room, time and proposals."""
        while self.crew.has_room and not self._is_enough():
            seconds = self.context.budget.left_for_search_seconds
            if seconds < SHORTEST_SECONDS:
                return
            self.environments.take()
            if self.model is not None and self.most is not None:
                self.model.settle(seconds)
            is_first = not self.finished and not self.crew.working
            found = list(offers(self.proposers, self._state(seconds)))
            proposal = (found[0] if is_first else self.policy.choose(found)) if found else None
            if proposal is None or not self.environments.hold(proposal):
                self.environments.build_rest()
                if proposal is None or self.environments.is_building:
                    return
                self.declined.append(proposal)
            elif not is_first and self.policy.expected_seconds(proposal) > seconds:
                expected = self.policy.expected_seconds(proposal)
                self.context.journal.tell("info", f"Not started: {proposal.title} needs about {expected:.0f} s.")
                self.declined.append(proposal)
            else:
                most = self.policy.most_seconds(proposal, seconds, self.context.budget.total_seconds)
                self.promised_seconds = max(self.promised_seconds, self.context.budget.used_seconds + most)
                self.crew.start(self._free_id(), proposal, self.environments.current, most)

    def _is_enough(self) -> bool:
        return self.most is not None and len(self.finished) + len(self.crew.working) >= self.most

    def _state(self, seconds: float) -> Search:
        plan = self.best.plan
        return Search(
            plan=msgspec.structs.replace(plan, gpu=False) if self.environments.leaves_gpu else plan,
            profile=self.context.profile,
            seconds_left=seconds,
            candidates=tuple(sorted(self.finished, key=_number)),
            running=tuple(self.crew.working.values()),
            declined=tuple(self.declined),
            # A run of so many candidates is to give the same ones each time, however long packages take to come.
            missing=self.environments.missing if self.most is None else (),
            is_improvement=bool(self.context.run.earlier),
        )

    def _take_up(self, candidate: Candidate) -> None:
        """Take in a candidate of an earlier process, which may have been killed before it was weighed."""
        if candidate.status != "scored" or candidate.ensemble_gain is not None:
            self.policy.learn(candidate)
            return
        evaluation = self.best.evaluate_again(candidate)
        if evaluation is not None:
            self._weigh(Outcome(candidate, evaluation))

    def _free_id(self) -> str:
        """Return the first id that is not taken: one that an interrupted process had begun with is used again."""
        taken = {*self.crew.working, *(candidate.id for candidate in self.finished)}
        return next(name for name in (f"c{number:03d}" for number in count(1)) if name not in taken)

    def _weigh(self, outcome: Outcome) -> None:
        """Hand in what is best now, and record what the candidate gained."""
        candidate = outcome.candidate
        keep_changes(self.context, candidate)
        if outcome.evaluation is not None:
            before = self.best.loss
            self.best.add(candidate, outcome.evaluation)
            after = self.best.loss
            gain = (before - after) / before if before and after is not None else 0.0
            candidate = msgspec.structs.replace(candidate, ensemble_gain=round(gain, 6))
            self.context.save_candidate(candidate)
            self.finished[self.finished.index(outcome.candidate)] = candidate
        self.policy.learn(candidate)
        if self.most is None:
            self.environments.build_rest()


def _number(candidate: Candidate) -> int:
    return int(candidate.id[1:])
