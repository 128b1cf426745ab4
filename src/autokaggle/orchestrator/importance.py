"""Importance of columns, when there is time for it; this file runs a candidate's ``importance.py`` in the sandbox."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from autokaggle.orchestrator.best_so_far import best_so_far
from autokaggle.orchestrator.context import RunContext
from autokaggle.records.outcome import Importance
from autokaggle.skills.pipeline.pipeline_generator import copy_code
from autokaggle.skills.sandbox.job import Job
from autokaggle.skills.scoring.evaluator import InvalidPredictions
from autokaggle.skills.scoring.importance import read_importance
from autokaggle.storage.artifacts import CandidateFolder
from autokaggle.storage.records_file import make_private_folder, read_record, write_record

SCRIPT = "importance.py"
# Imports and reading the models take two of them.
SHORTEST_SECONDS = 6.0
GRACE_SECONDS = 1.0


def importance(context: RunContext, seconds: float) -> Importance | None:
    """Return what the heaviest member of the answer lives on: measured before, or within ``seconds`` from now.

    None where there is no time, no such script, or it fails: the run goes on without.
    """
    candidate = _heaviest(context)
    if candidate is None:
        return None
    path = context.folder.importance
    if path.is_file() and (known := read_record(path, Importance)).candidate == candidate.id:
        return known
    if seconds < SHORTEST_SECONDS:
        return None
    place = make_private_folder(path.with_name(".importance"))
    code, output = make_private_folder(place / "code"), make_private_folder(place / "output")
    try:
        # With what the clock decided when the models were fitted: they know no other features.
        copy_code(candidate, code)
        if not _run(context, candidate, code, output, seconds):
            return None
        found = _read(context, candidate, output)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    if found is not None:
        write_record(path, found)
    return found


def _heaviest(context: RunContext) -> CandidateFolder | None:
    chosen = context.run.ensemble
    members = sorted(chosen.members, key=lambda member: -member.weight) if chosen else []
    folders = [context.folder.candidate(member.candidate) for member in members]
    return next((each for each in folders if (each.code / SCRIPT).is_file() and each.model.is_file()), None)


def _run(context: RunContext, candidate: CandidateFolder, code: Path, output: Path, seconds: float) -> bool:
    environment = context.folder.venv.resolve()
    if not environment.is_dir():
        return False
    shutil.copyfile(candidate.model, output / candidate.model.name)
    limits = context.limits(seconds + GRACE_SECONDS, output)
    step = context.run_job(
        Job(
            scripts=(SCRIPT,),
            code=code,
            input=context.folder.input,
            output=output,
            log=context.folder.logs / "importance.log",
            environment=environment,
            limits=limits,
            variables={
                "AUTOKAGGLE_THREADS": str(limits.threads),
                "AUTOKAGGLE_DEADLINE": f"{time.time() + seconds - GRACE_SECONDS:.1f}",
            },
            wants_gpu=candidate.id in context.gpu_members,
        )
    )
    if step.exit_code != 0:
        context.journal.tell("info", "The importance of columns was not measured; see logs/importance.log.")
    return step.exit_code == 0


def _read(context: RunContext, candidate: CandidateFolder, output: Path) -> Importance | None:
    best = best_so_far(context)
    if candidate.id not in best.evaluations:
        return None
    names = [column.name for column in context.profile.columns]
    rule = best.evaluations[candidate.id].rule
    try:
        return read_importance(candidate.id, best.plan, best.truth, best.folds, rule, output, names)
    except InvalidPredictions as error:
        context.journal.tell("info", f"The importance of columns was not measured: {error}")
        return None
