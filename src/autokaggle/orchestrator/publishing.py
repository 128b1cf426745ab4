"""From the best candidates to what the person keeps; this file wires the ensemble and the submission."""

from __future__ import annotations

import shutil
from typing import Any

import msgspec

from autokaggle.errors import NoValidSubmission
from autokaggle.orchestrator.auditing import audit_members, audit_record
from autokaggle.orchestrator.best_so_far import BestSoFar, best_so_far
from autokaggle.orchestrator.candidate_search import first_proposal
from autokaggle.orchestrator.context import RunContext
from autokaggle.orchestrator.handing_in import hand_in_stage
from autokaggle.records.candidate import Candidate
from autokaggle.records.outcome import Ensemble, Metrics, SubmissionFacts
from autokaggle.skills.pipeline import pipeline_generator
from autokaggle.skills.submission.checker import check_submission
from autokaggle.storage.records_file import write_record


def ensemble(context: RunContext) -> str:
    """Publish the best single candidate or ensemble as the run's ``code/`` and ``output/``."""
    if not context.is_executed:
        _publish_unexecuted(context)
        return "nothing was executed; code/ holds what would run first"
    best = best_so_far(context)
    best.settle()
    audit_members(context, best)
    chosen = best.ensemble
    context.save(ensemble=chosen)
    if chosen is None:
        context.journal.warn("No candidate beat the best constant answer, which is the submission.")
        return "no candidate beat a constant answer"
    pipeline_generator.publish(chosen, best.plan, context.folder)
    shutil.rmtree(context.folder.sealed, ignore_errors=True)
    for candidate in context.candidates():
        context.save_candidate(msgspec.structs.replace(candidate, verdict=_verdict(candidate, chosen)))
    shares = ", ".join(f"{member.candidate} {member.weight:.0%}" for member in chosen.members)
    return f"{chosen.method}: {shares}; {chosen.score.metric} {chosen.score.mean:.5g}"


def submission(context: RunContext) -> str:
    """Check ``submission.csv`` as Kaggle would, leave metrics.json, and send it when that was asked for.

    Raises:
        NoValidSubmission: the file would be refused; the message says why.
        ActionNeeded: Kaggle wants something of the user before it takes the file.
    """
    if not context.is_executed:
        return "nothing was executed, so there is none"
    best = best_so_far(context)
    facts = best.write()
    if problems := check_submission(context.folder.submission, best.plan, context.folder.tables):
        raise NoValidSubmission(
            f"The submission would be refused: {' '.join(problems)}",
            f"See {context.folder.submission} and {context.folder.run_log}.",
        )
    write_record(context.folder.metrics, _metrics(context, best, facts))
    told = f"{facts.rows:,} rows, valid, sha256 {facts.sha256[:12]}"
    return f"{told}; {hand_in_stage(context)}" if context.run.options.submit else told


def _publish_unexecuted(context: RunContext) -> None:
    folder = context.folder.candidate("c001")
    templates = context.plugins.template_folders(context.plan.template)
    pipeline_generator.write_candidate(first_proposal(context), context.plan, context.profile, folder, templates)
    shutil.copytree(folder.code, context.folder.code, dirs_exist_ok=True)


def _verdict(candidate: Candidate, chosen: Ensemble) -> str:
    if candidate.status != "scored":
        return candidate.verdict
    weights = {member.candidate: member.weight for member in chosen.members}
    if candidate.id in weights:
        return f"published with weight {weights[candidate.id]:.2f}"
    return "adds nothing to the ensemble"


def _metrics(context: RunContext, best: BestSoFar, facts: SubmissionFacts) -> Metrics:
    score = best.score
    cv: dict[str, Any] = {name: getattr(score, name) for name in ("mean", "std", "folds", "low", "high")}
    isolation = context.run.isolation
    return Metrics(
        metric=score.metric,
        greater_is_better=score.greater_is_better,
        cv={**cv, "constant": best.constant.score.mean},
        audit=audit_record(context, best),
        candidates=len(context.candidates()),
        ensemble=best.ensemble.members if best.ensemble else (),
        submission=facts,
        seconds={stage.name: round(stage.seconds, 3) for stage in context.run.stages if stage.status == "done"},
        isolation=isolation.level if isolation else "none",
    )
