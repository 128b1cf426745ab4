"""Every scored candidate is compared with what was there before; what is inside the noise does not win."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from autokaggle.records.candidate import Candidate, Proposal
from autokaggle.skills.scoring.evaluator import judge
from autokaggle.skills.scoring.model_weights import best_single
from autokaggle.skills.scoring.surrogate import make_surrogate
from autokaggle.skills.submission.checker import check_submission
from tests.judged_run import JudgedRun, judged_run, orchard
from tests.small_plans import make_plan

ROWS = 500


@pytest.mark.parametrize(("lead", "winner"), [(0.0, 0), (0.001, 0), (0.3, 1)])
def test_the_earlier_model_stays_unless_a_later_one_is_better_beyond_the_noise(lead: float, winner: int) -> None:
    random = np.random.default_rng(0)
    truth = random.normal(size=(ROWS, 1))
    surrogate = make_surrogate(make_plan("rmse"), truth)
    errors = random.normal(size=(2, ROWS, 1))
    errors[1] *= 1 - lead
    errors[1] -= errors[1].mean() - errors[0].mean() * (1 - lead)
    same_size = errors[1] * np.sqrt(np.mean(errors[0] ** 2) / np.mean(errors[1] ** 2)) * (1 - lead)
    weights = best_single(surrogate, np.stack([truth + errors[0], truth + same_size]))
    assert weights.tolist() == [float(winner == 0), float(winner == 1)]


def test_at_the_end_all_candidates_are_combined_unless_that_is_worse_beyond_noise(tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    with judged_run(orchard(tmp_path / "orchard", "price"), tmp_path, metric="rmse") as run:
        best = run.best
        rows = np.arange(len(best.truth.values))
        for name in ("c001", "c002", "c003", "c004", "c005"):
            oof = best.truth.values + random.normal(0, 5, best.truth.values.shape)
            told = judge(best.plan, best.truth, best.folds, rows, oof, oof[: best.test_rows])
            best.add(Candidate(id=name, proposal=Proposal(title="a test", family="lightgbm"), status="scored"), told)
        assert best.blend is not None
        of_few = msgspec.structs.replace(best.blend.ensemble, chosen_from=("c001",))
        lucky = replace(best.blend, own_losses=best.blend.own_losses * 0.5, ensemble=of_few)
        best.blend = lucky
        best.settle()
        assert best.blend is lucky
        best.blend = replace(lucky, own_losses=best.blend.own_losses * 2.0)
        best.settle()
        assert best.ensemble is not None
        assert best.ensemble.chosen_from == ("c001", "c002", "c003", "c004", "c005")
        assert check_submission(run.context.folder.submission, best.plan, run.context.folder.tables) == ()


def test_no_combination_is_handed_in_at_the_end_whose_score_is_worse_beyond_noise(tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    with judged_run(orchard(tmp_path / "orchard", "price"), tmp_path, metric="rmse") as run:
        best = run.best
        rows = np.arange(len(best.truth.values))
        for name, noise in (("c001", 5), ("c002", 5), ("c003", 1)):
            oof = best.truth.values + random.normal(0, noise, best.truth.values.shape)
            told = judge(best.plan, best.truth, best.folds, rows, oof, oof[: best.test_rows])
            if noise == 5:
                proposal = Proposal(title="a test", family="lightgbm")
                best.add(Candidate(id=name, proposal=proposal, status="scored"), told)
        assert best.blend is not None
        # Its loss, which stands for the score, says otherwise.
        of_few = msgspec.structs.replace(best.blend.ensemble, chosen_from=("c001",))
        high = replace(best.blend, evaluation=told, own_losses=best.blend.own_losses * 2.0, ensemble=of_few)
        best.blend = high
        best.settle()
        assert best.blend is high


def test_a_candidate_s_gain_is_recorded_over_its_parent_and_the_best(tmp_path: Path) -> None:
    with judged_run(orchard(tmp_path / "orchard"), tmp_path) as run:
        first, evaluation = run.candidate(name="c001")
        assert evaluation is not None, first.reason
        assert first.gains == ()
        run.best.add(first, evaluation)
        same, evaluation = run.candidate(name="c002", parent="c001")
        assert evaluation is not None
        assert [(gain.over, gain.value, gain.is_noise) for gain in same.gains] == [("c001", 0.0, True)]
        assert same.verdict.startswith("like c001 but for noise")
        run.best.add(same, evaluation)
        blind, evaluation = run.candidate({"features.py": BLIND}, name="c003", parent="c002")
        assert evaluation is not None, blind.reason
        assert [gain.over for gain in blind.gains] == ["c002", "c001"]
        assert all(gain.value < -0.1 and not gain.is_noise for gain in blind.gains)
        assert blind.verdict.startswith("worse than c002 by ")
        add_from_many_threads(run)


BLIND = """
import pandas as pd


def fit(train):
    return None


def transform(table, state):
    return pd.DataFrame({"grower": table["grower"].str[1:].astype(float)})
"""


def add_from_many_threads(run: JudgedRun) -> None:
    """Candidates that end at the same moment leave one valid submission, and none is lost."""
    evaluation = run.best.evaluations["c001"]
    candidates = [
        Candidate(id=f"c1{number:02d}", proposal=Proposal(title="", family="linear"), status="scored")
        for number in range(8)
    ]
    threads = [threading.Thread(target=run.best.add, args=(candidate, evaluation)) for candidate in candidates]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {candidate.id for candidate in candidates} <= run.best.evaluations.keys()
    run.best.write()
    assert check_submission(run.context.folder.submission, run.best.plan, run.context.folder.tables) == ()
