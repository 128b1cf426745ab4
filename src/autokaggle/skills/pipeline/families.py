"""Families of models by name; this file lists ours and takes in those of plugins.

A family is a file ``model_NAME.py`` with ``fit(task) -> Model`` (``templates/tabular/models.py`` says what both are),
what it needs installed, and the configurations to try. The file runs in the sandbox only.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from autokaggle.python_code import parse_python
from autokaggle.records.candidate import Proposal, Search
from autokaggle.records.data_profile import DataProfile
from autokaggle.records.plan import Plan
from autokaggle.skills.pipeline import expected_time, portfolio
from autokaggle.skills.pipeline.configurations import ENTRIES, FAMILIES, Entry
from autokaggle.skills.pipeline.pipeline_generator import FAMILY_PREFIX, template_folder
from autokaggle.skills.pipeline.proposals import untried
from autokaggle.skills.pipeline.template_entries import FITS_AT_ONCE

START_SECONDS_PER_FOLD = expected_time.START_SECONDS + expected_time.SCIKIT_LEARN_SECONDS


@dataclass(frozen=True)
class ModelFamily:
    """A family: ``file`` is its ``model_NAME.py``; ``entries`` are what to try, in this order."""

    name: str
    file: Path
    requirements: tuple[str, ...]
    entries: tuple[Entry, ...]


def built_in_families() -> list[ModelFamily]:
    """List ours; the portfolio tries their entries in an order of its own."""
    folder, found = template_folder("tabular"), []
    for name in FAMILIES:
        entries = tuple(entry for entry in ENTRIES if entry.family == name)
        needed = tuple(dict.fromkeys(line for entry in entries for line in entry.requirements))
        found.append(ModelFamily(name, folder / f"{FAMILY_PREFIX}{name}.py", needed, entries))
    return found


# Families of plugins by name, in the order in which they came.
PLUGGED: dict[str, ModelFamily] = {}


def family_names() -> tuple[str, ...]:
    """All names that a plan may hold, ours first."""
    return (*FAMILIES, *PLUGGED)


def next_proposal(search: Search) -> Proposal | None:
    """Return what a family of a plugin wants to be tried next, None when all was."""
    return next(untried(_propose(search.plan, search.profile), search), None)


def requirements(plan: Plan, profile: DataProfile) -> tuple[str, ...]:
    """Return what all proposals of plugins' families need for this plan, each once."""
    needed = (line for proposal in _propose(plan, profile) for line in proposal.requirements)
    return tuple(dict.fromkeys(needed))


def trouble_of(family: ModelFamily) -> str:
    """Say why a family cannot be used, "" when it can; its file is read, never run."""
    if family.file.name != f"{FAMILY_PREFIX}{family.name}.py":
        return f"its file is {family.file.name}, and {FAMILY_PREFIX}{family.name}.py is wanted"
    try:
        tree = parse_python(family.file.read_text("utf-8"), family.file.name)
    except (OSError, UnicodeDecodeError, SyntaxError) as error:
        return f"{family.file} cannot be read: {error}"
    if not any(isinstance(node, ast.FunctionDef) and node.name == "fit" for node in tree.body):
        return f"{family.file.name} has no function fit(task)"
    others = {entry.family for entry in family.entries} - {family.name}
    return f"its entries name another family: {', '.join(sorted(others))}" if others else ""


def _propose(plan: Plan, profile: DataProfile) -> Iterator[Proposal]:
    """Yield proposals of the families that the plan asks for, of all when it asks for none; each brings its file."""
    for family in PLUGGED.values():
        if plan.families and family.name not in plan.families:
            continue
        code = {family.file.name: family.file.read_text("utf-8")}
        for entry in family.entries:
            proposal = portfolio.proposal(entry, plan, profile)
            needed = (*proposal.requirements, *family.requirements)
            # Foreign code is started anew for each fold, on an input that lacks the fold's labels.
            starts = plan.validation.folds * START_SECONDS_PER_FOLD / FITS_AT_ONCE
            yield msgspec.structs.replace(
                proposal,
                files=code,
                requirements=needed,
                author="plugin",
                expected_seconds=round((proposal.expected_seconds or 0.0) + starts, 1),
            )
