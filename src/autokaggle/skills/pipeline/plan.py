"""The plan; this file turns what was found and decided into the one record that the search works from.

It invents nothing: what the profile guessed and the decisions fixed is brought into agreement with the metric.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from autokaggle.errors import CompetitionUnusable, UsageError
from autokaggle.records.competition import Competition
from autokaggle.records.data_profile import ColumnProfile, DataProfile, SubmissionKind, TaskType, ValidationScheme
from autokaggle.records.plan import Decisions, Plan, SubmissionFormat, Validation
from autokaggle.records.run import RunOptions
from autokaggle.skills.pipeline.families import family_names
from autokaggle.skills.pipeline.objective import LOG_METRICS

DEFAULT_FOLDS = 5
FEWEST_ROWS_PER_FOLD = 5
USELESS_KINDS = ("constant", "duplicate", "path")
SCHEMES: tuple[ValidationScheme, ...] = ("kfold", "stratified", "group", "stratified_group", "time")
# The one metric that is best served by predicting a number for labels that have an order.
ORDINAL_METRICS = ("quadratic_weighted_kappa",)


def make_plan(
    competition: Competition,
    profile: DataProfile,
    decisions: Decisions,
    options: RunOptions,
    *,
    metric_input: SubmissionKind,
    greater_is_better: bool,
) -> Plan:
    """Agree on target, task, prediction columns, validation and the submission's form.

    ``metric_input`` says what the agreed metric compares; ``greater_is_better`` is its direction.

    Raises:
        UsageError: a decision names a column or a scheme that does not exist.
        CompetitionUnusable: there is nothing to predict, or too little to learn from.
    """
    decided: dict[str, Any] = {decision.key: decision.value for decision in decisions.decisions}
    targets = _known_columns(decided.get("target") or profile.target_columns, profile, "target")
    if not targets:
        raise CompetitionUnusable("No target column was found.", "Name it in the chat, or check the sample submission.")
    if profile.train_rows < 2 * FEWEST_ROWS_PER_FOLD:
        raise CompetitionUnusable(
            f"Train has too few rows to learn from: {profile.train_rows}.", "Check the data files."
        )
    metric = str(decided["metric"])
    classes = {target: profile.classes[target] for target in targets if target in profile.classes}
    task = _task(profile, classes, metric, metric_input, len(targets))
    if task == "regression":
        classes = {}
    return Plan(
        slug=competition.slug,
        task_type=task,
        target_columns=targets,
        id_columns=profile.id_columns,
        classes=classes,
        prediction_columns=prediction_columns(targets, classes, task),
        metric=metric,
        greater_is_better=greater_is_better,
        submission=_submission(profile, targets, _submission_kind(metric_input, task), metric),
        train_table=profile.train,
        test_table=profile.test,
        validation=_validation(decided, profile, options, targets, classes),
        template=str(decided.get("template") or "tabular"),
        families=_families(decided.get("families") or ()),
        drop_columns=_dropped(decided, profile),
        seed=options.seed,
        time_budget_seconds=options.time_budget_seconds,
        gpu=decided.get("gpu") == "on",
    )


def metric_problem(profile: DataProfile, metric: str, metric_input: SubmissionKind) -> str:
    """Say why the metric cannot score this competition's targets, "" when it can."""
    classes = {target: profile.classes[target] for target in profile.target_columns if target in profile.classes}
    named = ", ".join(repr(target) for target in profile.target_columns)
    if metric_input == "value":
        wordy = [target for target, labels in classes.items() if not _are_numbers(labels)]
        if wordy:
            return f"it compares numbers, and {wordy[0]!r} holds labels"
        lows = [float(column.low) for column in profile.columns if column.name in profile.target_columns and column.low]
        if metric in LOG_METRICS and min(lows, default=0.0) < 0:
            return f"it takes logarithms, and {named} has values below 0"
        return ""
    if not classes:
        return f"it compares labels, and {named} holds numbers"
    columns = len(set(profile.submission_columns) - set(profile.id_columns))
    is_multiclass = max(map(len, classes.values())) > 2
    if columns == 1 and (metric_input == "class_probability" or (metric_input == "probability" and is_multiclass)):
        return "it wants a probability for each class, and the submission has one column"
    return ""


def prediction_columns(targets: Sequence[str], classes: Mapping[str, Sequence[str]], task: TaskType) -> tuple[str, ...]:
    """Return the columns of the two prediction files; no two of them, nor ``row``, differ in case alone."""
    if task != "multiclass_classification":
        names = list(targets)
    elif len(targets) == 1:
        names = list(classes[targets[0]])
    else:
        names = [f"{target}={label}" for target in targets for label in classes[target]]
    taken = {"row"}
    for place, name in enumerate(names):
        if name.casefold() in taken:
            names[place] = f"{name} ({place + 1})"
        taken.add(names[place].casefold())
    return tuple(names)


def _task(
    profile: DataProfile, classes: Mapping[str, Sequence[str]], metric: str, metric_input: SubmissionKind, targets: int
) -> TaskType:
    """Return the task that serves the metric best: the profile cannot know whether labels are counted or measured."""
    task = profile.task_type
    if not classes:
        return "regression"
    numeric = all(_are_numbers(labels) for labels in classes.values())
    several = any(len(labels) > 2 for labels in classes.values())
    if metric in ORDINAL_METRICS and numeric and several:
        return "ordinal"
    if metric_input == "value" and numeric and (several or task == "ordinal"):
        return "regression"
    if several or metric_input == "class_probability":
        return "multiclass_classification"
    return "multilabel_classification" if targets > 1 else "binary_classification"


def _are_numbers(labels: Sequence[str]) -> bool:
    try:
        return all(float(label) == float(label) for label in labels)
    except ValueError:
        return False


def _submission_kind(metric_input: SubmissionKind, task: TaskType) -> SubmissionKind:
    if metric_input == "probability" and task == "multiclass_classification":
        return "class_probability"
    return metric_input


def _submission(profile: DataProfile, targets: tuple[str, ...], kind: SubmissionKind, metric: str) -> SubmissionFormat:
    columns = profile.submission_columns or (*profile.id_columns, *targets)
    length = re.search(r"\d+$", metric)
    return SubmissionFormat(
        kind=kind,
        columns=columns,
        id_columns=tuple(column for column in columns if column in profile.id_columns),
        ids_from=profile.sample_submission or profile.test,
        header=profile.submission_header,
        list_length=int(length.group()) if kind == "ranked_labels" and length else 0,
    )


def _validation(
    decided: Mapping[str, Any],
    profile: DataProfile,
    options: RunOptions,
    targets: Sequence[str],
    classes: Mapping[str, Sequence[str]],
) -> Validation:
    wanted: Mapping[str, Any] = decided.get("validation") or {}
    scheme = wanted.get("scheme") or profile.split.scheme
    if scheme not in SCHEMES:
        raise UsageError(f"{scheme!r} is no validation scheme.", f"Choose one of {', '.join(SCHEMES)}.")
    column = wanted.get("column")
    folds = int(options.folds or wanted.get("folds") or DEFAULT_FOLDS)
    if not 2 <= folds <= profile.train_rows:
        raise UsageError(f"{folds} folds cannot validate {profile.train_rows} rows.", "Choose from 2 to the rows.")
    reason = profile.split.reason
    if not options.folds:
        most = _most_folds(profile, targets, classes)
        if most < folds:
            folds, reason = most, f"{most} folds, as the data allow no more"
    return Validation(
        scheme=scheme,
        folds=folds,
        repeats=int(wanted.get("repeats") or 1),
        column=column,
        reason=reason,
        adversarial_auc=profile.split.adversarial_auc,
    )


def _most_folds(profile: DataProfile, targets: Sequence[str], classes: Mapping[str, Sequence[str]]) -> int:
    """Return how many folds leave each fold some rows, and a row of every class that has at least two."""
    most = profile.train_rows // FEWEST_ROWS_PER_FOLD
    for column in profile.columns:
        if column.name in targets and len(column.top) == len(classes.get(column.name, ())):
            rows = [round(share * profile.train_rows) for _, share in column.top]
            most = min([most, *(count for count in rows if count >= 2)])
    return max(2, most)


def _families(names: Sequence[str]) -> tuple[str, ...]:
    for name in names:
        if name not in family_names():
            raise UsageError(f"There is no model family {name!r}.", f"Choose from {', '.join(family_names())}.")
    return tuple(names)


def _dropped(decided: Mapping[str, Any], profile: DataProfile) -> tuple[str, ...]:
    chosen = [str(name) for name in decided.get("drop_columns") or ()]
    useless = [column.name for column in profile.columns if column.kind in USELESS_KINDS]
    return tuple(dict.fromkeys([*chosen, *useless]))


def _known_columns(names: Sequence[str], profile: DataProfile, role: str) -> tuple[str, ...]:
    known: dict[str, ColumnProfile] = {column.name: column for column in profile.columns}
    for name in names:
        if known and name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"Did you mean {near[0]!r}?" if near else f"Known columns: {', '.join(list(known)[:20])}."
            raise UsageError(f"There is no {role} column {name!r}.", hint)
    return tuple(names)
