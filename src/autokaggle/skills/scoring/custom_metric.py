"""A metric of one's own, ``FILE.py:function``; this file makes a metric of it whose code runs in the sandbox only.

The file says at its top which way is better and, unless it is numbers, what the function compares::

    GREATER_IS_BETTER = False
    COMPARES = "probability"

    def my_metric(truth, predicted):
        return float(...)

Here the file is read, never run. What it computed comes back as JSON that is checked like any stranger's.
"""

from __future__ import annotations

import ast
import json
import shutil
import tempfile
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any, get_args

import numpy as np

from autokaggle.errors import UsageError
from autokaggle.python_code import parse_python
from autokaggle.records.data_profile import SubmissionKind
from autokaggle.skills.scoring.metric import Loss, Metric, Pairs

# What runs in the sandbox: this script of ours, beside a copy of the user's file. It reads PAIRS and writes SCORES.
SCRIPT, USER_FILE, PAIRS, SCORES = "pair_scorer.py", "metric.py", "pairs.npz", "scores.json"
MOST_BYTES_OF_SCORES = 10 << 20
LOSSES: dict[SubmissionKind, Loss] = {"value": "squared"}
EXAMPLE = 'Write for instance: GREATER_IS_BETTER = True, and COMPARES = "label".'

# Runs SCRIPT with one argument, the function's name; takes the folders of code, input and output.
RunScript = Callable[[Path, Path, Path, str], None]


def custom_metric(reference: str, run_script: RunScript, scratch: Path) -> Metric:
    """Return the metric that ``reference``, ``FILE.py:function``, names.

    ``run_script`` runs the script of a code folder in the sandbox; ``scratch`` is a folder for what passes in and out.

    Raises:
        UsageError: there is no such file or function, or the file does not say what is needed.
    """
    path, function = split_reference(reference)
    better, compares = read_metric(reference)

    def score_pairs(pairs: Pairs) -> list[float]:
        with tempfile.TemporaryDirectory(dir=scratch, prefix="metric-") as folder:
            return _score_elsewhere(path, function, pairs, run_script, Path(folder))

    return Metric(
        id=metric_id(path, function),
        title=function.replace("_", " "),
        greater_is_better=better,
        input=compares,
        function=lambda truth, predicted: score_pairs([(truth, predicted)])[0],
        loss=LOSSES.get(compares, "log"),
        source=str(path),
        score_pairs=score_pairs,
    )


def read_metric(reference: str) -> tuple[bool, SubmissionKind]:
    """Return whether greater is better, and what the metric compares, as the file says.

    Raises:
        UsageError: there is no such file or function, or the file does not say what is needed.
    """
    path, function = split_reference(reference)
    constants = _read_constants(path, function)
    better, compares = constants.get("GREATER_IS_BETTER"), constants.get("COMPARES", "value")
    if not isinstance(better, bool):
        raise UsageError(f"{path} does not say whether a greater score is better.", EXAMPLE)
    if compares not in get_args(SubmissionKind) or compares == "ranked_labels":
        raise UsageError(f"{path}: COMPARES is {compares!r}.", "Use value, label, probability or class_probability.")
    return better, compares


def is_reference(name: str) -> bool:
    """Say whether a metric is named as ``FILE.py:function``."""
    return ".py:" in name


def split_reference(reference: str) -> tuple[Path, str]:
    """Return the file and the function that ``FILE.py:function`` names."""
    name, _, function = reference.rpartition(":")
    return Path(name).expanduser(), function


def metric_id(path: Path, function: str) -> str:
    """Return the id of a function in a file; no metric that ships has a point in its own."""
    return f"{path.stem}.{function}"


def _read_constants(path: Path, function: str) -> dict[str, Any]:
    """Return the constants that are assigned at the top level, without running the file."""
    try:
        tree = parse_python(path.read_text("utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"The metric file {path} cannot be read: {error}.", "Use --metric FILE.py:function."
        ) from error
    except SyntaxError as error:
        raise UsageError(f"The metric file {path} is no Python: {error}.", "Correct it, then try again.") from error
    functions = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    if function not in functions:
        raise UsageError(f"{path} has no function {function!r}.", f"It has: {', '.join(functions) or 'none'}.")
    return {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def _score_elsewhere(path: Path, function: str, pairs: Pairs, run_script: RunScript, folder: Path) -> list[float]:
    code, given, output = folder / "code", folder / "input", folder / "output"
    for each in (code, given, output):
        each.mkdir(mode=0o700)
    script = resources.files("autokaggle.skills.scoring").joinpath(SCRIPT)
    (code / SCRIPT).write_text(script.read_text("utf-8"), "utf-8")
    shutil.copyfile(path, code / USER_FILE)
    arrays = [array for pair in pairs for array in pair]
    np.savez(given / PAIRS, *arrays)
    run_script(code, given, output, function)
    return _read_scores(output / SCORES, len(arrays) // 2, path)


def _read_scores(scores: Path, expected: int, path: Path) -> list[float]:
    """Return the scores; NaN for those that the function could not compute."""
    try:
        if scores.is_symlink() or scores.stat().st_size > MOST_BYTES_OF_SCORES:
            raise ValueError("it is too large or a link")
        found = json.loads(scores.read_text("utf-8"))
        if not isinstance(found, list) or len(found) != expected:
            raise ValueError(f"{expected} scores are expected")
        return [float("nan") if score is None else float(score) for score in found]
    except (OSError, ValueError, TypeError) as error:
        raise UsageError(
            f"The metric of {path} gave no scores: {error}.", "Try the function on two short arrays, then run again."
        ) from error
