"""The tabular pipeline runs by hand and keeps the candidate contract, whatever the task and the columns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.small_competition import TRAIN_ROWS, SmallCompetition, mixed_tables, prepare, run_all, run_script


def regression(metric: str = "rmse", **changes: object) -> SmallCompetition:
    train, test, kinds, signal = mixed_tables()
    train["weight"] = np.exp(signal)
    return SmallCompetition(train, test, kinds, ("weight",), "regression", metric, "value", **changes)  # type: ignore[arg-type]


def binary() -> SmallCompetition:
    train, test, kinds, signal = mixed_tables()
    train["ripe"] = pd.Series(np.where(signal > 0.5, "True", "False"), dtype="str")
    classes = {"ripe": ("False", "True")}
    return SmallCompetition(train, test, kinds, ("ripe",), "binary_classification", "accuracy", "label", classes)


def output(folder: Path, name: str) -> pd.DataFrame:
    return pd.read_parquet(folder / "output" / name)


def test_three_scripts_by_hand_keep_the_contract(tmp_path: Path) -> None:
    competition = binary()
    candidate = prepare(competition, tmp_path)
    run_all(candidate)
    oof, test = output(candidate.path, "oof.parquet"), output(candidate.path, "test_predictions.parquet")
    assert list(oof.columns) == list(test.columns) == ["row", "ripe"]
    assert oof["row"].tolist() == list(range(TRAIN_ROWS))
    assert test["row"].tolist() == list(range(len(competition.test)))
    assert oof["ripe"].between(0, 1).all()
    assert oof["row"].dtype == "int64" and oof["ripe"].dtype == "float64"
    assert ((oof["ripe"] > 0.5) == (competition.train["ripe"] == "True")).mean() > 0.75
    assert not (candidate.output / "submission.csv").exists()


def test_predictions_of_a_log_target_come_back_on_its_own_scale(tmp_path: Path) -> None:
    competition = regression("rmsle")
    candidate = prepare(competition, tmp_path)
    assert "target_transform: log1p" in candidate.config.read_text()
    run_all(candidate)
    oof = output(candidate.path, "oof.parquet")
    assert np.corrcoef(np.log1p(oof["weight"]), np.log1p(competition.train["weight"]))[0, 1] > 0.7
    assert oof["weight"].max() < 2 * competition.train["weight"].max()


def test_scripts_without_a_model_say_what_to_do(tmp_path: Path) -> None:
    candidate = prepare(binary(), tmp_path)
    result = run_script(candidate.path, "validate.py")
    assert result.returncode == 1
    assert "run train.py first" in result.stderr


@pytest.mark.parametrize("kind", ["same rows", "other rows"])
def test_a_second_run_gives_the_same_predictions(tmp_path: Path, kind: str) -> None:
    first, second = prepare(binary(), tmp_path / "a"), prepare(binary(), tmp_path / "b")
    run_all(first)
    run_all(second, AUTOKAGGLE_THREADS="1" if kind == "other rows" else "2")
    name = "test_predictions.parquet"
    pd.testing.assert_frame_equal(output(first.path, name), output(second.path, name), check_exact=True)
