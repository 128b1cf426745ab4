"""The blending pipeline runs its members and writes what the host would."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from autokaggle.records.candidate import Proposal, Score
from autokaggle.records.outcome import Ensemble, Member
from autokaggle.skills.pipeline.pipeline_generator import publish, write_candidate
from autokaggle.storage.artifacts import RunFolder
from autokaggle.templates.ensemble.blend import blend
from tests.small_competition import FAST, SCRIPTS, SmallCompetition, mixed_tables, run_all, run_script

SCORE = Score(metric="rmsle", greater_is_better=False, mean=1.0, std=0.1, folds=(1.0,), low=0.9, high=1.1)
RULE: dict[str, Any] = {
    "version": 1,
    "parts": [{"target": "weight", "inputs": [0], "outputs": ["weight"], "method": "value", "clip": [0, None]}],
}


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run with two candidates, blended and published."""
    run = RunFolder.create(tmp_path_factory.mktemp("runs"), "orchard-20260801-101500-3f2a")
    competition = make_competition()
    competition.write_input(run)
    for name, family in (("c001", "lightgbm"), ("c002", "linear")):
        config = FAST if family == "lightgbm" else {}
        proposal = Proposal(title=family, family=family, config=config)
        write_candidate(proposal, competition.plan(), competition.profile(), run.candidate(name))
        run_all(run.candidate(name))
    members = (Member(candidate="c001", weight=0.75), Member(candidate="c002", weight=0.25))
    ensemble = Ensemble(method="greedy", members=members, score=SCORE, rule=RULE, blend="log1p")
    publish(ensemble, competition.plan(), run)
    return run


def make_competition() -> SmallCompetition:
    train, test, kinds, signal = mixed_tables()
    train["weight"] = np.exp(signal)
    return SmallCompetition(train, test, kinds, ("weight",), "regression", "rmsle", "value")


def test_the_published_folder_holds_members_and_blended_predictions(published: RunFolder) -> None:
    assert {path.name for path in (published.code / "members").iterdir()} == {"c001", "c002"}
    first, second, blended = (
        pd.read_parquet(folder / "oof.parquet")
        for folder in (published.candidate("c001").output, published.candidate("c002").output, published.output)
    )
    expected = np.expm1(0.75 * np.log1p(first["weight"]) + 0.25 * np.log1p(second["weight"].clip(lower=0)))
    assert np.allclose(blended["weight"], expected)
    assert blended["row"].tolist() == first["row"].tolist()


def test_the_published_scripts_by_hand_give_what_the_host_wrote(published: RunFolder) -> None:
    names = ("oof.parquet", "test_predictions.parquet")
    expected = {name: pd.read_parquet(published.output / name) for name in names}
    shutil.rmtree(published.output)
    for script in SCRIPTS:
        result = run_script(published.path, script, PYTHONSAFEPATH="")
        assert result.returncode == 0, result.stderr
    for name in names:
        pd.testing.assert_frame_equal(expected[name], pd.read_parquet(published.output / name))
    submission = pd.read_csv(published.submission, dtype={"id": str})
    assert submission["id"].tolist() == make_competition().sample()["id"].tolist()
    by_id = dict(zip(make_competition().test["id"], expected[names[1]]["weight"], strict=True))
    assert submission["weight"].tolist() == [by_id[key] for key in submission["id"]]


def test_a_member_that_fails_is_named(published: RunFolder, tmp_path: Path) -> None:
    shutil.copytree(published.code, tmp_path / "code")
    (tmp_path / "code" / "members" / "c002" / "train.py").write_text("raise SystemExit(3)\n")
    result = run_script(tmp_path, "train.py", AUTOKAGGLE_INPUT=str(published.input))
    assert result.returncode == 1
    assert "Member c002 failed in train.py with exit code 3." in result.stderr


def test_blending_needs_numpy_alone() -> None:
    source = Path(sys.modules["autokaggle.templates.ensemble.blend"].__file__ or "")
    program = f"import sys; sys.path.insert(0, {str(source.parent)!r}); import blend; print('pandas' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout == "False\n"


@pytest.mark.parametrize(
    ("scale", "expected"),
    [
        ("values", [[0.3], [0.5]]),
        ("logits", [[0.25], [0.5]]),
        ("log1p", [[0.28452], [0.46969]]),
    ],
)
def test_scales_are_averaged_as_they_say(scale: str, expected: list[list[float]]) -> None:
    first, second = np.array([[0.1], [0.8]]), np.array([[0.5], [0.2]])
    assert blend([first, second], [1, 1], scale) == pytest.approx(np.array(expected), abs=1e-5)


@pytest.mark.parametrize(("weights", "scale"), [([1.0], "roots"), ([0.0], "values")])
def test_a_blend_that_makes_no_sense_is_refused(weights: list[float], scale: str) -> None:
    with pytest.raises(ValueError, match=r"unknown scale|do not add up"):
        blend([np.zeros((2, 1))], weights, scale)
