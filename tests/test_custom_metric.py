"""A metric of one's own scores like one that ships, and its file is never run by this program."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from autokaggle.errors import UsageError
from autokaggle.skills.scoring.answers import Answers
from autokaggle.skills.scoring.custom_metric import RunScript, custom_metric
from autokaggle.skills.scoring.intervals import bootstrap_deviation, fold_scores
from autokaggle.skills.scoring.metrics import METRICS, register

TRUTH = np.random.default_rng(1).normal(size=300)
GUESS = TRUTH + np.random.default_rng(2).normal(size=300)


def run_here(code: Path, given: Path, output: Path, function: str) -> None:
    """Run the script in a process of its own, as the sandbox would."""
    environment = {**os.environ, "AUTOKAGGLE_INPUT": str(given), "AUTOKAGGLE_OUTPUT": str(output)}
    command = [sys.executable, "-P", str(code / "pair_scorer.py"), function]
    subprocess.run(command, env=environment, check=False, capture_output=True, timeout=300)


def run_nothing(code: Path, given: Path, output: Path, function: str) -> None:
    """Stand for a sandbox in which nothing came out."""


def write(folder: Path, body: str, top: str = "GREATER_IS_BETTER = False") -> str:
    path = folder / "mine.py"
    path.write_text(f"import numpy as np\n{top}\n\n\n{body}\n")
    return f"{path}:error"


ABSOLUTE = "def error(truth, predicted):\n    return np.abs(truth - predicted).mean()"


def test_it_scores_what_the_function_says(tmp_path: Path) -> None:
    metric = custom_metric(write(tmp_path, ABSOLUTE), run_here, tmp_path)
    assert (metric.id, metric.input, metric.greater_is_better) == ("mine.error", "value", False)
    assert metric.function(TRUTH, GUESS) == pytest.approx(METRICS["mae"].function(TRUTH, GUESS))


def test_folds_and_bootstrap_take_one_call_each(tmp_path: Path) -> None:
    calls: list[str] = []

    def counted(code: Path, given: Path, output: Path, function: str) -> None:
        calls.append(function)
        run_here(code, given, output, function)

    mine = Answers(custom_metric(write(tmp_path, ABSOLUTE), counted, tmp_path), (TRUTH,), (GUESS,))
    same = Answers(METRICS["mae"], (TRUTH,), (GUESS,))
    assert fold_scores(mine, np.arange(300) % 5) == pytest.approx(fold_scores(same, np.arange(300) % 5))
    assert bootstrap_deviation(mine) == pytest.approx(bootstrap_deviation(same), rel=0.4)
    assert calls == ["error", "error"]


def test_the_file_is_not_run_here(tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    body = f"open({str(trap)!r}, 'w')\n{ABSOLUTE}"
    custom_metric(write(tmp_path, body), run_nothing, tmp_path)
    assert not trap.exists()


def test_a_score_that_is_not_defined_is_nan(tmp_path: Path) -> None:
    body = "def error(truth, predicted):\n    if truth[0] > 1:\n        raise ValueError('no')\n    return truth[0] / 1"
    metric = custom_metric(write(tmp_path, body), run_here, tmp_path)
    zeros = np.zeros(2)
    scores = metric.scores([(zeros, zeros), (zeros + 2, zeros), (zeros + np.nan, zeros)])
    assert scores[0] == 0.0
    assert np.isnan(scores[1:]).all()


@pytest.mark.parametrize(
    ("body", "run_script"),
    [
        ("def error(truth, predicted):\n    raise ValueError('always')", run_here),
        ("def error(truth, predicted):\n    raise SystemExit", run_here),
        (ABSOLUTE, run_nothing),
    ],
)
def test_a_function_that_gives_no_scores_is_the_users_to_correct(
    tmp_path: Path, body: str, run_script: RunScript
) -> None:
    metric = custom_metric(write(tmp_path, body), run_script, tmp_path)
    with pytest.raises(UsageError, match="gave no scores"):
        metric.function(TRUTH, GUESS)


@pytest.mark.parametrize("content", ["[1.0, 2.0]", '{"score": 1}', "[", '["x"]', "[[1]]"])
def test_scores_that_are_not_what_was_asked_are_refused(tmp_path: Path, content: str) -> None:
    def forge(code: Path, given: Path, output: Path, function: str) -> None:
        (output / "scores.json").write_text(content)

    metric = custom_metric(write(tmp_path, ABSOLUTE), forge, tmp_path)
    with pytest.raises(UsageError, match="gave no scores"):
        metric.function(TRUTH, GUESS)


def test_scores_are_not_read_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "elsewhere.json").write_text("[1.0]")

    def link(code: Path, given: Path, output: Path, function: str) -> None:
        (output / "scores.json").symlink_to(tmp_path / "elsewhere.json")

    with pytest.raises(UsageError, match="a link"):
        custom_metric(write(tmp_path, ABSOLUTE), link, tmp_path).function(TRUTH, GUESS)


@pytest.mark.parametrize(
    ("body", "top", "message"),
    [
        (ABSOLUTE, "", "does not say whether a greater score is better"),
        (ABSOLUTE, "GREATER_IS_BETTER = 'yes'", "does not say whether a greater score is better"),
        (ABSOLUTE, "GREATER_IS_BETTER = True\nCOMPARES = 'feelings'", "COMPARES is 'feelings'"),
        ("def other(truth, predicted):\n    return 0", "GREATER_IS_BETTER = True", "has no function 'error'"),
        ("def error(", "GREATER_IS_BETTER = True", "is no Python"),
    ],
)
def test_a_file_that_lacks_something_is_refused(tmp_path: Path, body: str, top: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        custom_metric(write(tmp_path, body, top), run_nothing, tmp_path)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        custom_metric(f"{tmp_path}/nowhere.py:error", run_nothing, tmp_path)


def test_it_is_known_once_it_is_registered_and_no_name_is_taken_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    metric = custom_metric(write(tmp_path, ABSOLUTE), run_here, tmp_path)
    monkeypatch.delitem(METRICS, metric.id, raising=False)
    register(metric)
    register(metric)
    assert METRICS["mine.error"] is metric
    again = custom_metric(write(tmp_path, ABSOLUTE), run_here, tmp_path)
    register(again)
    assert METRICS["mine.error"] is again
    with pytest.raises(UsageError, match="already"):
        register(replace(METRICS["mae"], id="mine.error"))
    del METRICS["mine.error"]
