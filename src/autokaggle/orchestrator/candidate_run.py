"""One candidate from proposal to verdict; this file writes its code, runs it in the sandbox and has it judged.

Whatever the code does ends as a record: a failure of generated code is never an error of the run.
"""

from __future__ import annotations

import re
import shutil
import time
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from autokaggle.errors import CompetitionUnusable, UsageError
from autokaggle.orchestrator.auditing import CandidateAudit, leak_in
from autokaggle.orchestrator.best_so_far import BestSoFar
from autokaggle.orchestrator.code_run import SCRIPTS, failure_of, run_code
from autokaggle.orchestrator.context import RunContext
from autokaggle.orchestrator.sealed_run import SealedRun
from autokaggle.records.candidate import Candidate, Check, Gain, Proposal, Sealing
from autokaggle.records.sandbox import StepResult
from autokaggle.skills.pipeline import code_checks, pipeline_generator
from autokaggle.skills.pipeline.proposals import wants_gpu
from autokaggle.skills.sandbox.environment import Environment
from autokaggle.skills.scoring.evaluator import Evaluation, InvalidPredictions
from autokaggle.skills.scoring.gain_words import gain_text
from autokaggle.storage.artifacts import CandidateFolder
from autokaggle.storage.records_file import make_private_folder

# Of a foreign candidate's time; the rest is for its audit.
SHARE_OF_FOLDS = 0.85

# As the template's device.py words it.
GPU_FAILURE = re.compile(r"the GPU failed: .{1,200}")

# A template's own scripts can work fold by fold; others may not.
SCRIPTS_OF_TEMPLATE = frozenset(SCRIPTS)


@dataclass(frozen=True)
class Result:
    """What came of running a candidate's code."""

    evaluation: Evaluation | None = None
    reason: str = ""
    sealing: Sealing = "open"
    steps: tuple[StepResult, ...] = ()


def run_candidate(
    context: RunContext,
    best: BestSoFar,
    candidate_id: str,
    proposal: Proposal,
    environment: Environment,
    seconds: float,
) -> tuple[Candidate, Evaluation | None]:
    """Carry out one proposal within ``seconds`` and record it.

    Returns:
        The finished record, and the evaluation when there is a score that may win.
    """
    folder = context.folder.candidate(candidate_id)
    shutil.rmtree(folder.path, ignore_errors=True)
    make_private_folder(folder.path)
    candidate = Candidate(id=candidate_id, proposal=proposal, status="running")
    context.save_candidate(candidate)
    _tell_started(context, candidate)
    started = time.monotonic()
    problems = _write_code(context, best, folder, proposal)
    result = Result(reason="; ".join(problems))
    if not problems:
        result = _run(context, best, folder, proposal, environment, started + seconds)
    gains = best.gains(proposal.parent, result.evaluation) if result.evaluation else ()
    auditor = CandidateAudit(context, best, folder, environment.folder, started + seconds)
    checks = _audit(auditor, result, gains)
    leak = leak_in(checks)
    candidate = msgspec.structs.replace(
        candidate,
        status="leaking" if leak else "scored" if result.evaluation else "failed",
        reason=leak or result.reason,
        score=result.evaluation.score if result.evaluation else None,
        sealing=result.sealing,
        gains=gains,
        verdict="leaking" if leak else "; ".join(map(gain_text, gains)),
        audit=checks,
        steps=result.steps,
        seconds=round(time.monotonic() - started, 3),
        code_sha256=pipeline_generator.code_hash(folder.code),
    )
    context.save_candidate(candidate)
    _tell_finished(context, candidate)
    _tell_of_gpu(context, candidate, folder.log)
    return candidate, None if leak else result.evaluation


def _write_code(context: RunContext, best: BestSoFar, folder: CandidateFolder, proposal: Proposal) -> tuple[str, ...]:
    templates = context.plugins.template_folders(best.plan.template)
    try:
        pipeline_generator.write_candidate(proposal, best.plan, context.profile, folder, templates)
    except UsageError as error:  # the proposal's fault, not the user's
        return (str(error),)
    return code_checks.check_code(folder.code)


def is_foreign(context: RunContext, template: str, proposal: Proposal) -> bool:
    """Say whether a candidate runs code that was not written here: such code never sees what it is scored on."""
    is_ours = context.plugins.template(template).folder.is_relative_to(pipeline_generator.TEMPLATES)
    return proposal.author != "portfolio" or bool(proposal.files) or not is_ours


def _run(
    context: RunContext,
    best: BestSoFar,
    folder: CandidateFolder,
    proposal: Proposal,
    environment: Environment,
    end: float,
) -> Result:
    if not is_foreign(context, best.plan.template, proposal):
        return _run_open(context, best, folder, environment, end, wants_gpu=wants_gpu(proposal))
    start = time.monotonic()
    sealed = SealedRun(context, best, folder, environment.folder, start + SHARE_OF_FOLDS * (end - start))
    sealed.carry_out()
    is_at_limit = any(step.limit not in (None, "cancelled") for step in sealed.steps)
    if sealed.problem and not is_at_limit and not SCRIPTS_OF_TEMPLATE.isdisjoint(proposal.files):
        # Half of what is left is for the audit, by which alone it may count.
        now = time.monotonic()
        shutil.rmtree(folder.output, ignore_errors=True)
        result = _run_open(context, best, folder, environment, now + (end - now) / 2)
        if result.evaluation:
            return replace(result, sealing="unsealed", steps=(*sealed.steps, *result.steps))
    if sealed.problem:
        return Result(reason=sealed.problem, sealing="sealed", steps=tuple(sealed.steps))
    return _judge(best, folder, tuple(sealed.steps), sealing="sealed")


def _run_open(
    context: RunContext,
    best: BestSoFar,
    folder: CandidateFolder,
    environment: Environment,
    end: float,
    *,
    wants_gpu: bool = False,
) -> Result:
    step = run_code(
        context,
        environment.folder,
        end - time.monotonic(),
        code=folder.code,
        output=folder.output,
        log=folder.log,
        wants_gpu=wants_gpu,
    )
    problem = failure_of(step, folder.log)
    if problem and not step.limit:
        return Result(reason=problem, steps=(step,))
    # What was whole before a limit was reached counts; the check is as strict as ever.
    return _judge(best, folder, (step,), problem)


def _judge(
    best: BestSoFar,
    folder: CandidateFolder,
    steps: tuple[StepResult, ...],
    stopped: str = "",
    sealing: Sealing = "open",
) -> Result:
    try:
        return Result(best.evaluate(folder), stopped, sealing, steps)
    except (InvalidPredictions, CompetitionUnusable, UsageError) as error:  # the last: the user's own metric failed
        return Result(None, stopped or str(error), sealing, steps)


def _audit(auditor: CandidateAudit, result: Result, gains: tuple[Gain, ...]) -> tuple[Check, ...]:
    if result.evaluation is None or result.sealing == "open":
        return ()
    if result.sealing == "sealed":
        return auditor.of_sealed(result.evaluation, gains)
    return auditor.of_unsealed(result.evaluation)


def _tell_of_gpu(context: RunContext, candidate: Candidate, log: Path) -> None:
    """Warn, once in a run, that what was meant for the GPU was done on the processor."""
    if wants_gpu(candidate.proposal) and not context.is_gpu_told and (failure := _gpu_failure(log)):
        context.is_gpu_told = True
        context.journal.warn(f"{candidate.id} used the processor: {failure}")


def _gpu_failure(log: Path) -> str:
    """Return why our own code did on the processor what was meant for a GPU, "" when it did not say so."""
    if not log.is_file():  # it never ran
        return ""
    with log.open(encoding="utf-8", errors="replace") as lines:
        found = next((match for line in lines if (match := GPU_FAILURE.search(line))), None)
    return found[0] if found else ""


def _tell_started(context: RunContext, candidate: Candidate) -> None:
    proposal = candidate.proposal
    context.journal.tell(
        "candidate_started",
        candidate=candidate.id,
        title=proposal.title,
        family=proposal.family,
        expected_seconds=proposal.expected_seconds,
        parent=proposal.parent,
        operator=proposal.operator,
    )


def _tell_finished(context: RunContext, candidate: Candidate) -> None:
    score = candidate.score
    context.journal.tell(
        "candidate_finished",
        candidate=candidate.id,
        status=candidate.status,
        seconds=candidate.seconds,
        score=score.mean if score else None,
        low=score.low if score else None,
        high=score.high if score else None,
        reason=candidate.reason,
        verdict=candidate.verdict,
    )
