"""A lifecycle of runs for tests of the commands; this file leaves the files that a run leaves, and trains nothing."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import msgspec
from filelock import FileLock

from autokaggle.cli import main
from autokaggle.cli.program import Program
from autokaggle.config import Settings
from autokaggle.orchestrator.journal import Journal, Listener, utc_now
from autokaggle.records.candidate import Candidate, Proposal
from autokaggle.records.outcome import Member, Metrics, SentSubmission, SubmissionFacts
from autokaggle.records.plan import Plan, SubmissionFormat, Validation
from autokaggle.records.run import Run, RunOptions, RunStatus, StageRecord
from autokaggle.records.sandbox import Isolation
from autokaggle.skills.competition.address import parse_target
from autokaggle.skills.dialogue.person import Person
from autokaggle.storage.artifacts import RunFolder
from autokaggle.storage.records_file import read_record, write_record
from autokaggle.storage.state_store import StateStore

CV = {"mean": 0.8371, "std": 0.02, "folds": [0.82, 0.85], "low": 0.79, "high": 0.88}


@dataclass
class ScriptedLifecycle:
    """Leaves the files that a run leaves; ``trouble`` is raised in the search stage.

    The submission that it publishes answers "survived = 0" for every id that ``sample`` lists.
    """

    trouble: BaseException | None = None
    options: list[RunOptions] = field(default_factory=list)
    sent: tuple[SentSubmission, ...] = ()
    sample: str = "id,survived\n1,0\n"
    before_end: Callable[[RunFolder, Settings], None] = lambda folder, settings: None

    def start_run(self, options: RunOptions, settings: Settings) -> RunFolder:
        self.options.append(options)
        number = len(list(settings.runs_dir.glob("*"))) if settings.runs_dir.is_dir() else 0
        folder = RunFolder.create(settings.runs_dir, f"titanic-20260102-03040{number}-abcd")
        isolation = Isolation(level="strong", backend="bubblewrap")
        self._save(folder, settings, options, "created", isolation=isolation)
        return folder

    def carry_out(self, folder: RunFolder, settings: Settings, listener: Listener, person: Person | None = None) -> Run:
        options = read_record(folder.record, Run).options
        journal = Journal(folder, listener)
        with FileLock(folder.lock):
            self._save(folder, settings, options, "running")
            journal.tell(
                "run_started", run_id=folder.id, isolation="strong", backend="bubblewrap", budget_seconds=600.0
            )
            journal.tell("stage_started", "Searching", stage="search")
            journal.tell("candidate_started", candidate="c001", title="baseline", family="lightgbm")
            if self.trouble:
                self._save(folder, settings, options, "failed", error=str(self.trouble))
                raise self.trouble
            self._write_candidate(folder)
            score: dict[str, Any] = {
                "metric": "accuracy",
                "greater_is_better": True,
                "score": 0.8371,
                "low": 0.79,
                "high": 0.88,
            }
            journal.tell("candidate_finished", candidate="c001", status="scored", seconds=3.0, score=0.8371)
            journal.tell("best_changed", candidate="c001", **score)
            journal.tell("warning", "Two columns are \x1b[31mconstant.")
            self._publish(folder)
            self.before_end(folder, settings)
            stages = (StageRecord(name="search", status="done", started=utc_now(), seconds=4.5),)
            run = self._save(folder, settings, options, "done", stages=stages, sent=self.sent)
            journal.tell("run_finished", status="done", submission=str(folder.submission))
        return run

    def _save(self, folder: RunFolder, settings: Settings, options: RunOptions, status: RunStatus, **more: Any) -> Run:
        run = Run(
            id=folder.id, slug=parse_target(options.target).slug, target=options.target, options=options, status=status,
            created="2026-01-02T03:04:05Z", updated=utc_now(), budget_seconds_used=4.5, plan=self._plan(),
            **{"isolation": Isolation(level="strong", backend="bubblewrap"), **more},
        )  # fmt: skip
        write_record(folder.record, run)
        with StateStore(settings.state) as store:
            store.record_run(run, folder.path)
        return run

    def _plan(self) -> Plan:
        columns = tuple(self.sample.split("\n", 1)[0].split(","))
        form = SubmissionFormat(
            kind="probability", columns=columns, id_columns=columns[:1], ids_from="sample_submission.parquet"
        )
        return Plan(
            slug="titanic", task_type="binary_classification", target_columns=columns[1:], id_columns=columns[:1],
            prediction_columns=columns[1:], metric="accuracy", greater_is_better=True, submission=form,
            train_table="train.parquet", test_table="sample_submission.parquet",
            validation=Validation(scheme="kfold", folds=5),
        )  # fmt: skip

    def _write_candidate(self, folder: RunFolder) -> None:
        candidate = folder.candidate("c001")
        candidate.path.mkdir()
        proposal = Proposal(title="baseline", family="lightgbm")
        write_record(candidate.record, Candidate(id="c001", proposal=proposal, status="failed", reason="said so"))
        candidate.log.write_bytes(b"training\n\x1b[2J\x1b]0;owned\x07 fold 1\xff\nlast line")

    def _publish(self, folder: RunFolder) -> None:
        folder.submission.write_text(self.sample)
        source = folder.input / "sample.csv"
        source.write_text(self.sample)
        # Exact text, as the profiler leaves it.
        query = f"COPY (FROM read_csv('{source}', all_varchar = true)) TO '{folder.tables}/sample_submission.parquet'"
        duckdb.sql(query)
        metrics = Metrics(
            metric="accuracy", greater_is_better=True, cv=CV, candidates=1,
            ensemble=(Member(candidate="c001", weight=1),),
            submission=SubmissionFacts(rows=1, sha256="ab" * 32), seconds={}, isolation="strong",
        )  # fmt: skip
        write_record(folder.metrics, metrics)


def call(*arguments: str, lifecycle: ScriptedLifecycle | None = None) -> int:
    return main(list(arguments), Program(lifecycle or ScriptedLifecycle()))


def one_object(text: str) -> dict[str, Any]:
    """Read stdout, which must be exactly one JSON object in one line."""
    assert text.count("\n") == 1
    found = json.loads(text)
    assert isinstance(found, dict)
    return found


def killed(folder: RunFolder) -> None:
    """Make the run look as `kill -9` leaves it: it says running, and nobody holds its lock."""
    run = read_record(folder.record, Run)
    write_record(folder.record, msgspec.structs.replace(run, status="running"))
    kept = [line for line in folder.events.read_bytes().splitlines() if b"run_finished" not in line]
    folder.events.write_bytes(b"\n".join(kept) + b'\n{"time": "2026')


def start_slow_run(workplace: Path) -> threading.Thread:
    """Start a run that takes a second after its last score; return when it has begun."""
    slow = ScriptedLifecycle(before_end=lambda folder, settings: time.sleep(1.0))
    worker = threading.Thread(target=call, args=("run", "titanic", "--quiet"), kwargs={"lifecycle": slow})
    worker.start()
    while not list(workplace.glob("runs/*/logs/run.log")):
        time.sleep(0.01)
    return worker
