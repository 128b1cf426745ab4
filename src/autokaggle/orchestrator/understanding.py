"""From a target to a plan; this file wires the skills of the first four stages: fetch, profile, discuss, plan."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import msgspec

from autokaggle.orchestrator.context import RunContext
from autokaggle.records import Competition, Decisions, MetricFinding, Progress, StageName
from autokaggle.skills.competition import address
from autokaggle.skills.competition.pages import evaluation_text
from autokaggle.storage.records_file import read_record, write_record


def fetch(context: RunContext) -> str:
    """Leave competition.json, pages/ and data/; the time budget starts when this stage ends."""
    from autokaggle.skills.scoring import metrics

    competition = _fetch(context)
    pages = _page_texts(context)
    found = competition.metric
    field = found.wording if found.source == "field" else ""
    _, evaluation = evaluation_text(pages)
    finding = metrics.identify_metric(field, evaluation or "\n\n".join(pages.values()), title=competition.title)
    if finding.metric is None:
        finding = msgspec.structs.replace(finding, wording=finding.wording or found.wording)
    competition = msgspec.structs.replace(competition, metric=finding)
    write_record(context.folder.competition, competition)
    context.save(msgspec.structs.replace(context.run, slug=competition.slug, data_sha256=_data_hash(competition)))
    megabytes = sum(file.bytes for file in competition.files) / 1e6
    return f"{len(competition.files)} files, {megabytes:,.1f} MB; metric: {_say(finding)}"


def profile(context: RunContext) -> str:
    """Leave data_profile.json and tables/."""
    from autokaggle.skills.dataset import data_profiler

    found = data_profiler.profile_dataset(
        context.folder.data,
        context.folder.tables,
        _page_texts(context),
        metric_wording=context.competition.metric.wording,
        on_progress=_progress(context, "profile"),
    )
    write_record(context.folder.profile, found)
    for warning in found.warnings:
        context.journal.tell("warning", warning)
    return (
        f"{found.train_rows:,} train and {found.test_rows:,} test rows; target {', '.join(found.target_columns)}; "
        f"{found.task_type.replace('_', ' ')}"
    )


def discuss(context: RunContext) -> str:
    """Leave chat_decisions.json and chat_transcript.md."""
    from autokaggle.skills.dialogue import chat_manager
    from autokaggle.skills.scoring import metrics

    found = context.profile
    default = metrics.default_metric(found.task_type, found.submission_kind)
    decisions = chat_manager.hold_dialogue(context.competition, found, context.run.options, default, context.folder)
    metric = next(decision for decision in decisions.decisions if decision.key == "metric")
    if metric.by == "strategist" and context.competition.metric.metric is None:
        context.journal.tell("warning", f"Metric: {metric.why}")
    return f"{len(decisions.decisions)} decisions by the built-in strategist; metric {metric.value}"


def plan(context: RunContext) -> str:
    """Leave the plan in run.json, folds.parquet, and the agreed columns in competition.json."""
    from autokaggle.skills.pipeline import plan as planning
    from autokaggle.skills.scoring import folds, metrics

    competition, found = context.competition, context.profile
    decisions = read_record(context.folder.decisions, Decisions)
    chosen = next(decision.value for decision in decisions.decisions if decision.key == "metric")
    metric = metrics.METRICS[chosen]
    agreed = planning.make_plan(
        competition,
        found,
        decisions,
        context.run.options,
        metric_input=metric.input,
        greater_is_better=metric.greater_is_better,
    )
    folds.make_folds(agreed, context.folder.tables, context.folder.folds)
    completed = msgspec.structs.replace(
        competition,
        metric=_agreed_metric(competition.metric, metric.id, metric.greater_is_better),
        id_columns=agreed.id_columns,
        target_columns=agreed.target_columns,
        submission_columns=agreed.submission.columns,
    )
    write_record(context.folder.competition, completed)
    context.save(msgspec.structs.replace(context.run, plan=agreed))
    validation = agreed.validation
    return f"{validation.folds} folds ({validation.scheme.replace('_', ' ')}), metric {agreed.metric}"


def _fetch(context: RunContext) -> Competition:
    from autokaggle.storage.dataset_cache import DatasetCache

    options, settings = context.run.options, context.settings
    target = address.parse_target(options.target)
    cache = DatasetCache(settings.cache)
    report = _progress(context, "fetch")
    if target.folder is not None:
        from autokaggle.skills.competition import local_folder

        return local_folder.read_local_folder(target.folder, context.folder, cache, report)
    from autokaggle.orchestrator.kaggle_account import open_kaggle
    from autokaggle.skills.competition import fetcher

    if options.offline:
        return fetcher.fetch_offline(target.slug, context.folder, cache, report, settings.kaggle_url)
    return fetcher.fetch_competition(open_kaggle(settings), target.slug, context.folder, cache, report)


def _page_texts(context: RunContext) -> dict[str, str]:
    return {path.stem: path.read_text("utf-8") for path in sorted(context.folder.pages.glob("*.md"))}


def _data_hash(competition: Competition) -> str:
    """Hash names and contents of all data files, in the order of their names."""
    digest = hashlib.sha256()
    for file in sorted(competition.files, key=lambda file: file.name):
        digest.update(f"{file.name}\0{file.sha256}\n".encode())
    return digest.hexdigest()


def _agreed_metric(finding: MetricFinding, metric: str, greater_is_better: bool) -> MetricFinding:
    if finding.metric == metric:
        return msgspec.structs.replace(finding, greater_is_better=greater_is_better)
    source = "user" if finding.metric else "default"
    return msgspec.structs.replace(
        finding, metric=metric, greater_is_better=greater_is_better, source=source, confidence=1.0
    )


def _say(finding: MetricFinding) -> str:
    if finding.metric is None:
        return f"unknown ({finding.wording})" if finding.wording else "not stated"
    return f"{finding.metric} ({finding.confidence:.0%} sure)"


def _progress(context: RunContext, stage: StageName) -> Callable[[Progress], None]:
    def report(progress: Progress) -> None:
        if context.cancelled.is_set():
            raise KeyboardInterrupt
        context.journal.tell(
            "progress", stage=stage, text=progress.text, done=progress.done, total=progress.total, unit=progress.unit
        )

    return report
