"""Foreign code is run fold by fold and never sees what it is scored on; what is published does the same by hand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from autokaggle.orchestrator.publishing import ensemble
from autokaggle.skills.scoring.folds import read_folds
from tests.judged_run import JudgedRun, judged_run, orchard
from tests.small_competition import SCRIPTS, run_script

RATIO = """
import pandas as pd


def fit(train):
    return None


def transform(table, state):
    return pd.DataFrame({"sum": table["height"] - table["width"], "height": table["height"]})
"""
# Tells in its log which labels it was given.
COUNTING = RATIO.replace(
    "    return None", "    import files\n    print('labels', files.load_table('train')['sold'].notna().sum())"
)


@pytest.fixture(scope="module")
def sold(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JudgedRun]:
    folder = tmp_path_factory.mktemp("sealed")
    with judged_run(orchard(folder / "orchard"), folder) as run:
        yield run


def test_code_of_ours_runs_once_and_sees_all_folds(sold: JudgedRun) -> None:
    candidate, evaluation = sold.candidate(name="c001")
    assert evaluation is not None, candidate.reason
    assert (candidate.status, candidate.sealing, len(candidate.steps)) == ("scored", "open", 1)


def test_foreign_code_runs_once_per_fold_without_the_fold_s_labels(sold: JudgedRun) -> None:
    candidate, evaluation = sold.candidate({"features.py": COUNTING}, name="c002")
    assert evaluation is not None, candidate.reason
    assert (candidate.status, candidate.sealing, len(candidate.steps)) == ("scored", "sealed", 2)
    assert evaluation.score.mean > sold.best.constant.score.mean + 0.1
    assert (len(evaluation.rows), len(evaluation.test)) == (400, 150)
    folds = read_folds(sold.context.folder.folds)
    log = sold.log("c002")
    for fold in folds.validated:
        part = log.split(f"== fold{fold}\n")[1].split("== fold")[0]
        assert f"labels {np.sum(folds.by_repeat[0] != fold)}" in part


@pytest.mark.slow
def test_a_sealed_candidate_by_hand_gives_what_was_scored(tmp_path: Path) -> None:
    with judged_run(orchard(tmp_path / "orchard"), tmp_path) as run:
        candidate, evaluation = run.candidate({"features.py": RATIO})
        assert evaluation is not None, candidate.reason
        run.best.add(candidate, evaluation)
        ensemble(run.context)
        folder = run.context.folder
        assert not folder.sealed.exists()
        names = ("oof.parquet", "test_predictions.parquet")
        expected = {name: pd.read_parquet(folder.output / name) for name in names}
        assert (folder.output / "members" / "c001" / "folds" / "0" / "model.joblib").is_file()
        for name in names:
            (folder.output / name).unlink()
        submission = folder.submission.read_bytes()
        for script in SCRIPTS:
            result = run_script(folder.path, script, PYTHONSAFEPATH="")
            assert result.returncode == 0, result.stderr
        for name in names:
            pd.testing.assert_frame_equal(expected[name], pd.read_parquet(folder.output / name))
        assert folder.submission.read_bytes() == submission


def test_where_folds_go_forward_no_later_label_is_there_and_a_last_run_predicts_test(tmp_path: Path) -> None:
    competition = orchard(tmp_path / "orchard")
    for name in ("train.csv", "test.csv"):
        table = pd.read_csv(competition / name)
        table["day"] = pd.date_range("2024-01-01" if name == "train.csv" else "2025-06-01", periods=len(table))
        table.to_csv(competition / name, index=False)
    with judged_run(competition, tmp_path, validation="time:day") as run:
        candidate, evaluation = run.candidate({"features.py": COUNTING})
        assert evaluation is not None, candidate.reason
        folds = read_folds(run.context.folder.folds)
        assert folds.kind == "forward"
        assert len(candidate.steps) == len(folds.validated) + 1
        parts = run.log().split("== ")
        for fold in folds.validated:
            part = next(part for part in parts if part.startswith(f"fold{fold}\n"))
            assert f"labels {np.sum(folds.by_repeat[0] < fold)}" in part
        assert any(part.startswith("last\n") and "labels 400" in part for part in parts)


def test_a_fold_that_fails_ends_the_others_and_is_named(sold: JudgedRun) -> None:
    broken = RATIO.replace("    return None", "    raise ValueError('no such tree')")
    candidate, evaluation = sold.candidate({"features.py": broken}, name="c004")
    assert evaluation is None
    assert candidate.status == "failed"
    assert "AUTOKAGGLE_FOLD=" in candidate.reason
    assert "ValueError: no such tree" in candidate.reason
    assert len(candidate.steps) <= 2


def test_time_is_shared_by_the_folds(sold: JudgedRun) -> None:
    endless = RATIO.replace("    return None", "    import time\n    time.sleep(600)")
    candidate, evaluation = sold.candidate({"features.py": endless}, name="c005", seconds=5.0)
    assert evaluation is None
    assert "wall limit" in candidate.reason
    assert candidate.seconds < 5.0 + 30.0  # the code has no end
