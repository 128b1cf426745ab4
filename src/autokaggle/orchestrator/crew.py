"""Candidates at work side by side; this file runs each in a thread of its own and hands back what came of it."""

from __future__ import annotations

import queue
import threading
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from autokaggle.orchestrator.best_so_far import BestSoFar
from autokaggle.orchestrator.candidate_run import run_candidate
from autokaggle.orchestrator.context import RunContext
from autokaggle.records.candidate import Candidate, Proposal
from autokaggle.skills.sandbox.environment import Environment
from autokaggle.skills.scoring.evaluator import Evaluation

# A candidate's processes end within a second of their limit, or of the order to stop.
PATIENCE_SECONDS = 5.0


@dataclass(frozen=True)
class Outcome:
    """A finished candidate; ``evaluation`` is None when there is no score."""

    candidate: Candidate
    evaluation: Evaluation | None


class Crew:
    """Up to ``size`` candidates at once. Leaving the block stops those that still work and waits for their end."""

    def __init__(self, context: RunContext, best: BestSoFar, size: int) -> None:
        self.size = size
        self.working: dict[str, Proposal] = {}
        self._context = context
        self._best = best
        self._threads: list[threading.Thread] = []
        self._finished: queue.SimpleQueue[tuple[str, Outcome | BaseException] | None] = queue.SimpleQueue()

    def __enter__(self) -> Self:
        # On a cluster each has a machine, or its part of one, to itself.
        self._context.at_once = 1 if self._context.cluster_width else self.size
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.working:
            self._context.stopping.set()
        for thread in self._threads:
            thread.join(PATIENCE_SECONDS)
        self._context.at_once = 1
        self._context.stopping = threading.Event()

    @property
    def has_room(self) -> bool:
        return len(self.working) < self.size

    def start(self, candidate_id: str, proposal: Proposal, environment: Environment, seconds: float) -> None:
        """Begin with a proposal; it is recorded as running before this returns or soon after."""
        self.working[candidate_id] = proposal
        arguments = (candidate_id, proposal, environment, seconds)
        thread = threading.Thread(target=self._work, args=arguments, name=f"candidate {candidate_id}", daemon=True)
        self._threads = [*(each for each in self._threads if each.is_alive()), thread]
        thread.start()

    def wake(self) -> None:
        """Let who waits look up: something else than a candidate is ready."""
        self._finished.put(None)

    def wait(self, seconds: float) -> Outcome | None:
        """Wait for a candidate's end, for ``wake``, or as long as told; return what came of it, else None.

        Raises:
            AutoKaggleError: a candidate could not be run at all, for no fault of its code.
        """
        try:
            found = self._finished.get(timeout=max(0.0, seconds))
        except queue.Empty:
            return None
        if found is None:
            return None
        candidate_id, outcome = found
        del self.working[candidate_id]
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    def _work(self, candidate_id: str, proposal: Proposal, environment: Environment, seconds: float) -> None:
        try:
            found = run_candidate(self._context, self._best, candidate_id, proposal, environment, seconds)
        except BaseException as error:  # noqa: BLE001 - it is raised where somebody waits
            self._finished.put((candidate_id, error))
        else:
            self._finished.put((candidate_id, Outcome(*found)))
