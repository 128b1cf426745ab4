"""Code that a language model wrote; this file checks its answer and makes a proposal of it.

The answer is a json block (what it is) and the text of features.py, for a whole pipeline that of model_own.py too. What
it builds on, the features of the template, lies beside it as base_features.py.
"""

from __future__ import annotations

import ast
import difflib
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec

from autokaggle.python_code import parse_python
from autokaggle.records.candidate import Operator, Proposal
from autokaggle.records.data_profile import DataProfile
from autokaggle.records.plan import Plan
from autokaggle.skills.pipeline import code_checks
from autokaggle.skills.pipeline.pipeline_generator import template_folder, write_candidate
from autokaggle.skills.pipeline.proposals import GROUPS
from autokaggle.storage.artifacts import CandidateFolder

FEATURES, BASE, OWN_MODEL = "features.py", "base_features.py", "model_own.py"
OWN_FAMILY = "own"
MOST_LINES, LONGEST_LINE, LONGEST_TITLE, LONGEST_HYPOTHESIS = 260, 200, 80, 400
MOST_PARAMETERS = 12
MOST_GROUPS, LONGEST_GROUP = 12, 40
NEAR = 0.8
# What the host does; code of a candidate that does it too would be wrong at best.
HOSTS_CALLS = {
    "open", "eval", "exec", "compile", "__import__", "input", "breakpoint", "globals", "read_csv", "read_parquet",
    "to_csv", "to_parquet", "read_pickle", "to_pickle", "load_table", "KFold", "StratifiedKFold", "GroupKFold",
    "train_test_split", "cross_val_score", "cross_val_predict",
}  # fmt: skip
HOSTS_MODULES = {"os", "shutil", "pathlib", "glob", "importlib", "pickle", "multiprocessing", "sys", "files"}


class Choice(msgspec.Struct, frozen=True):
    """The model that a candidate uses."""

    family: str
    params: dict[str, str | int | float | bool | None] = {}


class Meta(msgspec.Struct, frozen=True):
    """The json block of an answer; fields that are not known are ignored."""

    title: str
    hypothesis: str
    model: Choice
    target_encode: Literal["keys", "all", "none"] = "keys"
    groups: dict[str, tuple[str, ...]] = {}


@dataclass(frozen=True)
class Work:
    """What is asked for: the operator, the parent that it starts from, and the families that may be used."""

    operator: Operator
    families: tuple[str, ...]
    parent: str | None = None
    requirements: tuple[str, ...] = ()
    expected_seconds: float | None = None


class Unusable(Exception):
    """An answer that cannot be run; ``problems`` are sentences for the model."""

    def __init__(self, *problems: str) -> None:
        super().__init__(" ".join(problems))
        self.problems = problems


def make_proposal(meta: dict[str, Any], codes: Sequence[str], work: Work, plan: Plan, profile: DataProfile) -> Proposal:
    """Return the proposal that an answer means, checked as far as can be without running it.

    Raises:
        Unusable: the answer is not what was asked for, or would fail; it says why.
    """
    read = _read_meta(meta)
    files = dict(zip((FEATURES, OWN_MODEL), codes, strict=False))
    families = (*work.families, *([OWN_FAMILY] if OWN_MODEL in files else []))
    if read.model.family not in families:
        raise Unusable(f"meta.model.family: {read.model.family!r} is none of {', '.join(families)}.")
    proposal = Proposal(
        operator=work.operator,
        title=" ".join(read.title.split())[:LONGEST_TITLE],
        family=read.model.family,
        hypothesis=" ".join(read.hypothesis.split())[:LONGEST_HYPOTHESIS],
        parent=work.parent,
        config={
            "model": {"parameters": dict(read.model.params)},
            "features": {"target_encode": read.target_encode},
            "seed": plan.seed,
            GROUPS: {
                name[:LONGEST_GROUP]: list(features) for name, features in list(read.groups.items())[:MOST_GROUPS]
            },
        },
        files={BASE: (template_folder("tabular") / FEATURES).read_text("utf-8"), **files},
        requirements=work.requirements,
        author="model",
        expected_seconds=work.expected_seconds,
    )
    columns = [column.name for column in profile.columns]
    problems = [problem for name, text in files.items() for problem in text_problems(name, text, columns)]
    if found := problems or _code_problems(proposal, plan, profile):
        raise Unusable(*found)
    return proposal


def text_problems(name: str, text: str, columns: Sequence[str]) -> list[str]:
    """Return what speaks against one file, by its text alone."""
    lines = text.splitlines()
    if len(lines) > MOST_LINES:
        return [f"{name} has {len(lines)} lines; at most {MOST_LINES}. Keep one idea, drop the rest."]
    if any(len(line) > LONGEST_LINE for line in lines):
        return [f"{name} has a line longer than {LONGEST_LINE} characters."]
    try:
        tree = parse_python(text)
    except (SyntaxError, ValueError, RecursionError) as error:
        return [f"{name}:{getattr(error, 'lineno', 1)}: syntax error: {getattr(error, 'msg', error)}."]
    return [*_hosts_work(name, tree), *(_unknown_columns(name, tree, columns) if name == FEATURES else [])]


def _read_meta(meta: dict[str, Any]) -> Meta:
    try:
        read = msgspec.convert(meta, Meta, strict=False)
    except msgspec.ValidationError as error:
        raise Unusable(f"The json block is not of the form asked for: {str(error)[:160]}.") from error
    if not read.title.strip() or not read.hypothesis.strip():
        raise Unusable("meta.title and meta.hypothesis must say something.")
    if len(read.model.params) > MOST_PARAMETERS:
        raise Unusable(f"meta.model.params has {len(read.model.params)} entries; at most {MOST_PARAMETERS}.")
    return read


def _code_problems(proposal: Proposal, plan: Plan, profile: DataProfile) -> tuple[str, ...]:
    with tempfile.TemporaryDirectory(prefix="autokaggle-check-") as place:
        folder = CandidateFolder(Path(place) / "c000")
        write_candidate(proposal, plan, profile, folder)
        return code_checks.check_code(folder.code)


def _hosts_work(name: str, tree: ast.Module) -> list[str]:
    """Return where the code does what the host does, or reaches for what it is not passed."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            taken = [module for module in names if module.partition(".")[0] in HOSTS_MODULES]
            found += [
                f"{name}:{node.lineno}: {module} is not for candidates; use the passed tables." for module in taken
            ]
        elif isinstance(node, ast.Call):
            called = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            if called in HOSTS_CALLS and not (called == "compile" and isinstance(node.func, ast.Attribute)):
                found.append(f"{name}:{node.lineno}: {called} is the host's work; remove it.")
        elif isinstance(node, ast.ExceptHandler) and _hides(node):
            found.append(f"{name}:{node.lineno}: this hides errors; let them rise.")
    return found


def _hides(node: ast.ExceptHandler) -> bool:
    is_broad = node.type is None or (isinstance(node.type, ast.Name) and node.type.id in ("Exception", "BaseException"))
    return is_broad and not any(isinstance(inner, ast.Raise) for inner in ast.walk(node))


def _unknown_columns(name: str, tree: ast.Module, columns: Sequence[str]) -> list[str]:
    """Return reads of columns that do not exist and are spelled almost like one that does."""
    reads: dict[str, int] = {}
    mentions: dict[object, int] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant):
            mentions[node.value] = mentions.get(node.value, 0) + 1
        if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load) and isinstance(node.slice, ast.Constant):
            column = node.slice.value
            if isinstance(column, str) and column not in columns:
                reads.setdefault(column, node.lineno)
                mentions[column] = mentions.get(column, 0) - 1
    found = []
    for column, line in reads.items():
        # What the code mentions elsewhere too, it may have made itself.
        near = difflib.get_close_matches(column, columns, n=1, cutoff=NEAR)
        if near and mentions[column] <= 0:
            found.append(f"{name}:{line}: no column {column!r}; did you mean {near[0]!r}?")
    return found
