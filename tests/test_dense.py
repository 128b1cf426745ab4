"""Wide tables for linear models: filled and scaled part by part, and as far as the clock allows."""

from __future__ import annotations

import importlib
import math
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from types import ModuleType

import numpy as np
import pytest

from tests.template_files import template_file


@pytest.fixture
def dense() -> Iterator[ModuleType]:
    with template_file("dense") as module:
        yield module


def wide_matrix(rows: int, columns: int) -> np.ndarray:
    random = np.random.default_rng(0)
    x = random.normal(size=(rows, columns)).astype(np.float32)
    x[:, ::2] = np.exp(x[:, ::2])
    x[:, 1::5][random.random(x[:, 1::5].shape) < 0.1] = np.nan
    x[:, -1] = random.integers(0, 4, rows)
    return x


def test_numbers_of_wide_tables_are_filled_scaled_and_straightened(dense: ModuleType) -> None:
    x = wide_matrix(301, 45)
    made = dense.fit(x, [44]).encode(x)
    filled = np.where(np.isnan(x[:, :44]), np.nanmedian(x[:, :44].astype(np.float64), axis=0), x[:, :44])
    leans = np.abs(((filled - filled.mean(axis=0)) ** 3).mean(axis=0) / filled.std(axis=0) ** 3) > 0.75
    filled = np.where((filled.min(axis=0) >= 0) & leans, np.log1p(np.maximum(filled, 0)), filled)
    scaled = (filled - filled.mean(axis=0)) / filled.std(axis=0)
    np.testing.assert_allclose(made[:, :44], np.clip(scaled, -5, 5), atol=1e-5)
    np.testing.assert_array_equal(made[:, 44:53], np.isnan(x[:, 1:44:5]))
    assert (made[:, 53:].sum(axis=1) == 1).all()
    assert made.flags.c_contiguous  # batches are rows


def test_wide_tables_are_prepared_without_copies_of_them(dense: ModuleType) -> None:
    x = wide_matrix(4000, 1000)
    tracemalloc.start()
    encoder = dense.fit(x, [999])
    learning = tracemalloc.get_traced_memory()[1]
    tracemalloc.reset_peak()
    made = encoder.encode(x)
    encoding = tracemalloc.get_traced_memory()[1] - made.nbytes
    tracemalloc.stop()
    assert learning < x.nbytes / 2
    assert encoding < 1.5 * x.nbytes


def test_columns_for_which_there_is_no_time_are_left_out_and_so_by_a_replay(dense: ModuleType) -> None:
    x = wide_matrix(300, 200)
    cut = dense.fit(x, [199], end=0.0)
    assert 0 < len(cut.numbers) < 100
    assert len(cut.levels) == 4
    again = dense.fit(x, [199], parameters=cut.replay)
    np.testing.assert_array_equal(cut.encode(x), again.encode(x))
    whole = dense.fit(x, [199])
    assert (len(whole.numbers), whole.replay) == (199, {})


@pytest.mark.parametrize("family", ["linear", "kernel", "nearest", "mlp"])
@pytest.mark.parametrize("classes", [0, 2])
def test_what_the_clock_left_out_of_a_familys_columns_is_left_out_again(
    dense: ModuleType, family: str, classes: int
) -> None:
    models = importlib.import_module("models")
    x = wide_matrix(120, 90)
    y = (x[:, 1] > 0).astype(np.float64) if classes else np.nan_to_num(x[:, 1]).astype(np.float64)
    task = models.Task(
        rows=models.Rows(x, y),
        watched=None,
        objective="log_loss" if classes else "squared_error",
        classes=classes,
        category_columns=[89],
        seed=0,
        end=0.0,
    )
    cut = models.fitter(family)(task)
    assert cut.replay["dense_columns"] < 89
    again = models.fitter(family)(replace(task, end=math.inf, parameters=cut.replay))
    np.testing.assert_allclose(cut.predict(x), again.predict(x))
