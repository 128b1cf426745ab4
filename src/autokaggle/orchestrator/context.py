"""What every stage of one run works with; this file holds it and the record of the run, nothing else."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from autokaggle.config import Settings
from autokaggle.errors import AutoKaggleError
from autokaggle.orchestrator.budget import Budget
from autokaggle.orchestrator.journal import Journal
from autokaggle.plugins.manager import Plugins
from autokaggle.records import Candidate, Competition, DataProfile, Plan, Run
from autokaggle.storage.artifacts import RunFolder
from autokaggle.storage.records_file import read_record, write_record
from autokaggle.storage.state_store import StateStore

if TYPE_CHECKING:
    from autokaggle.orchestrator.best_so_far import BestSoFar


@dataclass
class RunContext:
    """One process's hold on a run. The record on disk is replaced with every change."""

    folder: RunFolder
    settings: Settings
    run: Run
    journal: Journal
    plugins: Plugins
    budget: Budget
    state: StateStore | None = None
    cancelled: threading.Event = field(default_factory=threading.Event)
    best: BestSoFar | None = None

    def save(self, run: Run) -> None:
        """Replace the run's record, on disk first."""
        self.run = run
        write_record(self.folder.record, run)
        if self.state is not None:
            self.state.record_run(run, self.folder.path)

    def save_candidate(self, candidate: Candidate) -> None:
        """Replace a candidate's record, on disk first."""
        write_record(self.folder.candidate(candidate.id).record, candidate)
        if self.state is not None:
            self.state.record_candidate(self.run.id, candidate)

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

    def candidates(self) -> list[Candidate]:
        """All recorded candidates, in the order in which they were made."""
        found = [folder.record for folder in self.folder.all_candidates()]
        return [read_record(record, Candidate) for record in found if record.is_file()]
