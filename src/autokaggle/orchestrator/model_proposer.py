"""The language model as a proposer; this file asks it for code in a thread beside the candidates at work.

One request at a time: its answer is checked and tried on few rows before it is offered. Whatever the model does, or
fails to do, the search goes on without it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from autokaggle.errors import AutoKaggleError
from autokaggle.orchestrator import talking
from autokaggle.orchestrator.ablation import ablation_text
from autokaggle.orchestrator.best_so_far import best_so_far
from autokaggle.orchestrator.code_trial import trial_problem
from autokaggle.orchestrator.context import RunContext
from autokaggle.orchestrator.next_step import History, Step, next_step
from autokaggle.orchestrator.said_by_code import tellable
from autokaggle.records.candidate import Candidate, Proposal, Search
from autokaggle.records.data_profile import DataProfile
from autokaggle.records.plan import Decisions, Plan
from autokaggle.skills.pipeline import portfolio, written_code
from autokaggle.skills.pipeline.proposals import identity, known_in
from autokaggle.skills.pipeline.written_code import Unusable, Work, make_proposal
from autokaggle.skills.sandbox.environment import Environment
from autokaggle.storage.records_file import read_record

if TYPE_CHECKING:
    from autokaggle.skills.dialogue.answers import CodeAnswer
    from autokaggle.skills.dialogue.code_requests import CodeTask, Program
    from autokaggle.skills.dialogue.payload_gate import PayloadGate

MOST_FAILURES = 3
LONGEST_ANSWER_SECONDS = 120.0
SHARE_FOR_ANSWER = 0.5
# A candidate of features alone runs fold by fold, and makes its features in each.
SEALED_FACTOR = 2.5
SUSPICIOUS_ERRORS = 3.0
OWN_FILES = (written_code.FEATURES, written_code.OWN_MODEL)


class ModelProposer:
    """Offers what a language model wrote, one candidate at a time; ``wake`` is called when it has something."""

    name = "model"

    def __init__(
        self, context: RunContext, gate: PayloadGate, environment: Callable[[], Environment], wake: Callable[[], None]
    ) -> None:
        self._context = context
        self._gate = gate
        self._environment = environment
        self._wake = wake
        self._decisions = read_record(context.folder.decisions, Decisions).decisions
        self._dropped: list[Step] = []
        self._reviewed: set[str] = set()
        self._ablations: dict[str, str] = {}
        self._failures = 0
        self._ready: Proposal | None = None
        self._thread: threading.Thread | None = None

    def requirements(self, plan: Plan, profile: DataProfile) -> tuple[str, ...]:
        """Return nothing: the model works with what the portfolio works with."""
        return ()

    @property
    def is_thinking(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def settle(self, seconds: float) -> None:
        """Wait for the answer to the open request, if there is one."""
        if self._thread is not None:
            self._thread.join(seconds)

    def propose(self, search: Search) -> Proposal | None:
        """Return what is ready, and ask for the next; None while the model is thinking."""
        if self.is_thinking:
            return None
        ready, self._ready = self._ready, None
        if ready is not None and identity(ready) in known_in(search):
            ready = None
        if self._failures < MOST_FAILURES:
            coming = (*search.running, ready) if ready is not None else search.running
            state = Search(
                plan=search.plan,
                profile=search.profile,
                seconds_left=search.seconds_left,
                candidates=search.candidates,
                running=coming,
                is_improvement=search.is_improvement,
            )
            self._thread = threading.Thread(target=self._think, args=(state,), name="language model", daemon=True)
            self._thread.start()
        return ready

    def _think(self, search: Search) -> None:
        from autokaggle.skills.dialogue.language_model import LASTING, ModelFailure

        step = next_step(search, tuple(self._dropped))
        if step is None:
            return
        try:
            suspicion = self._review(search)
            self._ready = self._ask(step, search, suspicion)
            self._failures = 0
        except ModelFailure as failure:
            self._dropped.append(step)
            self._failures = MOST_FAILURES if failure.kind in LASTING else self._failures + 1
            end = " The search goes on without it." if self._failures >= MOST_FAILURES else ""
            self._context.journal.warn(f"{failure.message} {failure.next_step}".strip() + end)
        except AutoKaggleError as error:
            self._dropped.append(step)
            self._failures += 1
            if not self._context.stopping.is_set():
                self._context.journal.warn(error.message)
        except Exception as error:  # noqa: BLE001 - the search goes on whatever happens here
            self._failures = MOST_FAILURES
            self._context.journal.warn(f"The language model is not asked any more: {error!r}")
        finally:
            self._wake()

    def _ask(self, step: Step, search: Search, suspicion: str) -> Proposal:
        from autokaggle.skills.dialogue.code_requests import ask_for_code

        parents = [one for name in step.parents for one in search.candidates if one.id == name]
        work = Work(
            operator=step.operator,
            families=self._families(),
            parent=parents[0].id if parents else None,
            requirements=portfolio.BASE_REQUIREMENTS,
            expected_seconds=self._expected_seconds(search, parents),
        )
        task = self._task(step, search, parents, suspicion)
        return ask_for_code(
            self._gate,
            talking.make_brief(self._context),
            self._decisions,
            task,
            lambda answer: self._use(answer, work, search),
            folders=talking.prompt_folders(self._context.settings, self._context.plugins),
            timeout_seconds=self._patience(),
        )

    def _use(self, answer: CodeAnswer, work: Work, search: Search) -> Proposal:
        """Make a proposal of an answer, checked and tried.

        Raises:
            MalformedAnswer: it is not what was asked for, or fails on few rows; it says why.
        """
        from autokaggle.skills.dialogue.answers import MalformedAnswer

        try:
            proposal = make_proposal(answer.meta, answer.codes, work, search.plan, search.profile)
        except Unusable as unusable:
            raise MalformedAnswer(*unusable.problems) from unusable
        if identity(proposal) in known_in(search):
            raise MalformedAnswer("This is the same as an earlier attempt. Change what the code does.")
        if problem := trial_problem(self._context, self._environment(), proposal):
            raise MalformedAnswer(problem)
        return proposal

    def _task(self, step: Step, search: Search, parents: list[Candidate], suspicion: str) -> CodeTask:
        from autokaggle.skills.dialogue.code_requests import CodeTask, error_digest
        from autokaggle.skills.dialogue.ideas import PIPELINE, ideas

        log, idea, ablation = "", "", ""
        if step.operator == "debug":
            path = self._context.folder.candidate(parents[0].id).log
            said = path.read_text("utf-8", "replace") if path.is_file() else ""
            log = error_digest(f"{said}\n{parents[0].reason}", lambda text: tellable(self._context, [text])[0])
            idea = parents[0].proposal.hypothesis
        elif step.operator == "draft":
            directions = ideas(self._decisions)
            number = History(search, self._dropped).count("draft")
            idea = PIPELINE if step.is_pipeline else directions[number % len(directions)]
        elif step.operator == "improve":
            idea, ablation = suspicion, self._ablation(parents[0])
        return CodeTask(
            operation="pipeline" if step.is_pipeline else step.operator,
            idea=idea,
            families=self._families(),
            seconds=search.seconds_left / 4,
            programs=tuple(self._program(one) for one in parents),
            ablation=ablation,
            log=log,
        )

    def _ablation(self, candidate: Candidate) -> str:
        """Say what the parts of a candidate are worth, measured once."""
        if candidate.id not in self._ablations:
            context = self._context
            found = ablation_text(context, best_so_far(context), candidate, self._environment())
            self._ablations[candidate.id] = found
        return self._ablations[candidate.id]

    def _review(self, search: Search) -> str:
        """Have the best of the model's candidates reviewed when it is suspiciously good; return what is suspected."""
        from autokaggle.skills.dialogue.code_requests import ask_for_review

        best = next(iter(History(search, ()).ranked), None)
        if best is None or best.id in self._reviewed or not is_suspicious(best):
            return ""
        self._reviewed.add(best.id)
        folders = talking.prompt_folders(self._context.settings, self._context.plugins)
        brief, program = talking.make_brief(self._context), self._program(best)
        review = ask_for_review(self._gate, brief, program, folders=folders, timeout_seconds=self._patience())
        found = [f"line {each.line}, `{each.code.strip()}`: {each.effect}" for each in review.findings]
        said = ": ".join([f"Reviewed {best.id} for leakage: {review.verdict}", *(["; ".join(found)] if found else [])])
        self._context.journal.tell("info", said)
        if review.verdict not in ("leak", "suspect"):
            return ""
        return "A reviewer suspects that this leaks; do it without: " + "; ".join(found[:3])

    def _program(self, candidate: Candidate) -> Program:
        from autokaggle.skills.dialogue.code_requests import Program

        proposal = candidate.proposal
        files = {name: proposal.files[name] for name in OWN_FILES if name in proposal.files}
        config = {"family": proposal.family, **proposal.config.get("model", {}), **proposal.config.get("features", {})}
        return Program(candidate, files, str(config))

    def _families(self) -> tuple[str, ...]:
        asked = self._context.plan.families
        return tuple(name for name in ("lightgbm", "linear", "extra_trees") if name in asked or not asked) or ("own",)

    def _expected_seconds(self, search: Search, parents: list[Candidate]) -> float | None:
        like = [one for one in (parents or search.candidates) if one.status == "scored"]
        if not like:
            return None
        slowest = max(like, key=lambda one: one.seconds)
        return round(slowest.seconds * (1.0 if slowest.proposal.author == "model" else SEALED_FACTOR), 1)

    def _patience(self) -> float:
        return min(LONGEST_ANSWER_SECONDS, SHARE_FOR_ANSWER * self._context.budget.left_for_search_seconds)


def is_suspicious(candidate: Candidate) -> bool:
    """Say whether a candidate is better than any before it by so much that a leak is likelier than an idea."""
    return any(gain.error > 0 and gain.value > SUSPICIOUS_ERRORS * gain.error for gain in candidate.gains)
