"""The run folder; this file names every path of it, so that no other place spells one.

Nothing here reads or writes content, but for making the folder itself.
"""

from __future__ import annotations

import datetime as dt
import re
import secrets
from dataclasses import dataclass
from pathlib import Path

from autokaggle.errors import UsageError
from autokaggle.storage.records_file import make_private_folder

CANDIDATE_ID = re.compile(r"c\d{3,}")


def new_run_id(slug: str, moment: dt.datetime) -> str:
    """``{slug}-{UTC yyyymmdd-hhmmss}-{4 hex}``."""
    return f"{slug}-{moment.astimezone(dt.UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


@dataclass(frozen=True)
class CandidateFolder:
    """One candidate's folder: ``code/`` is what runs, ``output/`` is what it wrote."""

    path: Path

    @property
    def id(self) -> str:
        return self.path.name

    @property
    def code(self) -> Path:
        return self.path / "code"

    @property
    def config(self) -> Path:
        return self.code / "config.yaml"

    @property
    def output(self) -> Path:
        return self.path / "output"

    @property
    def record(self) -> Path:
        return self.path / "candidate.json"

    @property
    def log(self) -> Path:
        return self.path / "log"

    @property
    def changes(self) -> Path:
        """How the code differs from that of the candidate's parent, as a unified diff."""
        return self.path / "changes.diff"

    @property
    def oof(self) -> Path:
        return self.output / "oof.parquet"

    @property
    def test_predictions(self) -> Path:
        return self.output / "test_predictions.parquet"

    @property
    def model(self) -> Path:
        return self.output / "model.joblib"

    @property
    def audit(self) -> Path:
        """What an audit needs while it lasts."""
        return self.path / "audit"

    def fold_output(self, fold: int) -> Path:
        """What the run on one sealed fold wrote."""
        return self.output / "folds" / str(fold)

    def fold_outputs(self) -> dict[int, Path]:
        """The outputs of all sealed folds, in order; none when the code ran on all folds at once."""
        found = [int(path.name) for path in (self.output / "folds").glob("*") if path.name.isdecimal()]
        return {fold: self.fold_output(fold) for fold in sorted(found)}

    def fold_log(self, fold: int) -> Path:
        return self.path / f"log.fold{fold}"


@dataclass(frozen=True)
class RunFolder:
    """One run's folder, ``runs/{run_id}``; every path that a run may write."""

    path: Path

    @classmethod
    def create(cls, runs_folder: Path, run_id: str) -> RunFolder:
        """Make the folder and its fixed sub-folders, all 0700."""
        folder = cls(runs_folder / run_id)
        parts = (
            folder.input / "pages",
            folder.tables,
            folder.code,
            folder.env,
            folder.candidates,
            folder.output,
        )
        for part in (*parts, folder.prompts):
            make_private_folder(part)
        return folder

    @property
    def id(self) -> str:
        return self.path.name

    @property
    def record(self) -> Path:
        return self.path / "run.json"

    @property
    def lock(self) -> Path:
        return self.path / ".lock"

    # input/
    @property
    def input(self) -> Path:
        return self.path / "input"

    @property
    def competition(self) -> Path:
        return self.input / "competition.json"

    @property
    def profile(self) -> Path:
        return self.input / "data_profile.json"

    @property
    def pages(self) -> Path:
        return self.input / "pages"

    @property
    def data(self) -> Path:
        return self.input / "data"

    @property
    def tables(self) -> Path:
        return self.input / "tables"

    @property
    def folds(self) -> Path:
        return self.input / "folds.parquet"

    @property
    def metric(self) -> Path:
        """Holds the file of the user's own metric, under its own name; absent where a known metric is used."""
        return self.input / "metric"

    @property
    def transcript(self) -> Path:
        return self.input / "chat_transcript.md"

    @property
    def decisions(self) -> Path:
        return self.input / "chat_decisions.json"

    @property
    def chat_lines(self) -> Path:
        """What the person typed in the chat, in the form that ``--answers`` reads."""
        return self.input / "chat_lines.txt"

    # code/ and env/
    @property
    def code(self) -> Path:
        return self.path / "code"

    @property
    def env(self) -> Path:
        return self.path / "env"

    @property
    def requirements(self) -> Path:
        return self.env / "requirements.txt"

    @property
    def requirements_lock(self) -> Path:
        return self.env / "requirements.lock"

    @property
    def venv(self) -> Path:
        return self.env / "venv"

    # candidates/
    @property
    def candidates(self) -> Path:
        return self.path / "candidates"

    def candidate(self, candidate_id: str) -> CandidateFolder:
        """Raises:
        UsageError: the id is not of the form ``c001``.
        """
        if not CANDIDATE_ID.fullmatch(candidate_id):
            raise UsageError(f"{candidate_id!r} is no candidate id.", "Candidates are named c001, c002, ...")
        return CandidateFolder(self.candidates / candidate_id)

    def all_candidates(self) -> list[CandidateFolder]:
        """The candidates' folders in the order in which they were made."""
        found = [path for path in self.candidates.glob("c*") if CANDIDATE_ID.fullmatch(path.name)]
        return [CandidateFolder(path) for path in sorted(found, key=lambda path: int(path.name[1:]))]

    # sealed/: copies of input/ that lack labels, while the search lasts
    @property
    def sealed(self) -> Path:
        return self.path / "sealed"

    def sealed_input(self, fold: int) -> Path:
        """The input in which the labels of one fold are nowhere."""
        return self.sealed / f"fold{fold}"

    @property
    def trial(self) -> Path:
        """Where code is tried on few rows before it may run; nothing there outlives the search."""
        return self.path / "trial"

    # output/
    @property
    def output(self) -> Path:
        return self.path / "output"

    @property
    def submission(self) -> Path:
        return self.output / "submission.csv"

    @property
    def metrics(self) -> Path:
        return self.output / "metrics.json"

    @property
    def report(self) -> Path:
        return self.output / "report.html"

    @property
    def importance(self) -> Path:
        return self.output / "importance.json"

    # logs/
    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def run_log(self) -> Path:
        return self.logs / "run.log"

    @property
    def events(self) -> Path:
        return self.logs / "events.jsonl"

    @property
    def worker_log(self) -> Path:
        """What the processes said in which workers carried the run out."""
        return self.logs / "worker.log"

    @property
    def prompts(self) -> Path:
        return self.logs / "prompts"

    def prompt(self, number: int) -> Path:
        """One call of a language model; numbers start at 1."""
        return self.prompts / f"{number:04d}.json"

    def all_prompts(self) -> list[Path]:
        """The recorded calls of language models, in the order in which they were made."""
        return sorted(self.prompts.glob("[0-9]*.json"), key=lambda path: int(path.stem))
