"""Blocks of further features: each row's depend on that row and what was learned alone."""

from __future__ import annotations

import importlib
import sys
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

import autokaggle.templates.tabular as template
from autokaggle.skills.pipeline.feature_gate import BLOCKS


@pytest.fixture
def blocks(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(Path(template.__file__).parent))
    monkeypatch.delitem(sys.modules, "blocks", raising=False)
    return importlib.import_module("blocks")


@pytest.fixture
def orchard() -> pd.DataFrame:
    random = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "height": np.round(random.normal(3, 1, 200), 2),
            "age": random.integers(1, 5, 200).astype(float),
            "latitude": random.uniform(40, 50, 200),
            "longitude": random.uniform(5, 15, 200),
            "variety": random.choice(["gala", "elstar", "boskoop", "topaz"], 200),
            "soil": random.choice(["clay", "sand"], 200),
        }
    ).mask(random.random((200, 6)) < 0.1)
    table["id"] = [str(number) for number in range(5000, 5200)]
    table["country"] = random.choice(["Germany", "France"], 200)
    table["picked"] = pd.Timestamp("2023-05-01") + pd.to_timedelta(np.arange(200) + random.normal(0, 2, 200), "D")
    return table


NUMBERS, CATEGORIES = ["height", "age", "latitude", "longitude"], ["variety", "soil", "country"]


def made(blocks: ModuleType, table: pd.DataFrame, rows: pd.DataFrame, name: str) -> pd.DataFrame:
    steps = blocks.fit(table, NUMBERS, CATEGORIES, [name])
    columns = {}
    for sources, make in steps:
        columns.update(make(*(rows[source].reset_index(drop=True) for source in sources)))
    return pd.DataFrame(columns)


def test_amounts_of_a_like_size_are_added_up(blocks: ModuleType) -> None:
    table = pd.DataFrame(
        {
            "ground": [100.0, 120.0, 80.0, np.nan],
            "rooms": [3.0, 4.0, 2.0, 1.0],
            "upper": [60.0, 0.0, 90.0, 70.0],
            "change": [-100.0, 100.0, 90.0, 80.0],
            "price": [1e5, 2e5, 1.5e5, 1.1e5],
        }
    )
    ((names, total),) = blocks.fit(table, list(table), [], ["totals"])
    assert names == ("ground", "upper")
    found = total(*(table[name] for name in names))
    assert {label: list(values) for label, values in found.items()} == {
        "total of ground to upper: sum": [160.0, 120.0, 170.0, 70.0],
        "total of ground to upper: above zero": [2.0, 1.0, 2.0, 1.0],
        "total of ground to upper: largest part": [100 / 160, 1.0, 90 / 170, 1.0],
    }


def test_the_gate_knows_every_block(blocks: ModuleType) -> None:
    assert set(blocks.BLOCKS) == set(BLOCKS)


@pytest.mark.parametrize("name", BLOCKS)
def test_a_rows_features_do_not_change_with_other_rows(blocks: ModuleType, orchard: pd.DataFrame, name: str) -> None:
    if name == "holidays":
        pytest.importorskip(name, reason="only a run whose table has countries installs holidays")
    whole, part = made(blocks, orchard, orchard, name), made(blocks, orchard, orchard.iloc[20:35], name)
    assert len(whole.columns)
    for column in whole:
        expected = whole[column].astype("str").iloc[20:35].tolist()
        assert part[column].astype("str").tolist() == expected


def test_a_value_never_seen_is_no_error(blocks: ModuleType, orchard: pd.DataFrame) -> None:
    strange = pd.DataFrame({**{name: [0.0] for name in NUMBERS}, "variety": ["unheard of"], "soil": [None]})
    strange = strange.assign(country="Utopia", id="none", picked=pd.Series([pd.NaT]))
    for name in set(BLOCKS) - ({"holidays"} if find_spec("holidays") is None else set()):
        assert len(made(blocks, orchard, strange, name)) == 1


def test_the_last_hour_of_a_day_is_next_to_the_first(blocks: ModuleType, orchard: pd.DataFrame) -> None:
    orchard["picked"] = pd.Timestamp("2024-03-04") + pd.to_timedelta(np.arange(200), "h")
    found = made(blocks, orchard, orchard, "cycles")
    hours = found[["picked: hour, sine", "picked: hour, cosine"]].to_numpy()
    assert np.linalg.norm(hours[23] - hours[0]) == pytest.approx(np.linalg.norm(hours[5] - hours[4]))
    assert not [label for label in found if "month" in str(label)]


def test_a_row_that_came_late_for_its_number_stands_out(blocks: ModuleType, orchard: pd.DataFrame) -> None:
    orchard["picked"] = pd.Timestamp("2023-05-01") + pd.to_timedelta(np.arange(200), "D")
    orchard["picked"] += pd.to_timedelta(np.where(np.arange(200) == 70, 30, 0), "D")
    late = made(blocks, orchard, orchard, "order").iloc[:, 0]
    assert late[70] == pytest.approx(30, abs=2)
    assert late.drop(70).abs().max() < 31
    assert late.drop(70).abs().median() < 1


def test_rows_that_are_numbered_by_lot_have_no_order(blocks: ModuleType, orchard: pd.DataFrame) -> None:
    orchard["id"] = np.random.default_rng(1).permutation(200).astype(str)
    assert blocks.fit(orchard, NUMBERS, CATEGORIES, ["order"]) == []


def test_days_near_a_holiday_of_the_rows_country_are_told(blocks: ModuleType, orchard: pd.DataFrame) -> None:
    pytest.importorskip("holidays")
    orchard["picked"] = pd.Timestamp("2023-10-02")
    orchard["country"] = ["Germany", "France"] * 100
    found = made(blocks, orchard, orchard, "holidays")
    assert found["picked: days until holiday"].iloc[:2].tolist() == [1, 10]


def test_distances_are_kilometres(blocks: ModuleType) -> None:
    berlin, paris = (52.52, 13.405), (48.8566, 2.3522)
    found = blocks.Distance(None)(*(pd.Series([each]) for each in (*berlin, *paris)))
    assert found["distance"][0] == pytest.approx(878, abs=3)
