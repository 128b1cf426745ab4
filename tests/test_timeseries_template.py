"""The forecasting pipeline looks back as far as test must, finds series and seasons, and beats the season before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from autokaggle.storage.artifacts import CandidateFolder
from tests.small_competition import SmallCompetition, prepare, run_all

LEARNING = {
    "features": {"learn_from": "fold", "baseline": "level", "target_encode": "none"},
    "target_transform": "log1p",
    "threads": 2,
}
SEASONAL = {**LEARNING, "features": {**LEARNING["features"], "baseline": "seasonal"}}  # type: ignore[dict-item]
HORIZON = 28


def sales(frequency: str = "D", periods: int = 400, shops: int = 3, horizon: int = HORIZON) -> SmallCompetition:
    """Return shops of different size with a week, a trend and a price that is known for test."""
    random = np.random.default_rng(0)
    times = pd.date_range("2022-01-03", periods=periods + horizon, freq=frequency)
    tables = []
    for shop in range(shops):
        price = random.choice([1.0, 2.0], len(times))
        season = 1 + 0.5 * np.sin(2 * np.pi * np.arange(len(times)) / {"D": 7, "h": 24}.get(frequency, 12))
        level = 20 * (shop + 1) * np.exp(0.002 * np.arange(len(times)))
        sold = level * season / price * np.exp(0.05 * random.normal(size=len(times)))
        tables.append(pd.DataFrame({"when": times, "shop": f"shop {shop}", "price": price, "sold": sold}))
    table = pd.concat(tables).sort_values("when", kind="stable").reset_index(drop=True)
    table.insert(0, "id", [f"r{row}" for row in range(len(table))])
    is_test = table["when"] > times[periods - 1]
    train = table[~is_test].reset_index(drop=True)
    test = table[is_test].drop(columns="sold").reset_index(drop=True)
    return SmallCompetition(
        train,
        test,
        {"id": "id", "when": "datetime", "shop": "category"},
        ("sold",),
        "regression",
        "rmsle",
        "value",
        scheme="time",
        time_column="when",
    )


def errors(candidate: CandidateFolder, competition: SmallCompetition) -> float:
    oof = pd.read_parquet(candidate.output / "oof.parquet")
    true = competition.train["sold"].to_numpy()[oof["row"]]
    return float(np.sqrt(np.mean((np.log1p(oof["sold"]) - np.log1p(true)) ** 2)))


def run(competition: SmallCompetition, folder: Path, family: str, config: dict[str, Any]) -> CandidateFolder:
    candidate = prepare(competition, folder, config, family, template="timeseries")
    run_all(candidate)
    return candidate


def test_models_beside_the_level_beat_the_season_before(tmp_path: Path) -> None:
    competition = sales()
    naive = errors(run(competition, tmp_path / "naive", "seasonal", SEASONAL), competition)
    trees = errors(run(competition, tmp_path / "trees", "lightgbm", LEARNING), competition)
    lines = errors(run(competition, tmp_path / "lines", "linear", LEARNING), competition)
    shape = errors(run(competition, tmp_path / "shape", "lightgbm", beside("around")), competition)
    timed = errors(run(competition, tmp_path / "timed", "lightgbm", beside("none")), competition)
    assert trees < 0.6 * naive
    assert lines < 0.8 * naive
    assert shape < naive
    assert timed < naive


def beside(baseline: str) -> dict[str, Any]:
    return {**LEARNING, "features": {**LEARNING["features"], "baseline": baseline}}  # type: ignore[dict-item]


def without_answers(competition: SmallCompetition) -> SmallCompetition:
    return SmallCompetition(**{**vars(competition), "test": competition.test.drop(columns="sold")})


def yearly_sales(years: int) -> SmallCompetition:
    """Return monthly sales with the shape of a year, whose level rose in the last months and stays there in test."""
    months = pd.date_range("2015-01-01", periods=12 * years + 12, freq="MS")
    shape = 1 + 0.4 * np.sin(2 * np.pi * months.month / 12)
    tables = []
    for shop in range(4):
        level = 100 * (shop + 1) * np.where(np.arange(len(months)) < 12 * years - 4, 1.0, 1.5)
        tables.append(pd.DataFrame({"when": months, "shop": f"shop {shop}", "sold": level * shape}))
    table = pd.concat(tables).sort_values("when", kind="stable").reset_index(drop=True)
    table.insert(0, "id", [f"r{row}" for row in range(len(table))])
    is_test = table["when"] >= months[12 * years]
    kinds: dict[str, Any] = {"id": "id", "when": "datetime", "shop": "category"}
    train, test = table[~is_test].reset_index(drop=True), table[is_test].reset_index(drop=True)
    return SmallCompetition(
        train, test, kinds, ("sold",), "regression", "rmsle", "value", scheme="time", time_column="when"
    )


def test_a_level_that_moved_lately_is_taken_up_at_once(tmp_path: Path) -> None:
    whole = yearly_sales(6)
    true, competition = whole.test["sold"].to_numpy(), without_answers(whole)
    off = {}
    for name, family in (("level", "seasonal"), ("latest", "seasonal"), ("around", "linear")):
        candidate = run(competition, tmp_path / name, family, beside(name))
        predicted = pd.read_parquet(candidate.output / "test_predictions.parquet").sort_values("row")["sold"]
        off[name] = float(np.mean(np.log(predicted.to_numpy() / true)))
    assert off["level"] < -0.15
    assert abs(off["latest"]) < 0.1
    assert abs(off["around"]) < 0.1


@pytest.mark.parametrize(("frequency", "periods"), [("h", 600), ("W", 160), ("MS", 72)])
def test_other_steps_than_days_are_forecast(tmp_path: Path, frequency: str, periods: int) -> None:
    competition = sales(frequency, periods, horizon=6)
    candidate = run(competition, tmp_path, "linear", LEARNING)
    predicted = pd.read_parquet(candidate.output / "test_predictions.parquet")["sold"]
    assert len(predicted) == len(competition.test)
    assert predicted.between(1, 400).all()


def test_new_series_gaps_and_a_single_series_are_no_obstacle(tmp_path: Path) -> None:
    competition = sales()
    kept = np.random.default_rng(1).random(len(competition.train)) < 0.7
    train = competition.train[kept].reset_index(drop=True)
    test = competition.test.copy()
    test.loc[test["shop"] == "shop 2", "shop"] = "a new shop"
    gappy = SmallCompetition(**{**vars(competition), "train": train, "test": test})
    for name, each in {"gaps": gappy, "one": sales(shops=1)}.items():
        candidate = run(each, tmp_path / name, "lightgbm", LEARNING)
        predicted = pd.read_parquet(candidate.output / "test_predictions.parquet")["sold"]
        assert predicted.between(1, 400).all()


def test_a_row_sees_nothing_after_its_cut_off(tmp_path: Path) -> None:
    competition = sales()
    folds = pd.Series(np.arange(len(competition.train)) * 3 // len(competition.train))
    first = run(competition, tmp_path / "a", "linear", LEARNING)
    changed = competition.train.copy()
    changed.loc[folds == 2, "sold"] *= 3
    second = run(SmallCompetition(**{**vars(competition), "train": changed}), tmp_path / "b", "linear", LEARNING)
    before, after = (pd.read_parquet(each.output / "oof.parquet") for each in (first, second))
    # What folds 1 and 2 predict comes from folds before them: labels of fold 2 change none of it.
    pd.testing.assert_frame_equal(before, after)
