"""From a target to a plan; this file wires the skills of the first four stages: fetch, profile, discuss, plan."""

from __future__ import annotations

import datetime as dt
import hashlib
import math
from pathlib import Path

import msgspec

from autokaggle.errors import UsageError
from autokaggle.orchestrator.context import RunContext
from autokaggle.orchestrator.journal import progress_listener
from autokaggle.orchestrator.run_environment import build_ahead
from autokaggle.records.competition import Competition, MetricFinding
from autokaggle.records.plan import Decision, Decisions, Plan
from autokaggle.skills.competition import address
from autokaggle.skills.competition.notices import obstacles, rules
from autokaggle.skills.competition.pages import evaluation_text
from autokaggle.storage.records_file import read_record, write_record
from autokaggle.storage.run_folders import read_pages

PROFILE_SHARE = 0.25


def fetch(context: RunContext) -> str:
    """Leave competition.json, pages/ and data/; the time budget starts when this stage ends."""
    competition = _fetch(context)
    competition = msgspec.structs.replace(competition, metric=_identified(competition, read_pages(context.folder)))
    write_record(context.folder.competition, competition)
    context.save(slug=competition.slug, data_sha256=_data_hash(competition))
    for notice in obstacles(competition, dt.datetime.now(dt.UTC)):
        context.journal.warn(f"{notice.text} {notice.next_step}".strip())
    for notice in rules(competition):
        context.journal.tell("info", f"{notice.text} {notice.next_step}".strip())
    megabytes = sum(file.bytes for file in competition.files) / 1e6
    return f"{len(competition.files)} files, {megabytes:,.1f} MB; metric: {_say(competition.metric)}"


def profile(context: RunContext) -> str:
    """Leave data_profile.json and tables/."""
    from autokaggle.skills.dataset import data_profiler

    pages = read_pages(context.folder)
    _, evaluation = evaluation_text(pages)
    # What is looked at must not depend on the clock where the same run is to give the same submission.
    is_repeatable = context.run.options.max_candidates is not None
    found = data_profiler.profile_dataset(
        context.folder.data,
        context.folder.tables,
        {**pages, "evaluation": evaluation} if evaluation else pages,
        target=context.run.options.target_columns or None,
        metric_wording=context.competition.metric.wording,
        seconds=math.inf if is_repeatable else PROFILE_SHARE * context.budget.total_seconds,
        on_progress=progress_listener(context.journal, "profile"),
    )
    write_record(context.folder.profile, found)
    for warning in found.warnings:
        context.journal.warn(warning)
    return (
        f"{found.train_rows:,} train and {found.test_rows:,} test rows; target {', '.join(found.target_columns)}; "
        f"{found.task_type.replace('_', ' ')}"
    )


def discuss(context: RunContext) -> str:
    """Leave chat_decisions.json and chat_transcript.md."""
    from autokaggle.orchestrator import talking

    if context.is_executed and context.run.options.chat and context.person is not None:
        build_ahead(context)
    decisions = talking.discuss(context)
    metric = next(decision for decision in decisions.decisions if decision.key == "metric")
    if metric.by == "strategist" and context.competition.metric.metric is None:
        context.journal.warn(f"Metric: {metric.why}")
    takers = dict.fromkeys(decision.by for decision in decisions.decisions)
    by = "the built-in strategist" if set(takers) <= {"strategist", "flag"} else ", ".join(takers)
    return f"{len(decisions.decisions)} decisions by {by}; metric {metric.value}"


def plan(context: RunContext) -> str:
    """Leave the plan in run.json, folds.parquet, and the agreed columns in competition.json."""
    from autokaggle.skills.pipeline import plan as planning
    from autokaggle.skills.pipeline import portfolios
    from autokaggle.skills.scoring import folds, metrics

    competition, found = context.competition, context.profile
    decisions = _with_usable_metric(context, read_record(context.folder.decisions, Decisions))
    chosen = next(decision for decision in decisions.decisions if decision.key == "metric")
    metric = metrics.find_metric(chosen.value)
    agreed = planning.make_plan(
        competition,
        found,
        decisions,
        context.run.options,
        metric_input=metric.input,
        greater_is_better=metric.greater_is_better,
    )
    if context.run.options.original:
        agreed = _with_original(context, agreed, Path(context.run.options.original))
    if agreed.gpu and not portfolios.can_use_gpu(agreed, found):
        context.journal.warn(
            "Nothing in this run can use a GPU: XGBoost can for tables, and a network that sees images."
        )
    folds.make_folds(agreed, context.folder.tables, context.folder.folds)
    completed = msgspec.structs.replace(
        competition,
        metric=_agreed_metric(competition.metric, chosen, metric.greater_is_better),
        id_columns=agreed.id_columns,
        target_columns=agreed.target_columns,
        submission_columns=agreed.submission.columns,
    )
    write_record(context.folder.competition, completed)
    context.save(plan=agreed)
    validation = agreed.validation
    return f"{validation.folds} folds ({validation.scheme.replace('_', ' ')}), metric {agreed.metric}"


def _with_original(context: RunContext, agreed: Plan, file: Path) -> Plan:
    """Make a table of the data set behind the competition, unless the rules forbid data from elsewhere.

    Raises:
        UsageError: they do, or the file is not that data set.
    """
    from autokaggle.skills.dataset.original_table import ORIGINAL_TABLE, write_original

    gate = next((gate for gate in context.competition.gates if gate.name == "external_data"), None)
    if gate is not None and gate.value is False:
        raise UsageError(
            f"The rules forbid external data, so --original cannot be used: {gate.sentence!r}", "Leave out --original."
        )
    if gate is None:
        context.journal.warn("The rules that were found do not say whether external data may be used: read them.")
    left_out = {*agreed.target_columns, *agreed.id_columns, *agreed.drop_columns}
    features = [column for column in context.profile.columns if column.in_train and column.in_test]
    made = write_original(
        file,
        context.folder.tables,
        agreed.train_table,
        agreed.test_table,
        agreed.target_columns,
        [column.name for column in features if column.name not in left_out],
        agreed.classes,
    )
    context.journal.tell(
        "info",
        f"{file.name}: {made.rows:,} rows with {len(made.shared)} features may be used; left out: {made.known:,} that "
        f"stand in train or test, {made.unusable:,} without a known label.",
    )
    return msgspec.structs.replace(agreed, original_table=ORIGINAL_TABLE) if made.rows else agreed


def _fetch(context: RunContext) -> Competition:
    from autokaggle.storage.dataset_cache import DatasetCache

    options, settings = context.run.options, context.settings
    target = address.parse_target(options.target)
    cache = DatasetCache(settings.cache)
    report = progress_listener(context.journal, "fetch")
    if target.folder is not None:
        from autokaggle.skills.competition import local_folder

        return local_folder.read_local_folder(target.folder, context.folder, cache, report)
    from autokaggle.orchestrator.kaggle_account import open_kaggle
    from autokaggle.skills.competition import fetcher

    if options.offline:
        return fetcher.fetch_offline(target.slug, context.folder, cache, report, settings.kaggle_url)
    return fetcher.fetch_competition(open_kaggle(settings), target.slug, context.folder, cache, report)


def _identified(competition: Competition, pages: dict[str, str]) -> MetricFinding:
    """Find which metric the competition's field, else its pages, mean; a local folder may say so itself."""
    from autokaggle.skills.scoring import metrics

    found = competition.metric
    if found.metric is not None:
        return found
    _, evaluation = evaluation_text(pages)
    field = found.wording if found.source == "field" else ""
    finding = metrics.identify_metric(field, evaluation or "\n\n".join(pages.values()), title=competition.title)
    if finding.metric is None:
        return msgspec.structs.replace(finding, wording=finding.wording or found.wording)
    return finding


def _data_hash(competition: Competition) -> str:
    """Hash names and contents of all data files, in the order of their names."""
    digest = hashlib.sha256()
    for file in sorted(competition.files, key=lambda file: file.name):
        digest.update(f"{file.name}\0{file.sha256}\n".encode())
    return digest.hexdigest()


def _with_usable_metric(context: RunContext, decisions: Decisions) -> Decisions:
    """Return the decisions with a metric that can score the targets; who chose another by hand is told.

    Raises:
        UsageError: the user's own metric does not fit the targets.
    """
    from autokaggle.skills.pipeline.plan import metric_problem
    from autokaggle.skills.scoring import metrics

    found = context.profile
    chosen = next(decision for decision in decisions.decisions if decision.key == "metric")
    problem = metric_problem(found, chosen.value, metrics.find_metric(chosen.value).input)
    if not problem:
        return decisions
    default = metrics.default_metric(found.task_type, found.submission_kind)
    if chosen.by in ("flag", "user"):
        raise UsageError(f"The metric {chosen.value} does not fit: {problem}.", f"Choose another; {default} would fit.")
    why = f"{chosen.value} does not fit: {problem}; {default} is the default for this task; overrule it with --metric"
    context.journal.warn(f"Metric: {why}.")
    usable = Decision(key="metric", value=default, by="strategist", why=why)
    others = tuple(usable if decision.key == "metric" else decision for decision in decisions.decisions)
    changed = msgspec.structs.replace(decisions, decisions=others)
    write_record(context.folder.decisions, changed)
    return changed


def _agreed_metric(finding: MetricFinding, decision: Decision, greater_is_better: bool) -> MetricFinding:
    """Return what was found when it was agreed to, else what was decided, by whom and why."""
    if finding.metric == decision.value:
        return msgspec.structs.replace(finding, greater_is_better=greater_is_better)
    return MetricFinding(
        metric=decision.value,
        wording=finding.wording,
        greater_is_better=greater_is_better,
        source="default" if decision.by == "strategist" else "user",
        confidence=0.0 if decision.by == "strategist" else 1.0,
        evidence=decision.why,
    )


def _say(finding: MetricFinding) -> str:
    if finding.metric is None:
        return f"unknown ({finding.wording})" if finding.wording else "not stated"
    return f"{finding.metric} ({finding.confidence:.0%} sure)"
