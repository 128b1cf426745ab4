"""What a candidate changed and gained; this file completes its record beside its parent's.

A gain inside the noise is called so: both were scored on the same rows, so the noise of the difference is known.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path

import msgspec

from autokaggle.orchestrator.best_so_far import best_so_far
from autokaggle.orchestrator.context import RunContext
from autokaggle.orchestrator.policy import ENSEMBLE
from autokaggle.records import Candidate, Gain, Score
from autokaggle.skills.scoring.comparison import compare, loss_errors
from autokaggle.skills.scoring.evaluator import Evaluation
from autokaggle.skills.scoring.metrics import METRICS
from autokaggle.skills.scoring.surrogate import Surrogate, make_surrogate
from autokaggle.storage.artifacts import CandidateFolder
from autokaggle.storage.records_file import write_atomically

TEXTS = (".py", ".yaml")


def complete_record(
    context: RunContext,
    candidate: Candidate,
    evaluation: Evaluation | None,
    others: Mapping[str, Evaluation],
    before: Score,
    after: Score,
) -> Candidate:
    """Record gains, and the changes to the parent's code; ``others`` were scored before it.

    ``before`` and ``after`` are the scores of what would be handed in without and with the candidate.
    """
    folder = context.folder.candidate(candidate.id)
    if candidate.proposal.parent is not None:
        changes = changes_between(context.folder.candidate(candidate.proposal.parent), folder)
        write_atomically(folder.changes, changes)
    if evaluation is None:
        return candidate
    surrogate = make_surrogate(context.plan, best_so_far(context).truth.values[evaluation.rows])
    gains = tuple(_gains(candidate, evaluation, others, before, after, surrogate))
    completed = msgspec.structs.replace(candidate, gains=gains)
    context.save_candidate(completed)
    said = "; ".join(say_gain(gain) for gain in completed.gains if gain.over != ENSEMBLE)
    context.journal.tell(
        "candidate_weighed", said, candidate=candidate.id, gains=[msgspec.to_builtins(gain) for gain in completed.gains]
    )
    return completed


def say_gain(gain: Gain) -> str:
    """``better than c003 by 0.004 ± 0.001``, or that it is noise."""
    if gain.is_noise:
        return f"like {gain.over} within the noise ({gain.value:+.2g} ± {gain.error:.1g})"
    return f"{'better' if gain.value > 0 else 'worse'} than {gain.over} by {abs(gain.value):.2g} ± {gain.error:.1g}"


def changes_between(parent: CandidateFolder, child: CandidateFolder) -> str:
    """Return a unified diff of the two code folders, "" when they are alike."""
    old, new = _texts(parent.code), _texts(child.code)
    parts: list[str] = []
    for name in sorted({*old, *new}):
        before, after = (texts.get(name, "").splitlines(keepends=True) for texts in (old, new))
        parts += difflib.unified_diff(before, after, f"{parent.id}/{name}", f"{child.id}/{name}")
    return "".join(parts)


def best_single(scores: Mapping[str, Score], metric: str) -> str | None:
    """Return the id of the best score, the earlier of equals."""
    best = None
    for name in sorted(scores, key=lambda name: (len(name), name)):
        if best is None or METRICS[metric].is_better(scores[name].mean, scores[best].mean):
            best = name
    return best


def _gains(
    candidate: Candidate,
    evaluation: Evaluation,
    others: Mapping[str, Evaluation],
    before: Score,
    after: Score,
    surrogate: Surrogate,
) -> list[Gain]:
    metric = evaluation.score.metric
    leader = best_single({name: other.score for name, other in others.items()}, metric)
    found = []
    for name in dict.fromkeys([candidate.proposal.parent, leader]):
        if name is not None and name in others:
            result = compare(evaluation.answers, others[name].answers)
            steadier = loss_errors(surrogate, evaluation.oof, others[name].oof)
            found.append(
                Gain(
                    over=name,
                    value=result.gain,
                    error=result.error,
                    is_noise=result.is_noise,
                    loss_errors=round(steadier, 3),
                )
            )
    whole = METRICS[metric].gain(after.mean, before.mean)
    return [*found, Gain(over=ENSEMBLE, value=whole, error=0.0, is_noise=False)]


def _texts(code: Path) -> dict[str, str]:
    return {
        path.name: path.read_text("utf-8", "replace")
        for path in sorted(code.iterdir() if code.is_dir() else ())
        if path.is_file() and path.suffix in TEXTS
    }
