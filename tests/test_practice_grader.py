"""The practice Kaggle's scores, beside scikit-learn's on the same answers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn.metrics

from autokaggle.practice.grader import HOST_METRICS, RejectedFile, find_metric, grade

N_ROWS = 400


def written(path: Path, values: Any, usage: bool = False) -> bytes:
    lines = [
        f"{number},{value}" + (f",{'Public' if number % 4 else 'Private'}" if usage else "")
        for number, value in enumerate(values)
    ]
    path.write_text("\n".join(["id,y,Usage" if usage else "id,y", *lines]) + "\n")
    return path.read_bytes()


def yes_and_no(random: np.random.Generator) -> tuple[Any, Any]:
    truth = random.integers(0, 2, N_ROWS)
    # Rounded, so that there are ties.
    return truth, np.round(np.clip(0.3 * truth + random.uniform(0.05, 0.6, N_ROWS), 0, 1), 1)


def amounts(random: np.random.Generator) -> tuple[Any, Any]:
    truth = random.gamma(2.0, 100.0, N_ROWS)
    return truth, truth * random.uniform(0.5, 1.5, N_ROWS)


@pytest.mark.parametrize(
    ("wording", "peer", "make"),
    [
        ("Mean Absolute Error", sklearn.metrics.mean_absolute_error, amounts),
        ("Root Mean Squared Error", sklearn.metrics.root_mean_squared_error, amounts),
        ("Root Mean Squared Logarithmic Error", sklearn.metrics.root_mean_squared_log_error, amounts),
        ("Log Loss", sklearn.metrics.log_loss, yes_and_no),
        ("Area Under Receiver Operating Characteristic Curve", sklearn.metrics.roc_auc_score, yes_and_no),
    ],
)
def test_scores_agree_with_scikit_learn(
    tmp_path: Path,
    wording: str,
    peer: Callable[[Any, Any], float],
    make: Callable[[np.random.Generator], tuple[Any, Any]],
) -> None:
    truth, answer = make(np.random.default_rng(7))
    written(tmp_path / "solution.csv", truth, usage=True)
    scores = grade(written(tmp_path / "submission.csv", answer), tmp_path / "solution.csv", wording)
    public = np.arange(N_ROWS) % 4 > 0
    assert scores.public == pytest.approx(peer(truth[public], answer[public]))
    assert scores.private == pytest.approx(peer(truth[~public], answer[~public]))


def test_labels_are_compared_as_texts(tmp_path: Path) -> None:
    written(tmp_path / "solution.csv", ["True", "False", "True", "01"])
    answer = written(tmp_path / "submission.csv", ["True", "False", "true", "1"])
    assert grade(answer, tmp_path / "solution.csv", "Categorization Accuracy").public == 0.5


def test_several_targets_are_averaged_and_rows_may_come_in_any_order(tmp_path: Path) -> None:
    (tmp_path / "solution.csv").write_text("id,a,b\n1,0,0\n2,0,0\n")
    scores = grade(b"id,b,a\r\n2,4,1\r\n1,2,1\r\n", tmp_path / "solution.csv", "Mean Absolute Error")
    assert (scores.public, scores.private) == (2.0, 2.0)


@pytest.mark.parametrize(
    ("wording", "value", "reason"),
    [
        ("Root Mean Squared Logarithmic Error", "-1", "negative"),
        ("Log Loss", "1.5", "no probability"),
        ("Quality of the Haiku", "1", "cannot compute 'Quality of the Haiku'"),
    ],
)
def test_values_that_a_metric_cannot_take_are_rejected(tmp_path: Path, wording: str, value: str, reason: str) -> None:
    written(tmp_path / "solution.csv", ["1", "0"])
    with pytest.raises(RejectedFile, match=reason):
        grade(written(tmp_path / "submission.csv", ["0", value]), tmp_path / "solution.csv", wording)


def test_metrics_are_found_by_wording_in_any_spelling() -> None:
    assert find_metric("root mean-squared error") is HOST_METRICS["rootmeansquarederror"]
    assert find_metric("") is None
