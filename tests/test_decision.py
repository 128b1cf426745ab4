"""Decision rules turn predictions into the text that is handed in."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autokaggle.templates.tabular.decision import decide, number_text


def decide_one(values: list[list[float]], **part: Any) -> list[str]:
    part = {"target": "t", "inputs": list(range(len(values[0]))), "outputs": ["t"], **part}
    return decide(np.array(values), {"version": 1, "parts": [part]})["t"]


def test_values_are_clipped_and_rounded() -> None:
    assert decide_one([[-1.0], [2.345], [9.9]], method="value", clip=[0, 5], round=1) == ["0", "2.3", "5"]


def test_one_open_bound_clips_the_other_side_alone() -> None:
    assert decide_one([[-1.0], [1e9]], method="value", clip=[0, None]) == ["0", "1000000000"]


def test_whole_values_have_no_decimal_point() -> None:
    assert decide_one([[1.5], [2.5], [-0.4]], method="value", integer=True) == ["2", "2", "0"]


def test_a_probability_stays_a_probability() -> None:
    assert decide_one([[1.2], [0.25]], method="probability", clip=[0, 1]) == ["1", "0.25"]


def test_class_probabilities_add_up_to_one_after_clipping() -> None:
    part = {"target": "t", "inputs": [0, 1], "outputs": ["a", "b"], "method": "class_probability", "clip": [0.1, 1]}
    found = decide(np.array([[0.0, 0.9]]), {"version": 1, "parts": [part]})
    assert [float(found["a"][0]), float(found["b"][0])] == pytest.approx([0.1, 0.9])


def test_the_threshold_itself_is_positive() -> None:
    found = decide_one([[0.39], [0.4], [0.41]], method="threshold", threshold=0.4, labels=["No", "Yes"])
    assert found == ["No", "Yes", "Yes"]


def test_multipliers_shift_the_choice_of_a_class() -> None:
    values, labels = [[0.5, 0.3, 0.2]], ["x", "y", "z"]
    assert decide_one(values, method="argmax", multipliers=[1, 1, 1], labels=labels) == ["x"]
    assert decide_one(values, method="argmax", multipliers=[1, 1, 3], labels=labels) == ["z"]


def test_a_value_on_a_cut_belongs_above_it() -> None:
    found = decide_one([[2.9], [3.5], [9.0]], method="cut_points", cuts=[3.5, 4.5], labels=["3", "4", "5"])
    assert found == ["3", "4", "5"]


def test_the_likeliest_labels_come_first_and_ties_keep_their_order() -> None:
    found = decide_one([[0.2, 0.5, 0.2, 0.1]], method="top_k", length=3, labels=["a", "b", "c", "d"])
    assert found == ["b a c"]


def test_parts_pick_their_own_columns() -> None:
    parts = [
        {"target": "p", "inputs": [1], "outputs": ["p"], "method": "value"},
        {"target": "q", "inputs": [0], "outputs": ["q"], "method": "threshold", "threshold": 0.5, "labels": ["0", "1"]},
    ]
    assert decide(np.array([[0.7, 2.5]]), {"version": 1, "parts": parts}) == {"p": ["2.5"], "q": ["1"]}


@pytest.mark.parametrize(
    "rule", [{"version": 2, "parts": []}, {"version": 1, "parts": [{"method": "guess", "inputs": [0], "outputs": []}]}]
)
def test_a_rule_that_is_not_known_is_refused(rule: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"version|unknown decision method"):
        decide(np.zeros((1, 1)), rule)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_read_back_as_they_were(number: float) -> None:
    assert float(number_text(number)) == number
