"""What every stage of one run works with; this file holds it and the record of the run, nothing else."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from autokaggle.config import Settings
from autokaggle.errors import AutoKaggleError, RunInterrupted
from autokaggle.orchestrator.budget import Budget
from autokaggle.orchestrator.journal import Journal, utc_now
from autokaggle.orchestrator.orphans import end_orphans_of
from autokaggle.plugins.manager import Plugins
from autokaggle.records.candidate import Candidate
from autokaggle.records.competition import Competition
from autokaggle.records.data_profile import DataProfile
from autokaggle.records.plan import Plan
from autokaggle.records.run import Run
from autokaggle.records.sandbox import Isolation, StepResult
from autokaggle.skills.pipeline.proposals import wants_gpu
from autokaggle.skills.sandbox.executor import KILLED_EXIT_CODE, SandboxLost, run_job
from autokaggle.skills.sandbox.job import Job
from autokaggle.skills.sandbox.limits import Limits, default_limits, steps_at_once
from autokaggle.storage.artifacts import RunFolder
from autokaggle.storage.disk import LEAST_FREE_BYTES, refuse_full_disk
from autokaggle.storage.records_file import read_record, write_record
from autokaggle.storage.run_folders import read_candidates
from autokaggle.storage.state_store import StateStore

if TYPE_CHECKING:
    from autokaggle.orchestrator.best_so_far import BestSoFar
    from autokaggle.skills.dialogue.person import Person

RunJob = Callable[[Job, Isolation, threading.Event | None], StepResult]


class AnyOf(threading.Event):
    """Set as soon as one of several events is."""

    def __init__(self, *events: threading.Event) -> None:
        super().__init__()
        self._events = events

    def is_set(self) -> bool:
        return super().is_set() or any(event.is_set() for event in self._events)


@dataclass
class RunContext:
    """One process's hold on a run. The record on disk is replaced with every change.

    ``execute`` is where jobs run: on this machine, or on a cluster, of which ``cluster_width`` can run at once.
    ``is_gpu_told`` says that the person knows already that the processor does what the GPU was to do.
    ``at_once`` is how many candidates share the machine now; ``stopping`` is set when all of them must end.
    """

    folder: RunFolder
    settings: Settings
    run: Run
    journal: Journal
    plugins: Plugins
    budget: Budget
    state: StateStore | None = None
    best: BestSoFar | None = None
    person: Person | None = None
    environment_ahead: threading.Thread | None = None
    execute: RunJob = run_job
    cluster_width: int | None = None
    at_once: int = 1
    is_gpu_told: bool = False
    stopping: threading.Event = field(default_factory=threading.Event, repr=False)
    _saving: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def save(self, **changes: Any) -> None:
        """Replace the run's record by one with ``changes`` and the time used so far, on disk first."""
        with self._saving:
            used = round(self.budget.used_seconds, 3)
            self.run = msgspec.structs.replace(self.run, **changes, updated=utc_now(), budget_seconds_used=used)
            write_record(self.folder.record, self.run)
            if self.state is not None:
                self.state.record_run(self.run, self.folder.path)

    def save_candidate(self, candidate: Candidate) -> None:
        """Replace a candidate's record, on disk first, and note the time that the run has used."""
        write_record(self.folder.candidate(candidate.id).record, candidate)
        if self.state is not None:
            self.state.record_candidate(self.run.id, candidate)
        self.save()

    def limits(self, wall_seconds: float, folder: Path, beside: int = 1) -> Limits:
        """Bound a job that writes to ``folder``: by the run's flags, else by the settings, else by this machine.

        ``beside`` is how many such jobs run at once.
        """
        options = self.run.options
        return default_limits(
            wall_seconds=wall_seconds,
            settings=self.settings,
            memory_bytes=options.memory_bytes,
            disk_bytes=options.disk_bytes,
            processes=options.processes,
            folder=folder,
            beside=beside,
        )

    def steps_at_once(self, most: int) -> int:
        """Return how many of ``most`` jobs can have the memory that was asked for each; a cluster has room for all."""
        asked = self.run.options.memory_bytes or self.settings.memory_bytes
        return most if self.cluster_width else steps_at_once(most, asked)

    def run_job(self, job: Job, cancelled: threading.Event | None = None) -> StepResult:
        """Run a job of this run behind the walls that are on its record, and wait for its end, or for ``cancelled``.

        One that somebody else killed is run once more.

        Raises:
            DiskTrouble: it did not end well, and its disk is full.
            AutoKaggleError: the run has no isolation on record, or the job could not be run at all.
            RunInterrupted: the run is stopping; nothing is known of what the job would have done.
        """
        began = time.monotonic()
        with contextlib.suppress(SandboxLost):
            step = self._execute(job, cancelled)
            if step.limit or step.exit_code != KILLED_EXIT_CODE:
                return step
        end_orphans_of(job.log)
        # Somebody killed it, not the code: one more chance, in what is left of its time, before it counts as failed.
        self.journal.warn(f"The sandbox of {job.log.parent.name} was killed from outside; it is run again.")
        left = max(1.0, job.limits.wall_seconds - (time.monotonic() - began))
        again = dataclasses.replace(job, limits=dataclasses.replace(job.limits, wall_seconds=left))
        return self._execute(again, cancelled)

    def _execute(self, job: Job, cancelled: threading.Event | None) -> StepResult:
        if self.run.isolation is None:
            raise AutoKaggleError(f"Run {self.run.id} has no isolation on record.", "Resume it: that probes anew.")
        stopping = self.stopping
        try:
            step = self.execute(job, self.run.isolation, AnyOf(stopping, cancelled) if cancelled else stopping)
        except SandboxLost:
            refuse_full_disk(job.output)
            raise
        if stopping.is_set():
            raise RunInterrupted(f"Run {self.run.id} was stopped.", f"Go on with: autokaggle resume {self.run.id}")
        if step.exit_code != 0 and step.limit in (None, "disk"):
            # The limit is a part of what was free: code that reached it on a small disk is not to blame.
            refuse_full_disk(job.output, LEAST_FREE_BYTES * (4 if step.limit else 1))
        return step

    @property
    def is_executed(self) -> bool:
        """Say whether generated code is run at all, or only written."""
        return not (self.run.options.skip_execution or self.settings.skip_execution)

    @property
    def competition(self) -> Competition:
        return read_record(self.folder.competition, Competition)

    @property
    def profile(self) -> DataProfile:
        return read_record(self.folder.profile, DataProfile)

    @property
    def plan(self) -> Plan:
        """Raises:
        AutoKaggleError: the plan stage has not run yet.
        """
        if self.run.plan is None:
            raise AutoKaggleError(f"Run {self.run.id} has no plan yet.", "Resume it: the plan stage comes first.")
        return self.run.plan

    @property
    def gpu_members(self) -> tuple[str, ...]:
        """Which members of what was published were set to use a GPU."""
        members = {member.candidate for member in self.run.ensemble.members} if self.run.ensemble else set()
        return tuple(one.id for one in self.candidates() if one.id in members and wants_gpu(one.proposal))

    def candidates(self) -> list[Candidate]:
        """All recorded candidates, in the order in which they were made."""
        return read_candidates(self.folder)
