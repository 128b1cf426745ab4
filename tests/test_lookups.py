"""Tables that tell more of a value are joined by key, by day where both have dates, row by row."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd
import pytest

from autokaggle.records.data_profile import DataProfile, FileProfile
from tests.small_competition import SmallCompetition, mixed_tables, prepare, run_all

MAKE = "import features, files; t = files.load_table('train')\n"
MAKE += "features.transform(t, features.fit(t)).to_csv('made.csv')"


@dataclass(frozen=True)
class WithLookups(SmallCompetition):
    """A small competition with two more tables: colours, one row each, and weather of each colour and day."""

    def profile(self) -> DataProfile:
        base = super().profile()
        join = {"shade": "colour"}
        more = (
            FileProfile(name="colours.csv", role="lookup", table="colours.parquet", join_columns=join),
            FileProfile(
                name="weather.csv", role="lookup", table="weather.parquet", join_columns=join, join_is_unique=False
            ),
        )
        return msgspec.structs.replace(base, files=(*base.files, *more))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return train, and the features that the template makes of it, after a whole run of the candidate."""
    train, test, kinds, signal = mixed_tables()
    train["weight"] = np.exp(signal)
    competition = WithLookups(train, test, kinds, ("weight",), "regression", "rmse", "value")
    candidate = prepare(competition, tmp_path_factory.mktemp("lookups"))
    tables = candidate.path.parents[1] / "input" / "tables"
    shades = pd.DataFrame({"shade": ["red", "green", "gold"], "warmth": [3.0, 1.0, 2.0], "class": ["a", "b", "a"]})
    shades.to_parquet(tables / "colours.parquet", index=False)
    days = pd.date_range("2024-01-01", periods=120, freq="D")
    twice = pd.concat([pd.DataFrame({"shade": "red", "time": days + pd.Timedelta(hours=6 * part)}) for part in (1, 2)])
    twice["rain"] = np.arange(240.0) % 120
    twice.to_parquet(tables / "weather.parquet", index=False)
    run_all(candidate)
    done = subprocess.run([sys.executable, "-c", MAKE], cwd=candidate.code, capture_output=True, text=True, check=True)
    assert done.returncode == 0
    return train, pd.read_csv(Path(candidate.code) / "made.csv", index_col=0)


def test_a_unique_key_brings_the_columns_as_they_are(made: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    train, features = made
    found = features["colours of colour: warmth"]
    expected = train["colour"].map({"red": 3.0, "green": 1.0})
    pd.testing.assert_series_equal(found, expected, check_names=False)
    assert set(features["colours of colour: class"].dropna()) == {"a", "b"}


def test_several_rows_are_summed_up_for_the_same_day(made: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    train, features = made
    prefix = "weather of colour, picked"
    day = (train["picked"].dt.normalize() - pd.Timestamp("2024-01-01")).dt.days.astype("float64")
    is_red = train["colour"] == "red"
    pd.testing.assert_series_equal(features[f"{prefix}: mean of rain"], day.where(is_red), check_names=False)
    assert set(features.loc[is_red, f"{prefix}: rows"]) == {2.0}
    assert features.loc[~is_red, f"{prefix}: rows"].isna().all()
