"""Foreign code under seal; this file runs a candidate once per fold, each time without that fold's labels.

The inputs are made once in a run and shared by its candidates. As many folds run side by side as there are cores. Where
folds go forward in time, a last run on everything predicts test, since no fold's model knows the newest rows.
"""

from __future__ import annotations

import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from autokaggle.orchestrator.best_so_far import BestSoFar
from autokaggle.orchestrator.code_run import failure_of, run_code
from autokaggle.orchestrator.context import RunContext
from autokaggle.records.sandbox import StepResult
from autokaggle.skills.sandbox.limits import available_cores
from autokaggle.skills.scoring.prediction_files import InvalidPredictions
from autokaggle.skills.scoring.sealed_folds import join_oof, join_test
from autokaggle.skills.scoring.sealing import seal_input
from autokaggle.storage.artifacts import CandidateFolder
from autokaggle.storage.records_file import make_private_folder

_sealing = threading.Lock()


@dataclass
class SealedRun:
    """The runs of one candidate; ``problem`` is "" while nothing went wrong."""

    context: RunContext
    best: BestSoFar
    folder: CandidateFolder
    environment: Path
    end: float
    steps: list[StepResult] = field(default_factory=list)
    problem: str = ""
    _stop: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _failed_log: Path | None = None
    _left: int = 0
    _beside: int = 1

    def carry_out(self) -> None:
        """Run every fold, then join what they wrote into the candidate's two prediction files."""
        folds = self.best.folds.validated
        is_forward = self.best.folds.kind == "forward"
        self._left = len(folds) + (len(folds) if is_forward else 0)  # the last run fits every fold once more
        self._beside = max(1, min(self.context.steps_at_once(available_cores()) // self.context.at_once, len(folds)))
        with ThreadPoolExecutor(self._beside) as pool:
            try:
                list(pool.map(self._run_fold, folds))
            except BaseException:
                self._stop.set()  # an interrupt ends what runs at once
                raise
        if not self.problem and is_forward:
            self._run_all()
        self._gather_logs()
        if not self.problem:
            self._join(is_forward)

    def _run_fold(self, fold: int) -> None:
        if self._stop.is_set():
            return
        source = sealed_input(self.context, self.best, fold)
        with self._lock:
            seconds = (self.end - time.monotonic()) / max(1.0, self._left / self._beside)
            self._left -= 1
        log = self.folder.fold_log(fold)
        step = run_code(
            self.context,
            self.environment,
            seconds,
            code=self.folder.code,
            output=self.folder.fold_output(fold),
            log=log,
            source=source,
            variables={"AUTOKAGGLE_FOLD": str(fold)},
            beside=self._beside,
            cancelled=self._stop,
        )
        with self._lock:
            self.steps.append(step)
            if not self._stop.is_set() and (problem := failure_of(step, log)):
                self.problem = f"with AUTOKAGGLE_FOLD={fold}: {problem}"
                self._failed_log = log
                self._stop.set()

    def _run_all(self) -> None:
        log = self.folder.path / "log.last"
        seconds = self.end - time.monotonic()
        step = run_code(
            self.context, self.environment, seconds, code=self.folder.code, output=self.folder.output, log=log
        )
        self.steps.append(step)
        self.problem = failure_of(step, log)

    def _join(self, is_forward: bool) -> None:
        outputs, plan = self.folder.fold_outputs(), self.best.plan
        try:
            join_oof(plan, self.best.folds, outputs, self.folder.oof)
            if is_forward:
                # What is published is the last run; the models of the folds have served.
                shutil.rmtree(self.folder.output / "folds")
            else:
                join_test(plan, self.best.test_rows, outputs, self.folder.test_predictions)
        except InvalidPredictions as error:
            self.problem = str(error)

    def _gather_logs(self) -> None:
        """Put the runs' logs one behind the other into the candidate's log; the one that failed comes last."""
        with self.folder.log.open("ab") as whole:
            parts = self.folder.path.glob("log.*")
            for part in sorted(parts, key=lambda path: (path == self._failed_log, path.stat().st_mtime_ns)):
                whole.write(f"== {part.suffix[1:]}\n".encode())
                with part.open("rb") as stream:
                    shutil.copyfileobj(stream, whole)
                part.unlink()


def sealed_input(context: RunContext, best: BestSoFar, fold: int) -> Path:
    """Return the input that lacks the labels of ``fold``, made when first asked for."""
    target = context.folder.sealed_input(fold)
    with _sealing:
        if not target.is_dir():
            part = target.with_name(f".{target.name}.part")
            shutil.rmtree(part, ignore_errors=True)
            make_private_folder(part.parent)
            seal_input(best.plan, context.profile, best.folds, fold, context.folder.input, part)
            part.rename(target)
    return target
