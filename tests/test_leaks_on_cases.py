"""Leaks as people build them, on real competitions: each gains nothing, or is named."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest

from autokaggle.records.candidate import Candidate
from autokaggle.skills.scoring.evaluator import Evaluation
from tests.judged_run import judged_run

pytestmark = pytest.mark.slow

FEATURES = """
import pandas as pd
import files


def fit(train):
    {fit}


def transform(table, state):
    made = table[{columns!r}].apply(pd.to_numeric, errors="coerce").astype("float64")
    {transform}
    return made
"""


def features(columns: list[str], fit: str = "return None", transform: str = "pass") -> dict[str, str]:
    return {"features.py": FEATURES.format(columns=columns, fit=fit, transform=transform)}


def tried(case: str, cases: Path, tmp_path: Path, *codes: dict[str, str]) -> list[tuple[Candidate, Evaluation | None]]:
    """Run each of the codes as a candidate of the competition, whose answers the program does not see."""
    with judged_run(cases / case / "data", tmp_path) as run:
        return [run.candidate(code, name=f"c{number:03d}") for number, code in enumerate(codes, 1)]


def test_an_encoding_fitted_on_all_rows_gains_nothing(shared_folder: Path, tmp_path: Path) -> None:
    amounts = ["Age", "RoomService", "FoodCourt", "Spa", "VRDeck"]
    # Most cabins have one passenger or two: their mean target is nearly the row's own answer.
    encoded = features(
        amounts,
        "whole = files.load_table('train').dropna(subset='Transported'); "
        "answer = whole['Transported'].astype(str).str.lower().isin(['1', 'true']); "
        "return answer.groupby(whole['Cabin']).mean()",
        "made['cabin'] = table['Cabin'].map(state).astype('float64')",
    )
    (_, honest), (candidate, found) = tried(
        "spaceship-titanic", shared_folder / "cases", tmp_path, features(amounts), encoded
    )
    assert honest is not None
    assert found is not None, candidate.reason
    assert found.score.mean < honest.score.mean + 0.03


def test_columns_that_only_train_has_gain_nothing(shared_folder: Path, tmp_path: Path) -> None:
    # Casual and registered riders add up to the target, and nobody knows them beforehand.
    hour = features(["temp", "humidity"])
    joined = features(
        ["temp", "humidity"],
        transform="later = pd.read_parquet(files.input_folder() / 'tables' / 'train.parquet').set_index('datetime'); "
        "made['registered'] = pd.to_numeric(table['datetime'].map(later['registered'])).astype('float64')",
    )
    (_, honest), (candidate, found) = tried("bike-sharing-demand", shared_folder / "cases", tmp_path, hour, joined)
    assert honest is not None
    assert found is None or found.score.mean > honest.score.mean - 1.0, candidate.reason


def test_a_joined_column_of_the_future_is_named(shared_folder: Path, tmp_path: Path) -> None:
    data = tmp_path / "cases" / "bikes" / "data"
    shutil.copytree(shared_folder / "cases" / "bike-sharing-demand" / "data", data)
    train = pd.read_csv(data / "train.csv")
    train[["datetime", "registered"]].to_csv(data / "counted.csv", index=False)
    joined = features(
        ["temp", "humidity"],
        transform="later = pd.read_parquet(files.input_folder() / 'tables' / 'counted.parquet').set_index('datetime'); "
        "made['riders'] = pd.to_numeric(table['datetime'].map(later['registered'])).astype('float64')",
    )
    [(candidate, found)] = tried("bikes", tmp_path / "cases", tmp_path, joined)
    assert found is None
    assert candidate.status == "leaking"
    assert "feature 'riders' alone" in candidate.reason


def test_a_transform_that_looks_at_other_rows_is_named(shared_folder: Path, tmp_path: Path) -> None:
    ranked = features(["LotArea", "OverallQual"], transform="made['rank'] = made['LotArea'].rank()")
    [(candidate, found)] = tried(
        "house-prices-advanced-regression-techniques", shared_folder / "cases", tmp_path, ranked
    )
    assert found is None
    assert candidate.status == "leaking"
    assert "'rank' of a row changes when other rows do" in candidate.reason


def test_labels_cannot_be_read_from_the_raw_file(shared_folder: Path, tmp_path: Path) -> None:
    raw = features(
        ["Pclass", "Fare"],
        transform="raw = pd.read_csv(files.input_folder() / 'data' / 'train.csv').set_index('PassengerId'); "
        "made['answer'] = pd.to_numeric(table['PassengerId']).map(raw['Survived']).astype('float64')",
    )
    [(candidate, found)] = tried("titanic", shared_folder / "cases", tmp_path, raw)
    assert found is None
    assert candidate.status == "failed"
    assert "train.csv" in candidate.reason
