"""From a run's records and predictions to its report; this file gathers what the page shows.

Needs no language model and no network, and changes nothing but ``report.html`` and ``importance.json``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from autokaggle.config import Settings
from autokaggle.orchestrator.best_so_far import best_so_far
from autokaggle.orchestrator.context import RunContext
from autokaggle.orchestrator.importance import importance
from autokaggle.orchestrator.journal import Listener, silent
from autokaggle.orchestrator.reopening import reopen_run
from autokaggle.records.data_profile import ColumnProfile
from autokaggle.records.outcome import Importance
from autokaggle.records.plan import Decisions
from autokaggle.records.run import Run
from autokaggle.skills.report.material import GroupScore, GroupScores, Predictions
from autokaggle.skills.report.report_writer import ReportMaterial, write_report
from autokaggle.skills.scoring import evaluator, fold_columns
from autokaggle.skills.scoring.answers import Answers
from autokaggle.skills.scoring.metrics import METRICS
from autokaggle.skills.scoring.truth import label_scale
from autokaggle.storage.artifacts import RunFolder
from autokaggle.storage.parquet_tables import read_text_columns
from autokaggle.storage.records_file import read_record
from autokaggle.storage.run_folders import read_metrics

# The page itself must be written before the budget ends.
RESERVED_SECONDS = 2.5
MOST_IMPORTANCE_SECONDS = 60.0

GROUP_KINDS = ("category", "ordinal", "code", "number")
MOST_GROUP_COLUMNS, MOST_GROUPS, MOST_DISTINCT = 4, 6, 12
FEWEST_ROWS_OF_GROUP = 30
MOST_GROUPED_ROWS = 200_000
MISSING = "(missing)"


def report(context: RunContext) -> str:
    """Leave report.html; what is left of the budget goes into the importance of columns."""
    reserved = RESERVED_SECONDS * context.budget.slowness
    seconds = min(MOST_IMPORTANCE_SECONDS, context.budget.left_seconds - reserved)
    write(context, seconds)
    return context.folder.report.name


def write_again(folder: RunFolder, settings: Settings, listener: Listener = silent) -> None:
    """Write the report of a run that was carried out before, with the importance of columns if it was not measured.

    Raises:
        AutoKaggleError: the run's records or predictions are missing or damaged.
    """
    write(reopen_run(folder, settings, listener), MOST_IMPORTANCE_SECONDS)


def write(context: RunContext, importance_seconds: float) -> None:
    """Write the page; at most ``importance_seconds`` go into the importance of columns."""
    folder = context.folder
    run = read_record(folder.record, Run)  # as it was carried out, also where it is opened on another machine
    is_judged = context.is_executed and run.ensemble is not None
    measured = importance(context, importance_seconds) if is_judged else None
    material = ReportMaterial(
        run=run,
        competition=context.competition,
        profile=context.profile,
        decisions=read_record(folder.decisions, Decisions) if folder.decisions.is_file() else Decisions(),
        candidates=context.candidates(),
        metrics=read_metrics(folder),
        predictions=_predictions(context, measured) if is_judged else None,
        importance=measured,
        gpu_members=context.gpu_members,
        metric_titles={name: metric.title for name, metric in METRICS.items()},
        sections=tuple(context.plugins.report_sections(folder.path)),
    )
    write_report(material, folder.report)


def _predictions(context: RunContext, measured: Importance | None) -> Predictions | None:
    best = best_so_far(context)
    if best.blend is None:
        return None
    found = best.blend.evaluation
    validation, times = best.plan.validation, None
    if validation.scheme == "time" and validation.column:
        times = fold_columns.read_times(context.folder.tables / best.plan.train_table, validation.column)[found.rows]
    return Predictions(
        truth=best.truth.values[found.rows],
        oof=found.oof,
        decided=_decided(context, found),
        folds=best.folds.by_repeat[0, found.rows],
        times=times,
        groups=tuple(_groups(context, found, measured)),
    )


def _decided(context: RunContext, found: evaluator.Evaluation) -> tuple[Any, ...]:
    """Return for each target the positions of the labels that were answered, or would be."""
    plan, answers = context.plan, found.answers
    several = plan.task_type == "multiclass_classification"
    decided: list[Any] = []
    start = 0
    for name, answered in zip(plan.target_columns, answers.decided, strict=True):
        labels = plan.classes.get(name, ())
        width = len(labels) if several else 1
        columns = found.oof[:, start : start + width]
        start += width
        if not labels:
            decided.append(None)
        elif answers.metric.input == "label":
            values = np.asarray(answered, dtype=np.float64)
            scale = label_scale(labels) if answers.metric.is_ordered else np.arange(len(labels), dtype=np.float64)
            decided.append(np.abs(values[:, None] - scale[None, :]).argmin(axis=1))
        elif plan.task_type == "ordinal":
            decided.append(None)
        else:
            decided.append(columns.argmax(axis=1) if width > 1 else (columns[:, 0] >= 0.5).astype(np.int64))
    return tuple(decided)


def _groups(context: RunContext, found: evaluator.Evaluation, measured: Importance | None) -> Iterator[GroupScores]:
    """Yield the score by value of a few columns, the important ones first; personal columns are left out."""
    if len(found.rows) > MOST_GROUPED_ROWS:
        return
    columns = _grouping_columns(context, measured)
    texts = read_text_columns(context.folder.tables / context.plan.train_table, columns) if columns else {}
    for name in columns:
        values = np.array([MISSING if text is None else text for text in texts[name]], dtype=object)[found.rows]
        if (scores := _group_scores(name, values, found.answers)) is not None:
            yield scores


def _group_scores(name: str, values: Any, answers: Answers) -> GroupScores | None:
    levels, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    kept = [level for level in np.argsort(-counts, kind="stable") if counts[level] >= FEWEST_ROWS_OF_GROUP]
    samples = [np.flatnonzero(places == level) for level in kept[:MOST_GROUPS]]
    if len(samples) < 2:
        return None
    with np.errstate(all="ignore"):
        scores = answers.scores(samples)
    groups = [
        GroupScore(str(levels[level]), len(rows), score)
        for level, rows, score in zip(kept, samples, scores, strict=False)
        if np.isfinite(score)
    ]
    return GroupScores(name, tuple(groups)) if len(groups) > 1 else None


def _grouping_columns(context: RunContext, measured: Importance | None) -> list[str]:
    left_out = {*context.plan.target_columns, *context.plan.id_columns}

    def is_fit(column: ColumnProfile) -> bool:
        few = 2 <= column.distinct <= MOST_DISTINCT
        return column.in_train and column.kind in GROUP_KINDS and few and not column.personal

    names = [column.name for column in context.profile.columns if is_fit(column) and column.name not in left_out]
    losses = {name: each.loss for each in measured.columns for name in each.columns} if measured else {}
    return sorted(names, key=lambda name: -losses.get(name, 0.0))[:MOST_GROUP_COLUMNS]
