"""Before a candidate may win; this file runs what the audit needs in the sandbox, and records what came of it.

Foreign code is audited before it is taken in: one that leaks is out. Code that cannot be sealed is run once more on a
blind split. Our own code is looked at when it carries the submission and time is left, on one sealed fold; since it
trains otherwise there (fewer rows, no scored rows to watch), a difference is a warning.
"""

from __future__ import annotations

import shutil
import time
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np

from autokaggle.orchestrator.best_so_far import BestSoFar
from autokaggle.orchestrator.code_run import SCRIPTS, failure_of, run_code
from autokaggle.orchestrator.context import RunContext
from autokaggle.orchestrator.sealed_run import sealed_input
from autokaggle.records.candidate import Candidate, Check, Gain
from autokaggle.skills.pipeline.data_usage import unread_files
from autokaggle.skills.pipeline.proposals import wants_gpu
from autokaggle.skills.scoring import audit, data_checks, feature_checks
from autokaggle.skills.scoring.evaluator import Evaluation
from autokaggle.skills.scoring.prediction_files import InvalidPredictions, read_predictions
from autokaggle.skills.scoring.sealed_folds import OOF, TEST, read_fold
from autokaggle.skills.scoring.sealing import blind_input, seal_input
from autokaggle.storage.artifacts import CandidateFolder
from autokaggle.storage.records_file import make_private_folder

PROBE = "feature_probe.py"
# So many standard errors better than all before it is rarely the work of an idea.
SUSPICIOUS_ERRORS = 6.0
MOST_SHARE_FOR_OURS = 0.5


def leak_in(checks: tuple[Check, ...]) -> str:
    """Return what makes a candidate leak, "" when nothing does."""
    return "; ".join(f"{check.name}: {check.detail}" for check in checks if check.status == "leak")


class CandidateAudit:
    """The audit of one candidate; its runs end at ``end`` (a monotonic clock's time)."""

    def __init__(
        self,
        context: RunContext,
        best: BestSoFar,
        folder: CandidateFolder,
        environment: Path,
        end: float,
        *,
        wants_gpu: bool = False,
    ) -> None:
        self.context, self.best, self.folder, self.environment, self.end = context, best, folder, environment, end
        self.wants_gpu = wants_gpu
        self.fold = best.folds.validated[-1]

    def of_sealed(self, evaluation: Evaluation, gains: tuple[Gain, ...]) -> tuple[Check, ...]:
        """Audit foreign code whose every fold was predicted without its labels."""
        checks = [Check(name="blind split", status="ok", detail="no fold's labels were there when it was predicted")]
        checks += self._probe()
        is_too_good = any(gain.error > 0 and gain.value / gain.error > SUSPICIOUS_ERRORS for gain in gains)
        if is_too_good or audit.is_suspicious(self.best.plan, self.best.truth, evaluation):
            checks.append(self._shuffled())
        return (*checks, self._drift(evaluation))

    def of_unsealed(self, evaluation: Evaluation) -> tuple[Check, ...]:
        """Audit code that cannot work fold by fold: it has to do without the rows of one fold."""
        source, output = self._folder("blind"), self._folder("blind-output")
        folds, plan = self.best.folds, self.best.plan
        blind_input(plan, self.context.profile, folds, self.fold, self.context.folder.input, source)
        hidden = folds.rows_of(self.fold)
        try:
            self._run(source, output, {})
            every = np.arange(self.best.test_rows + len(hidden), dtype=np.int64)
            predictions = read_predictions(output / TEST, plan, every)[-len(hidden) :]
        except InvalidPredictions as error:
            return (Check(name="blind split", status="leak", detail=f"without the rows of one fold in train: {error}"),)
        finally:
            self._remove()
        found = audit.audit(plan, self.best.truth, folds, evaluation, self.fold, predictions)
        return (_check(found, "leak"), *self._probe(), self._drift(evaluation))

    def of_ours(self, evaluation: Evaluation) -> tuple[Check, ...]:
        """Audit our own code: one fold is predicted again, without its labels."""
        output = self._folder("sealed-output")
        try:
            self._run(sealed_input(self.context, self.best, self.fold), output, {"AUTOKAGGLE_FOLD": str(self.fold)})
            predictions = read_fold(self.best.plan, self.best.folds, self.fold, output / OOF)
        except InvalidPredictions as error:
            return (Check(name="blind split", status="warn", detail=f"could not be run: {error}"),)
        finally:
            self._remove()
        found = audit.audit(self.best.plan, self.best.truth, self.best.folds, evaluation, self.fold, predictions)
        return (_check(found, "warn"), self._drift(evaluation))

    def _probe(self) -> list[Check]:
        """Try the features on a few rows, in a copy of the code with the probe beside it."""
        code, output = self._folder("probe"), self._folder("probe-output")
        shutil.copytree(self.folder.code, code, dirs_exist_ok=True)
        script = resources.files("autokaggle.skills.scoring").joinpath(PROBE)
        (code / PROBE).write_text(script.read_text("utf-8"), "utf-8")
        source = sealed_input(self.context, self.best, self.fold)
        try:
            self._run(source, output, {"AUTOKAGGLE_FOLD": str(self.fold)}, code, (PROBE,))
            found = feature_checks.read_probe(output)
            one = feature_checks.check_features(self.best.plan, self.best.truth, output)
        except InvalidPredictions as error:
            return [Check(name="rows alone", status="warn", detail=f"features.py could not be probed: {error}")]
        finally:
            self._remove()
        unread = unread_files(self.folder.code, self.context.profile)
        usage = feature_checks.check_usage(found["unused"], unread)
        return [feature_checks.check_other_rows(found["other_rows"]), one, usage]

    def _shuffled(self) -> Check:
        """Let the code learn from labels of other rows, and see whether it still knows something."""
        source, output = self._folder("shuffled"), self._folder("shuffled-output")
        plan, folds, run_input = self.best.plan, self.best.folds, self.context.folder.input
        try:
            seal_input(plan, self.context.profile, folds, self.fold, run_input, source, is_shuffled=True)
            self._run(source, output, {"AUTOKAGGLE_FOLD": str(self.fold)})
            predictions = read_fold(plan, folds, self.fold, output / OOF)
        except InvalidPredictions as error:
            return Check(name="shuffled target", status="warn", detail=f"could not be run: {error}")
        finally:
            self._remove()
        return audit.beats_chance(plan, self.best.truth, folds, self.fold, predictions)

    def _drift(self, evaluation: Evaluation) -> Check:
        drifting = audit.drifting_columns(self.best.plan, evaluation)
        if drifting:
            named = ", ".join(drifting[:5])
            return Check(
                name="test like train", status="warn", detail=f"predictions of test are unlike others: {named}"
            )
        return Check(
            name="test like train", status="ok", detail="test predictions are distributed as those out of fold"
        )

    def _run(
        self,
        source: Path,
        output: Path,
        variables: dict[str, str],
        code: Path | None = None,
        scripts: tuple[str, ...] = SCRIPTS,
    ) -> None:
        log = self._folder("log") / "log"
        step = run_code(
            self.context,
            self.environment,
            max(1.0, self.end - time.monotonic()),
            code=code or self.folder.code,
            output=output,
            log=log,
            source=source,
            scripts=scripts,
            variables=variables,
            wants_gpu=self.wants_gpu,
        )
        if problem := failure_of(step, log):
            raise InvalidPredictions(problem)

    def _folder(self, name: str) -> Path:
        return make_private_folder(self.folder.audit / name)

    def _remove(self) -> None:
        shutil.rmtree(self.folder.audit, ignore_errors=True)


def audit_members(context: RunContext, best: BestSoFar) -> None:
    """Audit those of our own candidates that carry the submission, the heaviest first, while time is left."""
    audited: set[str] = set()
    while (candidate := _next_unaudited(context, best, audited)) is not None:
        audited.add(candidate.id)
        expected = candidate.seconds / max(1, len(best.folds.validated)) + 3.0
        if expected > MOST_SHARE_FOR_OURS * context.budget.left_for_search_seconds:
            continue
        end = time.monotonic() + context.budget.left_for_search_seconds
        folder = context.folder.candidate(candidate.id)
        environment = context.folder.venv.resolve()
        auditor = CandidateAudit(context, best, folder, environment, end, wants_gpu=wants_gpu(candidate.proposal))
        checks = auditor.of_ours(best.evaluations[candidate.id])
        context.save_candidate(msgspec.structs.replace(candidate, audit=checks))


def audit_record(context: RunContext, best: BestSoFar) -> dict[str, Any]:
    """Return what ``metrics.json`` says of the audit: of the data, and of every candidate that was audited."""
    split = context.profile.split
    checks = data_checks.check_data(best.plan, best.truth, best.folds, split, context.folder.tables)
    audited = {one.id: one for one in context.candidates() if one.audit}
    published = [member.candidate for member in best.ensemble.members] if best.ensemble else []
    return {
        "data": msgspec.to_builtins(checks),
        "candidates": {name: msgspec.to_builtins(one.audit) for name, one in audited.items()},
        "not_audited": [name for name in published if name not in audited],
        "leaking": [name for name, one in audited.items() if one.status == "leaking"],
    }


def _next_unaudited(context: RunContext, best: BestSoFar, audited: set[str]) -> Candidate | None:
    weights = {member.candidate: member.weight for member in best.ensemble.members} if best.ensemble else {}
    waiting = [one for one in context.candidates() if one.id in weights and not one.audit and one.id not in audited]
    return max(waiting, key=lambda one: abs(weights[one.id]), default=None)


def _check(found: audit.Audit, graver: Literal["warn", "leak"]) -> Check:
    """Say what the audit came to; ``graver`` is what a leak counts as."""
    return Check(name="blind split", status=graver if found.is_leaking else "ok", detail=found.verdict)
