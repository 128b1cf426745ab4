"""Every family of models serves every task, and none fails on what data may hold."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from autokaggle.records.data_profile import TaskType
from autokaggle.skills.pipeline.feature_gate import BLOCKS
from tests.small_competition import (
    SmallCompetition,
    binary,
    multiclass,
    output,
    prepare,
    regression,
    run_all,
)


@pytest.mark.parametrize("family", ["linear", "extra_trees", "mlp", "kernel", "nearest"])
@pytest.mark.parametrize("make", [regression, binary, multiclass], ids=["values", "binary", "multiclass"])
def test_every_family_serves_every_task(tmp_path: Path, family: str, make: object) -> None:
    competition = make()  # type: ignore[operator]
    candidate = prepare(competition, tmp_path, {"model": {"parameters": {"rounds": 40}}}, family)
    run_all(candidate)
    for name in ("oof.parquet", "test_predictions.parquet"):
        assert np.isfinite(output(candidate, name).to_numpy()).all()


@pytest.mark.parametrize("family", ["xgboost", "catboost"])
@pytest.mark.parametrize("make", [regression, binary, multiclass], ids=["values", "binary", "multiclass"])
def test_heavy_families_serve_every_task(tmp_path: Path, family: str, make: object) -> None:
    pytest.importorskip(family, reason=f"{family} is installed into a run's environment only when a plan asks for it")
    competition = make()  # type: ignore[operator]
    parameters = {"rounds": 40, "patience": 10, "eta": 0.1} if family == "xgboost" else {"rounds": 40}
    candidate = prepare(competition, tmp_path, {"model": {"parameters": parameters}}, family)
    run_all(candidate)
    assert np.isfinite(output(candidate, "oof.parquet").to_numpy()).all()


def with_infinite_values(competition: SmallCompetition) -> SmallCompetition:
    """Put infinite values into numbers, amounts and whole columns of train and of test."""
    tables = []
    for table in (competition.train.copy(), competition.test.copy()):
        random, rows = np.random.default_rng(len(table)), len(table)
        table.loc[1, "size"], table.loc[2, "size"] = np.inf, -np.inf
        table["boundless"] = np.where(random.random(rows) < 0.5, np.inf, 1.0)
        table["nothing else"] = np.where(random.random(rows) < 0.5, np.inf, -np.inf)
        table["latitude"], table["longitude"] = random.normal(size=(2, rows))
        table.loc[3, ["latitude", "longitude"]] = np.inf
        for name in ("bread", "milk", "honey"):
            table[name] = np.where(random.random(rows) < 0.4, 0.0, random.integers(1, 60, rows).astype(float))
            table.loc[4, name] = np.inf
        tables.append(table)
    return replace(competition, train=tables[0], test=tables[1])


FAMILIES = ("lightgbm", "xgboost", "catboost", "linear", "extra_trees", "mlp", "kernel", "nearest")


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("make", [regression, binary], ids=["values", "binary"])
def test_no_family_fails_on_infinite_values(tmp_path: Path, family: str, make: object) -> None:
    if family in ("xgboost", "catboost"):
        pytest.importorskip(family, reason="it is installed into a run's environment only when a plan asks for it")
    competition = with_infinite_values(make())  # type: ignore[operator]
    features = {"blocks": list(BLOCKS)} if family in ("lightgbm", "linear") else {}
    candidate = prepare(competition, tmp_path, {"model": {"parameters": {"rounds": 10}}, "features": features}, family)
    run_all(candidate)
    for name in ("oof.parquet", "test_predictions.parquet"):
        assert np.isfinite(output(candidate, name).to_numpy()).all()


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("make", [regression, binary], ids=["values", "binary"])
def test_no_family_fails_where_no_column_varies(tmp_path: Path, family: str, make: object) -> None:
    if family in ("xgboost", "catboost"):
        pytest.importorskip(family, reason="it is installed into a run's environment only when a plan asks for it")
    competition = make()  # type: ignore[operator]
    kept = [("id", "always"), ("id", "always", *competition.targets)]
    test, train = (table[list(names)] for table, names in zip((competition.test, competition.train), kept, strict=True))
    numbered = [table.assign(id=range(len(table))) for table in (train, test)]
    small = replace(competition, train=numbered[0], test=numbered[1])
    candidate = prepare(small, tmp_path, {"model": {"parameters": {"rounds": 10}}}, family)
    run_all(candidate)
    for name in ("oof.parquet", "test_predictions.parquet"):
        assert np.isfinite(output(candidate, name).to_numpy()).all()


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("labels", [("F",), ("F", "T"), ("F", "S", "T")], ids=["one", "two", "three"])
def test_no_family_fails_where_all_rows_have_the_same_label(
    tmp_path: Path, family: str, labels: tuple[str, ...]
) -> None:
    if family in ("xgboost", "catboost"):
        pytest.importorskip(family, reason="it is installed into a run's environment only when a plan asks for it")
    competition = binary()
    small = replace(
        competition,
        train=competition.train.assign(ripe=pd.Series("F", index=competition.train.index, dtype="str")),
        task="multiclass_classification" if len(labels) > 2 else "binary_classification",
        classes={"ripe": labels},
    )
    candidate = prepare(small, tmp_path, {"model": {"parameters": {"rounds": 10}}}, family)
    run_all(candidate)
    for name in ("oof.parquet", "test_predictions.parquet"):
        told = output(candidate, name).drop(columns="row")
        assert np.allclose(told.iloc[:, 0], 0.0 if len(labels) == 2 else 1.0)


def test_rows_whose_target_is_infinite_do_not_train(tmp_path: Path) -> None:
    competition = regression()
    train = competition.train.assign(weight=competition.train["weight"].mask(competition.train.index == 5, np.inf))
    candidate = prepare(replace(competition, train=train), tmp_path)
    run_all(candidate)
    oof = output(candidate, "oof.parquet")["weight"]
    assert oof.drop(5).rank().corr(train["weight"].drop(5).rank()) > 0.7


@pytest.mark.parametrize("task", ["regression", "binary_classification"])
def test_more_columns_than_rows_are_not_learned_by_heart(tmp_path: Path, task: TaskType) -> None:
    random = np.random.default_rng(1)
    x = random.normal(size=(210, 300))
    y = x[:, :4].sum(axis=1) + random.normal(size=210)
    labels = y if task == "regression" else np.where(y > 0, "yes", "no")
    table = pd.DataFrame({"id": np.arange(210), **{f"x{place}": x[:, place] for place in range(300)}, "y": labels})
    small = SmallCompetition(
        table[:150],
        table[150:].drop(columns="y").reset_index(drop=True),
        {},
        ("y",),
        task,
        "rmse" if task == "regression" else "log_loss",
        "value" if task == "regression" else "probability",
        {} if task == "regression" else {"y": ("no", "yes")},
    )
    candidate = prepare(small, tmp_path, {}, "linear")
    run_all(candidate)
    told = output(candidate, "oof.parquet")["y"].to_numpy()
    if task == "regression":
        assert np.sqrt(np.mean((told - y[:150]) ** 2)) < 0.97 * y[:150].std()
    else:
        chances = np.where(y[:150] > 0, told, 1 - told)
        assert -np.log(chances).mean() < np.log(2)
