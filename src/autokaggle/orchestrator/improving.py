"""A finished run, taken up again; this file gives it a new time budget, with which it goes on at the search.

What was found stays: candidates, their scores, and the combination of them, below which the run does not fall again.
The stages from the search on are carried out anew; until they are, the run counts as interrupted, and can be resumed.
"""

from __future__ import annotations

from typing import get_args

import msgspec

from autokaggle.config import Settings
from autokaggle.errors import UsageError
from autokaggle.orchestrator.journal import Journal
from autokaggle.orchestrator.standing import changed, save
from autokaggle.records.candidate import Candidate
from autokaggle.records.run import Earlier, Run, RunOptions, StageName
from autokaggle.skills.pipeline.pipeline_generator import code_hash
from autokaggle.storage.artifacts import RunFolder
from autokaggle.storage.records_file import read_record
from autokaggle.storage.run_folders import hold_run, read_candidates, read_metrics, refuse_cancelled

NAMES: tuple[StageName, ...] = get_args(StageName)
KEPT = NAMES[: NAMES.index("search")]


def take_up(folder: RunFolder, settings: Settings, options: RunOptions) -> Run:
    """Let a finished run go on at its search when it is carried out next.

    ``options`` are those of the run with a new time budget; its most candidates and its most cost, where given, are
    further ones. Nothing is handed in to Kaggle by itself.

    Raises:
        UsageError: the run is not finished, none of it was run, another process is at work on it, or its candidates are
            not what they were.
    """
    with hold_run(folder):
        run = read_record(folder.record, Run)
        _refuse(run)
        candidates = read_candidates(folder)
        _refuse_changed(folder, run, candidates)
        earlier = _earlier(folder, run, len(candidates))
        plan = run.plan and msgspec.structs.replace(run.plan, time_budget_seconds=options.time_budget_seconds)
        run = changed(
            run,
            status="interrupted",
            error="",
            options=_in_total(options, run, len(candidates)),
            plan=plan,
            stages=tuple(stage for stage in run.stages if stage.name in KEPT),
            budget_seconds_used=0.0,
            earlier=(*run.earlier, earlier),
        )
        save(folder, settings, run)
        # It tells of a finished run, and of a submission that is about to change.
        folder.metrics.unlink(missing_ok=True)
        score = earlier.score.mean if earlier.score else None
        Journal(folder).tell("run_improved", "", budget_seconds=options.time_budget_seconds, score=score)
    return run


def _refuse(run: Run) -> None:
    """Raises:
    UsageError: there is nothing that could be improved.
    """
    refuse_cancelled(run)
    if run.status != "done":
        why = f": {run.error}" if run.error else ""
        raise UsageError(
            f"Run {run.id} is {run.status}{why.rstrip('.')}; only a finished run can be improved.",
            f"Finish it first: autokaggle resume {run.id}",
        )
    if run.options.skip_execution or run.isolation is None:
        raise UsageError(
            f"Run {run.id} was written only: nothing of it was run, so there is nothing to improve.",
            f"Start anew without --skip-execution: autokaggle run {run.target}",
        )


def _refuse_changed(folder: RunFolder, run: Run, candidates: list[Candidate]) -> None:
    """Raises:
    UsageError: what the run's submission is made of was changed or removed since, so it cannot be built upon.
    """
    chosen_from = {*run.ensemble.chosen_from} if run.ensemble else set()
    known = {candidate.id: candidate for candidate in candidates}
    for name in sorted(chosen_from | {member.candidate for member in (run.ensemble.members if run.ensemble else ())}):
        one = folder.candidate(name)
        if name not in known or not (one.oof.is_file() and one.test_predictions.is_file()):
            problem = f"what {name} predicted is gone"
        elif code_hash(one.code) != known[name].code_sha256:
            problem = f"the code of {name} was changed after it was scored"
        else:
            continue
        raise UsageError(
            f"Run {run.id} cannot be improved: {problem} ({one.path}).",
            f"Put it back as it was, or start anew: autokaggle run {run.target}",
        )


def _earlier(folder: RunFolder, run: Run, candidates: int) -> Earlier:
    metrics = read_metrics(folder)
    return Earlier(
        ended=run.updated,
        time_budget_seconds=run.options.time_budget_seconds,
        seconds_used=run.budget_seconds_used,
        candidates=candidates,
        score=run.ensemble.score if run.ensemble else None,
        submission=metrics.submission if metrics else None,
        sent=tuple(sent.ref for sent in run.sent),
    )


def _in_total(options: RunOptions, run: Run, candidates: int) -> RunOptions:
    """Count what the run had and spent before into its limits."""
    most, cost = options.max_candidates, options.max_cost_usd
    return msgspec.structs.replace(
        options,
        max_candidates=None if most is None else candidates + most,
        max_cost_usd=None if cost is None else run.cost_usd + cost,
        submit=False,
        detach=False,
    )
