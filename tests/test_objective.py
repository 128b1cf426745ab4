"""What models minimise follows from the metric, and so does what ensembles are chosen by."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from autokaggle.records.candidate import Proposal
from autokaggle.skills.pipeline.objective import Objective, choose_objective
from autokaggle.skills.pipeline.pipeline_generator import write_candidate
from autokaggle.skills.scoring.metrics import METRICS
from autokaggle.skills.scoring.surrogate import make_surrogate
from autokaggle.storage.artifacts import RunFolder
from tests.small_competition import SmallCompetition, mixed_tables, run_all
from tests.small_plans import make_plan


@pytest.fixture(scope="module")
def prices() -> SmallCompetition:
    train, test, kinds, signal = mixed_tables()
    train["price"] = np.exp(signal)
    return SmallCompetition(train, test, kinds, ("price",), "regression", "rmse", "value")


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        ("rmse", Objective("squared_error")),
        ("rmsle", Objective("squared_error", "log1p")),
        ("mae", Objective("absolute_error")),
        ("mape", Objective("absolute_error", "log", "inverse")),
        ("smape", Objective("absolute_error", "log")),
        ("rmspe", Objective("squared_error", row_weights="inverse_square")),
        ("pinball_90", Objective("quantile", quantile=0.9)),
    ],
)
def test_each_metric_of_values_has_its_loss(prices: SmallCompetition, metric: str, expected: Objective) -> None:
    competition = replace(prices, metric=metric)
    assert choose_objective(competition.plan(), competition.profile()) == expected


def test_ensembles_for_a_quantile_are_chosen_by_its_loss() -> None:
    truth = np.linspace(0, 10, 101)[:, None]
    surrogate = make_surrogate(make_plan("pinball_90"), truth)
    guesses = [float(np.mean(surrogate.losses(np.full_like(truth, guess)))) for guess in (5.0, 9.0)]
    assert guesses[1] < guesses[0]
    metric = METRICS["pinball_90"].function
    assert guesses[1] == pytest.approx(metric(truth[:, 0], np.full(101, 9.0)))


def test_a_quantile_is_learned(prices: SmallCompetition, tmp_path: Path) -> None:
    competition = replace(prices, metric="pinball_90")
    run = RunFolder.create(tmp_path, "orchard-20260801-101500-3f2a")
    candidate = run.candidate("c001")
    competition.write_input(run)
    quick = {"model": {"parameters": {"rounds": 60, "learning_rate": 0.1}}}
    proposal = Proposal(title="Quantile", family="lightgbm", config=quick)
    write_candidate(proposal, competition.plan(), competition.profile(), candidate)
    run_all(candidate)
    predicted = pd.read_parquet(candidate.output / "oof.parquet")["price"]
    below = float((competition.train["price"].to_numpy() <= predicted.to_numpy()).mean())
    assert 0.75 < below < 0.98


def test_relative_errors_weigh_small_values_more(prices: SmallCompetition, tmp_path: Path) -> None:
    lows = {}
    for metric in ("mae", "rmspe"):
        competition = replace(prices, metric=metric)
        run = RunFolder.create(tmp_path / metric, "orchard-20260801-101500-3f2a")
        candidate = run.candidate("c001")
        competition.write_input(run)
        proposal = Proposal(title="Quick", family="lightgbm", config={"model": {"parameters": {"rounds": 40}}})
        write_candidate(proposal, competition.plan(), competition.profile(), candidate)
        run_all(candidate)
        lows[metric] = pd.read_parquet(candidate.output / "oof.parquet")["price"].mean()
    assert lows["rmspe"] < lows["mae"]
