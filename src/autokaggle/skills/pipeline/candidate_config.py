"""The configuration of a candidate; this file writes ``config.yaml``, all that its scripts need beside the input.

People read and change it, so it is complete and in the order of importance.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from autokaggle.records.candidate import Proposal
from autokaggle.records.data_profile import DataProfile
from autokaggle.records.outcome import Ensemble
from autokaggle.records.plan import Plan
from autokaggle.skills.pipeline.objective import choose_objective

HEADER = """\
# What this pipeline does. Every script beside it reads this file and, but for the input folder, nothing else:
# change a value, then run the scripts again as README.md says.
"""


def candidate_config(proposal: Proposal, plan: Plan, profile: DataProfile) -> dict[str, Any]:
    """Return what the scripts of a candidate need to know, with the proposal's own settings over the plan's."""
    objective, parts = choose_objective(plan, profile), parts_of_target(plan, profile)
    settings: dict[str, Any] = {
        "version": 1,
        "title": proposal.title,
        "hypothesis": proposal.hypothesis,
        "competition": plan.slug,
        "task": plan.task_type,
        "metric": plan.metric,
        "objective": objective.loss,
        "target_transform": objective.target_transform,
        "row_weights": objective.row_weights,
        **({"quantile": objective.quantile} if objective.loss == "quantile" else {}),
        # It is for the proposal to learn them apart.
        **({"target_parts": list(parts), "learn_parts": False} if parts else {}),
        "model": {"family": proposal.family, "parameters": {}},
        # Features that were written for this competition may look at targets, so they learn inside each fold.
        "features": {"learn_from": "fold" if "features.py" in proposal.files else "all_rows", "target_encode": "keys"},
        "validation": {
            "kind": "forward" if plan.validation.scheme == "time" else "kfold",
            "column": plan.validation.column,
        },
        "seed": plan.seed,
        "columns": _columns(plan, profile),
        "lookups": _lookups(profile),
        "classes": {target: list(labels) for target, labels in plan.classes.items()},
    }
    return merge({**settings, **_layout(plan, profile)}, proposal.config)


def ensemble_config(
    ensemble: Ensemble, plan: Plan, member: Mapping[str, Any], folds: Mapping[str, list[int]]
) -> dict[str, Any]:
    """Return what the blending scripts need to know; where tables lie is taken from one member's configuration.

    ``folds`` are by candidate: those that it runs on one by one, none when it runs on all at once.
    """
    return {
        "version": 1,
        "title": f"{len(ensemble.members)} models, blended",
        "competition": plan.slug,
        "metric": plan.metric,
        "members": [
            {"name": each.candidate, "weight": each.weight, "folds": folds.get(each.candidate, [])}
            for each in ensemble.members
        ],
        "blend": ensemble.blend,
        "classes": {target: list(labels) for target, labels in plan.classes.items()},
        "columns": member["columns"],
        **{key: member[key] for key in LAYOUT_KEYS},
        "decision": ensemble.rule,
    }


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


def parts_of_target(plan: Plan, profile: DataProfile) -> tuple[str, ...]:
    """Name the columns that add up to the one target of values, where models may learn them apart.

    A part may be 0, which has no logarithm, where the sum never is; and it does not know the sum, by which errors may
    count.
    """
    objective = choose_objective(plan, profile)
    if len(plan.target_columns) > 1 or plan.classes or objective.target_transform == "log":
        return ()
    return profile.target_parts.get(plan.target_columns[0], ()) if objective.row_weights == "none" else ()


LAYOUT_KEYS = ("target_columns", "id_columns", "prediction_columns", "submission", "tables", "csv")


def _layout(plan: Plan, profile: DataProfile) -> dict[str, Any]:
    """Say where tables are and what the files to write look like."""
    tables = {"train": plan.train_table, "test": plan.test_table}
    if profile.sample_submission:
        tables["sample_submission"] = profile.sample_submission
    if plan.original_table:
        tables["original"] = plan.original_table
    return {
        "target_columns": list(plan.target_columns),
        "id_columns": list(plan.id_columns),
        "prediction_columns": list(plan.prediction_columns),
        "submission": {
            "header": list(plan.submission.first_line),
            "columns": list(plan.submission.columns),
            "id_columns": list(plan.submission.id_columns),
            "ids_from": "test" if plan.submission.ids_from == plan.test_table else "sample_submission",
        },
        "tables": tables,
        "csv": _csv(profile),
    }


def _csv(profile: DataProfile) -> dict[str, Any]:
    """Say where the original files are and how they are written, for reading them without the parsed tables."""
    files = {file.role: file for file in profile.files if file.role in ("train", "test", "sample_submission")}
    found: dict[str, Any] = {role: file.name for role, file in files.items()}
    if train := files.get("train"):
        found |= {"delimiter": train.delimiter or ",", "encoding": train.encoding or "utf-8"}
    return found


def _lookups(profile: DataProfile) -> list[dict[str, Any]]:
    """Return the tables that tell more of a column's values, with the columns that join."""
    return [
        {"table": file.table, "join": dict(file.join_columns), "is_unique": file.join_is_unique}
        for file in profile.files
        if file.role == "lookup" and file.table and file.join_columns
    ]


def _columns(plan: Plan, profile: DataProfile) -> dict[str, str]:
    """Return the kind of each column that train and test share; only these may be used."""
    left_out = {*plan.target_columns, *plan.drop_columns}
    return {
        column.name: column.kind
        for column in profile.columns
        if column.in_train and column.in_test and column.name not in left_out
    }
