"""Code from proposals; this file copies a template, writes its configuration, and publishes the winner.

It runs nothing and trusts nothing that the code will print.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import resources
from typing import Any

import yaml

from autokaggle.errors import UsageError
from autokaggle.records import DataProfile, Plan, Proposal
from autokaggle.skills.pipeline.objective import choose_objective
from autokaggle.storage.artifacts import CandidateFolder
from autokaggle.storage.records_file import make_private_folder, write_atomically

HEADER = """\
# What this pipeline does. Every script beside it reads this file and, but for the input folder, nothing else:
# change a value, then run the scripts again as README.md says.
"""
FAMILY_FILE = "model_"


def write_candidate(proposal: Proposal, plan: Plan, profile: DataProfile, folder: CandidateFolder) -> None:
    """Write ``code/``: the template's files, those of the proposal over them, and ``config.yaml``.

    Raises:
        UsageError: no such template ships, or the proposal names a file outside ``code/``.
    """
    config = make_config(proposal, plan, profile)
    make_private_folder(folder.code)
    for name, text in template_files(plan.template, config["model"]["family"]):
        write_atomically(folder.code / name, text)
    for name, text in proposal.files.items():
        if "/" in name or "\\" in name or name.startswith("."):
            raise UsageError(f"A candidate's file cannot be named {name!r}.", "Use a plain file name.")
        write_atomically(folder.code / name, text)
    write_atomically(folder.config, config_text(config))


def template_files(template: str, family: str | None = None) -> Iterator[tuple[str, str]]:
    """Yield name and text of the files of a template; of the families of models only the one in use."""
    package = resources.files("autokaggle.templates")
    source = package.joinpath(template)
    if not template.isidentifier() or not source.is_dir():
        known = ", ".join(sorted(entry.name for entry in package.iterdir() if entry.is_dir() and entry.name[0] != "_"))
        raise UsageError(f"There is no template {template!r}.", f"These ship: {known}.")
    for entry in sorted(source.iterdir(), key=lambda entry: entry.name):
        name = entry.name
        if not name.endswith((".py", ".md")) or name == "__init__.py":
            continue
        if family is None or not name.startswith(FAMILY_FILE) or name == f"{FAMILY_FILE}{family}.py":
            yield name, entry.read_text("utf-8")


def make_config(proposal: Proposal, plan: Plan, profile: DataProfile) -> dict[str, Any]:
    """Return all that the scripts need to know, with the proposal's own settings over the plan's."""
    objective = choose_objective(plan, profile)
    base: dict[str, Any] = {
        "version": 1,
        "title": proposal.title,
        "hypothesis": proposal.hypothesis,
        "competition": plan.slug,
        "task": plan.task_type,
        "metric": plan.metric,
        "objective": objective.loss,
        "target_transform": objective.target_transform,
        "class_weights": objective.class_weights,
        "model": {"family": proposal.family, "parameters": {}},
        "features": {"learn_from": "fold" if "features.py" in proposal.files else "all_rows"},
        "validation": {"kind": "forward" if plan.validation.scheme == "time" else "kfold"},
        "seed": plan.seed,
        "tables": _tables(plan, profile),
        "csv": _csv(profile),
        "id_columns": list(plan.id_columns),
        "target_columns": list(plan.target_columns),
        "classes": {target: list(labels) for target, labels in plan.classes.items()},
        "prediction_columns": list(plan.prediction_columns),
        "columns": _columns(plan, profile),
        "submission": {
            "columns": list(plan.submission.columns),
            "id_columns": list(plan.submission.id_columns),
            "ids_from": "test" if plan.submission.ids_from == plan.test_table else "sample_submission",
        },
    }
    return merge(base, proposal.config)


def config_text(config: Mapping[str, Any]) -> str:
    """Return ``config.yaml``; any column name, however strange, reads back as it was."""
    return HEADER + yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True, width=110)


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``base`` with the values of ``over``; mappings inside are merged in turn."""
    merged = dict(base)
    for key, value in over.items():
        mine = merged.get(key)
        merged[key] = merge(mine, value) if isinstance(mine, Mapping) and isinstance(value, Mapping) else value
    return merged


def _tables(plan: Plan, profile: DataProfile) -> dict[str, str]:
    tables = {"train": plan.train_table, "test": plan.test_table}
    if profile.sample_submission:
        tables["sample_submission"] = profile.sample_submission
    return tables


def _csv(profile: DataProfile) -> dict[str, Any]:
    """Say where the original files are and how they are written, for reading them without the parsed tables."""
    files = {file.role: file for file in profile.files if file.role in ("train", "test", "sample_submission")}
    found: dict[str, Any] = {role: file.name for role, file in files.items()}
    if train := files.get("train"):
        found |= {"delimiter": train.delimiter or ",", "encoding": train.encoding or "utf-8"}
    return found


def _columns(plan: Plan, profile: DataProfile) -> dict[str, str]:
    """Return the kind of each column that train and test share; only these may be used."""
    left_out = {*plan.target_columns, *plan.drop_columns}
    return {
        column.name: column.kind
        for column in profile.columns
        if column.in_train and column.in_test and column.name not in left_out
    }
