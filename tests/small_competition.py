"""A small competition on disk for the tests of the pipeline; this file makes its tables, folds, profile and plan."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from autokaggle.plugins.manager import Plugins
from autokaggle.records.candidate import Proposal
from autokaggle.records.competition import Competition
from autokaggle.records.data_profile import (
    ColumnKind,
    ColumnProfile,
    DataProfile,
    FileProfile,
    Guess,
    SplitHints,
    SubmissionKind,
    TaskType,
)
from autokaggle.records.plan import Decision, Decisions, Plan
from autokaggle.records.run import RunOptions
from autokaggle.skills.pipeline.pipeline_generator import write_candidate
from autokaggle.skills.pipeline.plan import make_plan
from autokaggle.storage.artifacts import CandidateFolder, RunFolder
from tests.warm_python import WarmPython

SURE = Guess(value="", confidence=1.0, evidence="made so")
TRAIN_ROWS, TEST_ROWS = 240, 60
STRANGE_NAMES = ("", "line\nbreak", "quote\"'s", "😀 {json: [1]}", "class", "a: b #c")
FAST = {"model": {"parameters": {"rounds": 30, "patience": 10, "learning_rate": 0.2}}, "threads": 2}

SCRIPTS = ("train.py", "validate.py", "predict.py")


@dataclass(frozen=True)
class SmallCompetition:
    """Raw tables and what is known of them; ``targets`` are columns of train alone."""

    train: pd.DataFrame
    test: pd.DataFrame
    kinds: dict[str, ColumnKind]
    targets: tuple[str, ...]
    task: TaskType
    metric: str
    metric_input: SubmissionKind
    classes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    scheme: str = "kfold"
    folds: int = 3
    repeats: int = 1
    greater_is_better: bool = False
    time_column: str | None = None
    parts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def profile(self) -> DataProfile:
        columns = [
            ColumnProfile(
                name=name,
                kind=self.kinds.get(name, "number"),
                type="VARCHAR" if name in self.test and pd.api.types.is_string_dtype(self.test[name]) else "DOUBLE",
                in_train=name in self.train,
                in_test=name in self.test,
                low=str(self.train[name].min()) if name in self.targets else None,
            )
            for name in dict.fromkeys([*self.train.columns, *self.test.columns])
        ]
        return DataProfile(
            files=tuple(FileProfile(name=f"{role}.csv", role=role) for role in ("train", "test", "sample_submission")),
            columns=tuple(columns),
            train="train.parquet",
            test="test.parquet",
            sample_submission="sample_submission.parquet",
            train_rows=len(self.train),
            test_rows=len(self.test),
            target_columns=self.targets,
            target_guess=SURE,
            id_columns=("id",),
            id_guess=SURE,
            submission_columns=("id", *self.targets),
            submission_kind="value",
            task_type=self.task,
            task_guess=SURE,
            classes=dict(self.classes),
            metric_suggestion=SURE,
            split=SplitHints(),
            target_parts=dict(self.parts),
        )

    def plan(self) -> Plan:
        validation = {
            "scheme": self.scheme,
            "folds": self.folds,
            "repeats": self.repeats,
            "column": self.time_column,
        }
        decisions = Decisions(
            decisions=(
                Decision(key="metric", value=self.metric, by="user", why=""),
                Decision(key="validation", value=validation, by="user", why=""),
            )
        )
        return make_plan(
            Competition(slug="orchard"),
            self.profile(),
            decisions,
            RunOptions(target="orchard"),
            metric_input=self.metric_input,
            greater_is_better=self.greater_is_better,
        )

    def write_input(self, run: RunFolder) -> None:
        """Write what the profile and plan stages leave under ``input/`` for the scripts."""
        self.train.to_parquet(run.tables / "train.parquet", index=False)
        self.test.to_parquet(run.tables / "test.parquet", index=False)
        self.sample().to_parquet(run.tables / "sample_submission.parquet", index=False)
        write_folds(run.folds, len(self.train), self.folds, self.repeats, in_order=self.scheme == "time")

    def sample(self) -> pd.DataFrame:
        """The sample submission: test's ids in the opposite order."""
        ids = self.test["id"].astype("str").iloc[::-1].reset_index(drop=True)
        return pd.DataFrame({"id": ids, **dict.fromkeys(self.targets, "0")})


def write_folds(path: Path, rows: int, folds: int, repeats: int = 1, in_order: bool = False) -> None:
    """Write folds at random, or as blocks of rows one after another."""
    parts = []
    for repeat in range(repeats):
        fold = np.arange(rows) * folds // rows
        fold = fold if in_order else np.random.default_rng(repeat).permutation(fold)
        parts.append(pd.DataFrame({"repeat": repeat, "row": np.arange(rows), "fold": fold}))
    table = pd.concat(parts).astype({"repeat": "int32", "row": "int64", "fold": "int32"})
    pq.write_table(pa.Table.from_pandas(table, preserve_index=False), path)


def mixed_tables(seed: int = 0) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, ColumnKind], np.ndarray]:
    """Return train and test with columns of every kind, their kinds, and the signal (of train) that they carry."""
    random = np.random.default_rng(seed)
    rows = TRAIN_ROWS + TEST_ROWS
    size, colour = random.normal(size=rows), random.integers(0, 4, rows)
    group = random.integers(0, 90, rows)
    days = pd.Series(pd.date_range("2024-01-01", periods=rows, freq="7h"))
    table = pd.DataFrame({"id": [f"{n:04d}_{k:02d}" for n, k in zip(group, range(rows), strict=True)]})
    table["size"] = np.where(random.random(rows) < 0.1, np.nan, size)
    table["colour"] = pd.Series(np.array(["red", "green", "blue", None], dtype=object)[colour], dtype="str")
    table["picked"] = days
    table["picked text"] = days.dt.strftime("%Y-%m-%d %H:%M:%S")
    table["crate"] = [f"{'ABC'[n % 3]}/{n}/{'PS'[n % 2]}" for n in group]
    table["grower"] = [
        f"Family{n}, {'Mr' if n % 2 else 'Mrs'}. Name{k}" for n, k in zip(group, range(rows), strict=True)
    ]
    table["washed"] = random.random(rows) < 0.5
    table["always"] = 1
    kinds: dict[str, ColumnKind] = {
        "id": "id",
        "colour": "category",
        "picked": "datetime",
        "picked text": "text",
        "crate": "code",
        "grower": "text",
        "washed": "category",
        "always": "constant",
    }
    for name in STRANGE_NAMES:
        table[name] = random.normal(size=rows)
    signal = size + (colour == 1) + 0.5 * (group % 3) + 0.3 * random.normal(size=rows)
    train, test = table.iloc[:TRAIN_ROWS].copy(), table.iloc[TRAIN_ROWS:].reset_index(drop=True)
    train["only in train"] = signal[:TRAIN_ROWS]
    test["only in test"] = 1.0
    return train, test, kinds, signal[:TRAIN_ROWS]


def binary() -> SmallCompetition:
    """A competition of such tables: which fruit is ripe."""
    train, test, kinds, signal = mixed_tables()
    train["ripe"] = pd.Series(np.where(signal > 0.5, "True", "False"), dtype="str")
    classes = {"ripe": ("False", "True")}
    return SmallCompetition(train, test, kinds, ("ripe",), "binary_classification", "accuracy", "label", classes)


def regression(metric: str = "rmse") -> SmallCompetition:
    """A competition of such tables: what a fruit weighs."""
    train, test, kinds, signal = mixed_tables()
    train["weight"] = np.exp(signal)
    return SmallCompetition(train, test, kinds, ("weight",), "regression", metric, "value")


def multiclass() -> SmallCompetition:
    """A competition of three kinds, two of whose names differ in case alone."""
    train, test, kinds, signal = mixed_tables()
    train["sort"] = pd.Series(np.array(["row", "a", "A"], dtype=object)[np.digitize(signal, [0, 1])], dtype="str")
    classes = {"sort": ("A", "a", "row")}
    return SmallCompetition(train, test, kinds, ("sort",), "multiclass_classification", "accuracy", "label", classes)


def prepare(
    competition: SmallCompetition,
    folder: Path,
    config: Mapping[str, Any] | None = None,
    family: str = "lightgbm",
    files: Mapping[str, str] | None = None,
    template: str = "tabular",
) -> CandidateFolder:
    """Make a run folder with one candidate that has not run yet."""
    run = RunFolder.create(folder, "orchard-20260801-101500-3f2a")
    competition.write_input(run)
    candidate = run.candidate("c001")
    proposal = Proposal(title="a test", family=family, config={**FAST, **(config or {})}, files=dict(files or {}))
    folders = Plugins(found=[]).template_folders(template)
    write_candidate(proposal, competition.plan(), competition.profile(), candidate, folders)
    return candidate


def run_script(folder: Path, script: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run ``code/script`` by hand in ``folder``; warnings are errors."""
    return subprocess.run(
        [sys.executable, "-W", "error", f"code/{script}"],
        cwd=folder,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **variables},
        capture_output=True,
        text=True,
        timeout=600,
    )


def run_all(candidate: CandidateFolder, **variables: str) -> str:
    """Run the three scripts one after another in one interpreter, as the host does; return what they print."""
    return _run_warm(candidate, SCRIPTS, variables)


def _run_warm(candidate: CandidateFolder, scripts: Sequence[str], variables: Mapping[str, str]) -> str:
    log = candidate.path / "said.log"
    code = _warm_python().run([candidate.code / script for script in scripts], candidate.path, variables, log)
    said = log.read_text("utf-8", "replace")
    assert code == 0, said
    return said


@functools.cache
def _warm_python() -> WarmPython:
    return WarmPython()


def output(candidate: CandidateFolder, name: str) -> pd.DataFrame:
    """Read one of the files that a candidate hands in."""
    return pd.read_parquet(candidate.output / name)


def shuffling_costs(
    candidate: CandidateFolder, share_right: Callable[[pd.DataFrame], float]
) -> dict[tuple[str, ...], float]:
    """Run ``importance.py`` and return how much less is right of the predictions with each group shuffled."""
    _run_warm(candidate, ("importance.py",), {})
    predictions = pd.read_parquet(candidate.output / "importance.parquet")
    groups = json.loads((candidate.output / "importance.json").read_text())
    parts = {number: part.reset_index(drop=True) for number, part in predictions.groupby("group")}
    return {tuple(names): share_right(parts[-1]) - share_right(parts[number]) for number, names in enumerate(groups)}
