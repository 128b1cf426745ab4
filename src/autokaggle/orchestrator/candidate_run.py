"""One candidate from proposal to verdict; this file writes its code, runs it in the sandbox and has it judged.

Whatever the code does ends as a record: a failure of generated code is never an error of the run.
"""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import msgspec

from autokaggle.errors import CompetitionUnusable, UsageError
from autokaggle.orchestrator.best_so_far import BestSoFar
from autokaggle.orchestrator.context import RunContext
from autokaggle.records import Candidate, Proposal, StepResult
from autokaggle.skills.pipeline import code_checks, pipeline_generator
from autokaggle.skills.sandbox.environment import Environment
from autokaggle.skills.sandbox.job import Job
from autokaggle.skills.sandbox.limits import default_limits
from autokaggle.skills.scoring.evaluator import Evaluation, InvalidPredictions
from autokaggle.storage.artifacts import CandidateFolder
from autokaggle.storage.records_file import make_private_folder

SCRIPTS = ("train.py", "validate.py", "predict.py")

# The scripts stop fitting by themselves at the deadline; the sandbox ends whatever goes on for this much longer.
GRACE_SECONDS = 1.0

LOG_TAIL_BYTES = 4_000


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
        The finished record, and the evaluation when there is a score.
    """
    folder = context.folder.candidate(candidate_id)
    shutil.rmtree(folder.path, ignore_errors=True)
    make_private_folder(folder.path)
    candidate = Candidate(id=candidate_id, proposal=proposal, status="running")
    context.save_candidate(candidate)
    _tell_started(context, candidate)
    started = time.monotonic()
    problems = _write_code(context, best, folder, proposal)
    step, evaluation, reason = None, None, "; ".join(problems)
    if not problems:
        step = _run(context, folder, environment, seconds)
        evaluation, reason = _judge(best, folder, step)
    candidate = msgspec.structs.replace(
        candidate,
        status="scored" if evaluation else "failed",
        reason=reason,
        score=evaluation.score if evaluation else None,
        steps=(step,) if step else (),
        seconds=round(time.monotonic() - started, 3),
        code_sha256=pipeline_generator.code_hash(folder.code),
    )
    context.save_candidate(candidate)
    _tell_finished(context, candidate)
    return candidate, evaluation


def _write_code(context: RunContext, best: BestSoFar, folder: CandidateFolder, proposal: Proposal) -> tuple[str, ...]:
    template = context.plugins.template(best.plan.template)
    try:
        pipeline_generator.write_candidate(proposal, best.plan, context.profile, folder, template.folder)
    except UsageError as error:  # the proposal's fault, not the user's
        return (str(error),)
    return code_checks.check_code(folder.code)


def _run(context: RunContext, folder: CandidateFolder, environment: Environment, seconds: float) -> StepResult:
    make_private_folder(folder.output)
    limits = default_limits(wall_seconds=seconds + GRACE_SECONDS, folder=folder.path)
    job = Job(
        scripts=SCRIPTS,
        code=folder.code,
        input=context.folder.input,
        output=folder.output,
        log=folder.log,
        environment=environment.folder,
        limits=limits,
        variables={"AUTOKAGGLE_THREADS": str(limits.threads), "AUTOKAGGLE_DEADLINE": f"{time.time() + seconds:.1f}"},
    )
    return context.run_job(job)


def _judge(best: BestSoFar, folder: CandidateFolder, step: StepResult) -> tuple[Evaluation | None, str]:
    stopped = f"stopped at the {step.limit} limit after {step.seconds:.1f} s" if step.limit else ""
    if not step.limit and step.exit_code != 0:
        return None, f"exit code {step.exit_code}: {_last_line(folder.log)}"
    try:
        # What was whole before a limit was reached counts; the check is as strict as ever.
        return best.evaluate(folder), stopped
    except (InvalidPredictions, CompetitionUnusable) as error:  # the latter: a score that is not finite
        return None, stopped or str(error)


def _last_line(log: Path) -> str:
    """Return what a failed script said last, which for Python is the exception."""
    if not log.is_file():
        return "no log"
    with log.open("rb") as stream:
        stream.seek(max(0, log.stat().st_size - LOG_TAIL_BYTES))
        lines = [line for line in stream.read().decode("utf-8", "replace").splitlines() if line.strip()]
    return lines[-1].strip()[:300] if lines else "it said nothing"


def _tell_started(context: RunContext, candidate: Candidate) -> None:
    proposal = candidate.proposal
    context.journal.tell(
        "candidate_started",
        candidate=candidate.id,
        title=proposal.title,
        family=proposal.family,
        expected_seconds=proposal.expected_seconds,
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
    )
