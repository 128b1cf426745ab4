"""What a candidate's features give away; this file judges the files that the probe left in the sandbox.

A feature that says nearly everything about the target is a gift or a leak; one that says much of it in train and
nothing in test, because test does not have it, is a leak.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt

from autokaggle.records.candidate import Check
from autokaggle.records.plan import Plan
from autokaggle.skills.scoring.prediction_files import InvalidPredictions
from autokaggle.skills.scoring.truth import Truth
from autokaggle.skills.scoring.value_metrics import mean_ranks
from autokaggle.storage.parquet_tables import column_types, quote_identifier, read_columns

Floats = npt.NDArray[np.float64]
FEATURES, PROBE = "features.parquet", "probe.json"
MOST_BYTES = 256 << 20
MOST_FEATURES = 2_000
MOST_NAMED = 5
PREFIX = "feature "

# The share of pairs of rows that a feature orders as the target does, from 0 (none, by chance) to 1 (all of them).
NEARLY_ALL = 0.98
A_LOT = 0.3
MISSING_IN_TEST = 0.9


def read_probe(output: Path) -> dict[str, list[str]]:
    """Return what the probe found: lists of names under ``other_rows`` and ``unused``.

    Raises:
        InvalidPredictions: the file is not what the probe writes.
    """
    path = output / PROBE
    try:
        if path.is_symlink() or path.stat().st_size > MOST_BYTES:
            raise ValueError("too large, or a link")
        found = json.loads(path.read_text("utf-8"))
        return {key: [str(name) for name in found[key]] for key in ("other_rows", "unused")}
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InvalidPredictions(f"the features could not be probed: {error}") from error


def check_other_rows(names: list[str]) -> Check:
    """Judge whether features of a row depend on other rows of its table."""
    if not names:
        return Check(name="rows alone", status="ok", detail="a row's features do not change when other rows do")
    return Check(
        name="rows alone",
        status="leak",
        detail=f"{_listed(names)} of a row changes when other rows do: compute it in fit and keep it in state",
    )


def check_usage(unused: list[str], unread: list[str]) -> Check:
    """Tell which given columns and files nothing depends on."""
    parts = [f"columns {_listed(unused)}"] * bool(unused) + [f"files {_listed(unread)}"] * bool(unread)
    detail = f"not used: {'; '.join(parts)}" if parts else "every given column and file is used"
    return Check(name="data usage", status="ok", detail=detail)


def check_features(plan: Plan, truth: Truth, output: Path) -> Check:
    """Look for a feature that alone tells the target, and is not to be had in test.

    Raises:
        InvalidPredictions: the file is not what the probe writes.
    """
    features, rows, is_test = _read_features(output / FEATURES, len(truth.values))
    known = np.flatnonzero(~is_test)
    known = known[truth.is_known[rows[known]]]
    goals = truth.values[rows[known]]
    gifts = []
    for name, values in features.items():
        power = max(
            power_of(plan, target, values[known], goal)
            for target, goal in zip(plan.target_columns, goals.T, strict=True)
        )
        if power < A_LOT:
            continue
        absent = _emptiness(values[is_test]) - _emptiness(values[known])
        if absent > MISSING_IN_TEST:
            told = f"feature {name!r} alone orders {(1 + power) / 2:.0%} of pairs as the target"
            return Check(name="one feature", status="leak", detail=f"{told}, and test has no values of it")
        if power > NEARLY_ALL:
            gifts.append(name)
    if gifts:
        return Check(name="one feature", status="warn", detail=f"{_listed(gifts)} alone tells nearly all of the target")
    return Check(name="one feature", status="ok", detail="no feature tells the target alone")


def _read_features(
    path: Path, train_rows: int
) -> tuple[dict[str, Floats], npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    import duckdb

    try:
        if path.is_symlink() or path.stat().st_size > MOST_BYTES:
            raise ValueError("too large, or a link")
        names = [name for name in column_types(path) if name.startswith(PREFIX)][:MOST_FEATURES]
        wanted = {"row": "CAST(row AS BIGINT)", "is_test": "CAST(is_test AS BOOLEAN)"}
        found = read_columns(path, wanted | {name: f"CAST({quote_identifier(name)} AS DOUBLE)" for name in names})
        rows, is_test = np.asarray(found["row"], np.int64), np.asarray(found["is_test"], bool)
        if rows.min(initial=0) < 0 or rows[~is_test].max(initial=0) >= train_rows:
            raise ValueError("rows that there are not")
    except (OSError, ValueError, duckdb.Error) as error:
        raise InvalidPredictions(f"the features could not be read: {error}") from error
    return {name[len(PREFIX) :]: np.ma.filled(found[name], np.nan) for name in names}, rows, is_test


def power_of(plan: Plan, target: str, values: Floats, goal: Floats) -> float:
    """Return how far the values alone order the rows as the target does (Somers' D), whichever way round.

    Of several classes that which is told best counts.
    """
    values = np.where(np.isfinite(values), values, np.nanmin(values, initial=0.0) - 1)
    if target not in plan.classes:
        ranks, goal_ranks = mean_ranks(values), mean_ranks(goal)
        spread = ranks.std() * goal_ranks.std()
        return (
            float(abs(np.mean((ranks - ranks.mean()) * (goal_ranks - goal_ranks.mean()))) / spread) if spread else 0.0
        )
    ranks, best = mean_ranks(values), 0.0
    for label in np.unique(goal):
        inside = goal == label
        count = int(inside.sum())
        if 5 <= count <= len(goal) - 5:
            area = (ranks[inside].sum() - count * (count + 1) / 2) / (count * (len(goal) - count))
            best = max(best, abs(2 * float(area) - 1))
    return best


def _emptiness(values: Floats) -> float:
    """Return the share of rows that have no value, or the same as most."""
    if not len(values):
        return 0.0
    _, counts = np.unique(np.where(np.isfinite(values), values, np.inf), return_counts=True)
    return float(counts.max() / len(values))


def _listed(names: list[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:MOST_NAMED])
    return shown + (f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else "")
