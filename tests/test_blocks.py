"""Blocks of further features: each row's depend on that row and what was learned alone."""

from __future__ import annotations

import importlib
import sys
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
    return pd.DataFrame(
        {
            "height": np.round(random.normal(3, 1, 200), 2),
            "age": random.integers(1, 5, 200).astype(float),
            "latitude": random.uniform(40, 50, 200),
            "longitude": random.uniform(5, 15, 200),
            "variety": random.choice(["gala", "elstar", "boskoop", "topaz"], 200),
            "soil": random.choice(["clay", "sand"], 200),
        }
    ).mask(random.random((200, 6)) < 0.1)


NUMBERS, CATEGORIES = ["height", "age", "latitude", "longitude"], ["variety", "soil"]


def made(blocks: ModuleType, table: pd.DataFrame, rows: pd.DataFrame, name: str) -> pd.DataFrame:
    steps = blocks.fit(table, NUMBERS, CATEGORIES, [name])
    columns = {}
    for sources, make in steps:
        columns.update(make(*(rows[source].reset_index(drop=True) for source in sources)))
    return pd.DataFrame(columns)


def test_the_gate_knows_every_block(blocks: ModuleType) -> None:
    assert set(blocks.BLOCKS) == set(BLOCKS)


@pytest.mark.parametrize("name", BLOCKS)
def test_a_rows_features_do_not_change_with_other_rows(blocks: ModuleType, orchard: pd.DataFrame, name: str) -> None:
    whole, part = made(blocks, orchard, orchard, name), made(blocks, orchard, orchard.iloc[20:35], name)
    assert len(whole.columns)
    for column in whole:
        expected = whole[column].astype("str").iloc[20:35].tolist()
        assert part[column].astype("str").tolist() == expected


def test_a_value_never_seen_is_no_error(blocks: ModuleType, orchard: pd.DataFrame) -> None:
    strange = pd.DataFrame({**{name: [0.0] for name in NUMBERS}, "variety": ["unheard of"], "soil": [None]})
    for name in BLOCKS:
        assert len(made(blocks, orchard, strange, name)) == 1


def test_distances_are_kilometres(blocks: ModuleType) -> None:
    berlin, paris = (52.52, 13.405), (48.8566, 2.3522)
    found = blocks.Distance(None)(*(pd.Series([each]) for each in (*berlin, *paris)))
    assert found["distance"][0] == pytest.approx(878, abs=3)
