"""A run that is planned and ready for candidates; this file makes one from a small competition, with a real sandbox.

Its candidates work in the environment of the tests themselves, so that nothing has to be installed.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from autokaggle.config import Settings
from autokaggle.orchestrator import understanding
from autokaggle.orchestrator.best_so_far import BestSoFar, best_so_far
from autokaggle.orchestrator.budget import Budget
from autokaggle.orchestrator.candidate_run import run_candidate
from autokaggle.orchestrator.context import RunContext
from autokaggle.orchestrator.journal import Journal
from autokaggle.orchestrator.run_lifecycle import start_run
from autokaggle.orchestrator.run_metric import register_metrics
from autokaggle.plugins.manager import Plugins
from autokaggle.records.candidate import Candidate, Proposal
from autokaggle.records.run import Run, RunOptions
from autokaggle.skills.sandbox.environment import Environment
from autokaggle.skills.scoring.evaluator import Evaluation
from autokaggle.storage.records_file import read_record
from tests.sandbox_jobs import STRONG, need

HERE = Environment(
    folder=Path(sys.prefix),
    key="tests",
    requirements=(),
    lock_text="",
    lock_sha256="",
    python_version=platform.python_version(),
    reused=True,
)
QUICK = {"model": {"parameters": {"rounds": 40, "patience": 10, "learning_rate": 0.2}}}
TRAIN_ROWS, TEST_ROWS = 400, 150


def orchard(folder: Path, target: str = "sold", extra: Mapping[str, pd.DataFrame] | None = None) -> Path:
    """Write a competition folder: trees of growers, of which some are sold (1) for a price; two columns tell."""
    random = np.random.default_rng(5)
    rows = TRAIN_ROWS + TEST_ROWS
    table = pd.DataFrame({"id": np.arange(1000, 1000 + rows)})
    table["height"] = random.normal(size=rows).round(4)
    table["width"] = random.normal(size=rows).round(4)
    table["grower"] = [f"g{number}" for number in random.integers(0, 120, rows)]
    signal = table["height"] - 0.7 * table["width"] + random.normal(size=rows)
    table[target] = (signal > 0).astype(int) if target == "sold" else (signal * 10 + 50).round(3)
    folder.mkdir(parents=True, exist_ok=True)
    table[:TRAIN_ROWS].to_csv(folder / "train.csv", index=False)
    table[TRAIN_ROWS:].drop(columns=target).to_csv(folder / "test.csv", index=False)
    table[TRAIN_ROWS:][["id"]].assign(**{target: 0}).to_csv(folder / "sample_submission.csv", index=False)
    for name, content in (extra or {}).items():
        content.to_csv(folder / name, index=False)
    return folder


@dataclass
class HereAtOnce:
    """The environment of the tests themselves: nothing has to be built."""

    current: Environment = HERE
    missing: tuple[str, ...] = ()
    too_late: tuple[str, ...] = ()
    is_building: bool = field(default=False)
    leaves_gpu: bool = False

    def take(self) -> bool:
        return False

    def build_rest(self) -> None:
        pass

    def hold(self, proposal: Proposal) -> bool:
        return True


@dataclass
class JudgedRun:
    """The context of a planned run, and what is best in it."""

    context: RunContext
    best: BestSoFar

    def candidate(
        self,
        files: Mapping[str, str] | None = None,
        *,
        seconds: float = 300.0,
        family: str = "lightgbm",
        config: Mapping[str, Any] | None = None,
        name: str = "c001",
        **more: Any,
    ) -> tuple[Candidate, Evaluation | None]:
        """Run one proposal of a model's (with files) or of the portfolio's (without)."""
        proposal = Proposal(
            title="a test",
            family=family,
            author="model" if files else "portfolio",
            config={**QUICK, **(config or {})},
            files=dict(files or {}),
            **more,
        )
        return run_candidate(self.context, self.best, name, proposal, HERE, seconds)

    def log(self, name: str = "c001") -> str:
        return self.context.folder.candidate(name).log.read_text("utf-8", "replace")


@contextmanager
def judged_run(competition: Path, folder: Path, **options: Any) -> Iterator[JudgedRun]:
    """Carry a run of the local competition out up to its plan."""
    need(STRONG)
    settings = Settings(home=folder / "home", runs_dir=folder / "runs")
    given = RunOptions(target=str(competition), chat=False, **{"time_budget_seconds": 900.0, "folds": 2, **options})
    run_folder = start_run(given, settings)
    run = read_record(run_folder.record, Run)
    budget = Budget(given.time_budget_seconds)
    context = RunContext(run_folder, settings, run, Journal(run_folder), Plugins(found=[]), budget)
    register_metrics(context)
    run_folder.venv.symlink_to(sys.prefix)
    for stage in (understanding.fetch, understanding.profile, understanding.discuss, understanding.plan):
        stage(context)
    budget.start()
    yield JudgedRun(context, best_so_far(context))
