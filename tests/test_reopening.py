"""A run whose submission no code made says so, says why, and says what to do; it never promises what cannot help."""

from __future__ import annotations

from pathlib import Path

import pytest

from autokaggle.errors import UsageError
from autokaggle.orchestrator.reopening import need_published_code
from autokaggle.records.candidate import Score
from autokaggle.records.outcome import Ensemble, Member, Metrics, SubmissionFacts
from autokaggle.records.run import Run, RunOptions, RunStatus
from autokaggle.storage.artifacts import RunFolder
from autokaggle.storage.records_file import write_record


def run_with(folder: RunFolder, status: RunStatus, *, answers: bool, code: bool = False) -> Run:
    facts = SubmissionFacts(rows=1, sha256="ab" * 32)
    metrics = Metrics(metric="rmse", greater_is_better=False, cv={}, candidates=0, ensemble=(), submission=facts,
                      seconds={}, isolation="strong")  # fmt: skip
    if answers:
        folder.submission.write_text("id,price\n1,2\n")
        write_record(folder.metrics, metrics)
    if code:
        (folder.code / "predict.py").write_text("")
    score = Score(metric="rmse", mean=1.0, std=0.1, folds=(1.0,), low=0.9, high=1.1, greater_is_better=False)
    chosen = Ensemble(method="single", members=(Member(candidate="c001", weight=1.0),), score=score, rule={})
    return Run(id=folder.id, slug="a", target="a", options=RunOptions(target="a"), status=status, created="",
               ensemble=chosen if code else None)  # fmt: skip


@pytest.mark.parametrize(
    ("status", "answers", "says", "advises"),
    [
        ("done", True, "constant answer", "autokaggle improve"),
        ("done", False, "--skip-execution", "autokaggle run a"),
        ("interrupted", True, "has not come to its submission", "autokaggle resume"),
        ("failed", False, "has not come to its submission", "autokaggle resume"),
    ],
)
def test_what_keeps_a_submission_from_being_made_again_is_said(
    status: RunStatus, answers: bool, says: str, advises: str, tmp_path: Path
) -> None:
    folder = RunFolder.create(tmp_path, "a-20260102-030405-abcd")
    with pytest.raises(UsageError, match=says) as caught:
        need_published_code(run_with(folder, status, answers=answers), folder)
    assert advises in caught.value.next_step
    assert ("resume" in caught.value.next_step) == (status != "done")


def test_published_code_is_what_is_needed(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, "a-20260102-030405-abcd")
    assert need_published_code(run_with(folder, "done", answers=True, code=True), folder).metric == "rmse"
