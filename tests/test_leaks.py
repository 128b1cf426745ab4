"""Code that leaks gains nothing by it, or is found out and told why."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from autokaggle.records.candidate import Candidate
from tests.judged_run import TEST_ROWS, TRAIN_ROWS, JudgedRun, judged_run, orchard

FEATURES = """
import numpy as np
import pandas as pd
import files


def fit(train):
    {fit}


def transform(table, state):
    made = pd.DataFrame({{"height": table["height"], "width": table["width"]}})
    {transform}
    return made
"""


def features(fit: str = "return None", transform: str = "pass") -> dict[str, str]:
    return {"features.py": FEATURES.format(fit=fit, transform=transform)}


HONEST = features()
# The mean target of a row's grower over all rows of train, its own included.
ENCODED_ON_ALL_ROWS = features(
    "whole = files.load_table('train').dropna(subset='sold'); "
    "return (whole['sold'] == '1').groupby(whole['grower']).mean()",
    "made['encoded'] = table['grower'].map(state).astype('float64')",
)
# What became of each tree, which is known for the trees of train alone.
JOINED_FUTURE = features(
    transform="later = pd.read_parquet(files.input_folder() / 'tables' / 'harvest.parquet').set_index('id'); "
    "made['crates'] = pd.to_numeric(table['id']).map(later['crates']).astype('float64')",
)
LOOKS_AT_OTHER_ROWS = features(transform="made['rank'] = table['height'].rank()")
READS_RAW_FILE = features(
    transform="raw = pd.read_csv(files.input_folder() / 'data' / 'train.csv').set_index('id'); "
    "made['sold'] = pd.to_numeric(table['id']).map(raw['sold']).astype('float64')",
)
# A file that nothing says is the answer, for train and test: only code that should know nothing gives it away.
READS_LABELS_ELSEWHERE = features(
    transform="raw = pd.read_parquet(files.input_folder() / 'tables' / 'archive.parquet').set_index('id'); "
    "made['x'] = pd.to_numeric(table['id']).map(raw['code']).astype('float64')",
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JudgedRun]:
    folder = tmp_path_factory.mktemp("leaks")
    competition = orchard(folder / "orchard")
    train = pd.read_csv(competition / "train.csv")
    noise = np.random.default_rng(3).normal(size=TRAIN_ROWS)
    harvest = pd.DataFrame({"id": train["id"], "crates": (train["sold"] + 0.3 * noise).round(3)})
    harvest.to_csv(competition / "harvest.csv", index=False)
    with judged_run(competition, folder) as made:
        yield made


@pytest.fixture(scope="module")
def honest(run: JudgedRun) -> Candidate:
    """The candidate whose features are honest, scored and audited."""
    candidate, evaluation = run.candidate(HONEST)
    assert evaluation is not None, candidate.reason
    return candidate


def details(candidate: Candidate) -> dict[str, str]:
    return {check.name: f"{check.status}: {check.detail}" for check in candidate.audit}


def test_honest_features_pass_every_check(honest: Candidate) -> None:
    assert honest.status == "scored"
    found = details(honest)
    assert {name: text.partition(":")[0] for name, text in found.items()} == {
        "blind split": "ok",
        "rows alone": "ok",
        "one feature": "ok",
        "data usage": "ok",
        "test like train": "ok",
    }
    assert "'grower'" in found["data usage"]
    assert "harvest.csv" in found["data usage"]
    assert "height" not in found["data usage"]


def test_an_encoding_fitted_on_all_rows_gains_nothing(run: JudgedRun, honest: Candidate) -> None:
    candidate, evaluation = run.candidate(ENCODED_ON_ALL_ROWS, name="c003")
    assert evaluation is not None, candidate.reason
    assert honest.score is not None
    assert evaluation.score.mean < honest.score.mean + 0.03


def test_a_joined_future_column_is_named(run: JudgedRun) -> None:
    candidate, evaluation = run.candidate(JOINED_FUTURE, name="c004")
    assert evaluation is None
    assert candidate.status == "leaking"
    assert "feature 'crates' alone orders" in candidate.reason
    assert "test has no values of it" in candidate.reason


def test_a_transform_that_looks_at_other_rows_is_named(run: JudgedRun) -> None:
    candidate, evaluation = run.candidate(LOOKS_AT_OTHER_ROWS, name="c005")
    assert evaluation is None
    assert candidate.status == "leaking"
    assert "'rank' of a row changes when other rows do" in candidate.reason


def test_labels_cannot_be_read_from_the_raw_file(run: JudgedRun) -> None:
    candidate, evaluation = run.candidate(READS_RAW_FILE, name="c006")
    assert evaluation is None
    assert candidate.status == "failed"
    assert "train.csv" in candidate.reason


def test_labels_that_lie_elsewhere_are_found_out_by_shuffling(tmp_path: Path) -> None:
    competition = orchard(tmp_path / "orchard")
    train = pd.read_csv(competition / "train.csv")
    random = np.random.default_rng(8)
    codes = np.concatenate([train["sold"], random.integers(0, 2, TEST_ROWS)])
    archive = pd.DataFrame({"id": np.arange(1000, 1000 + len(codes)), "code": codes + 4})
    archive.to_csv(competition / "archive.csv", index=False)
    with judged_run(competition, tmp_path) as made:
        candidate, _ = made.candidate({**READS_LABELS_ELSEWHERE, "model_lightgbm.py": COPYING})
    found = details(candidate)
    assert candidate.status == "leaking", (candidate.reason, found)
    assert found["shuffled target"].startswith("leak: ")


# A "model" that learns nothing: it hands on the column that it found.
COPYING = """
import numpy as np
import models


class Copy:
    rounds = 0
    replay = {}
    note = "copied"

    def predict(self, values):
        return np.where(np.nan_to_num(values[:, 2:3], nan=4.5) > 4.5, 0.99, 0.01)


def fit(task):
    return Copy()
"""
