"""What was tried, as a tree; this file puts each candidate below the one that it changes, with what that gained."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from autokaggle.records.candidate import Candidate, Gain, Score
from autokaggle.records.outcome import Metrics

# A mean difference of folds within so many standard errors says nothing.
NOISE_ERRORS = 2.0


@dataclass(frozen=True)
class Branch:
    """One line of the tree; ``place`` (low, high) is where its score lies among all, from 0 to 1, right is better."""

    candidate: Candidate
    depth: int
    gain: Gain | None
    weight: float | None
    place: float | None


def candidate_tree(candidates: Sequence[Candidate], metrics: Metrics | None) -> list[Branch]:
    """Return all candidates, each after its parent, in the order in which they were made."""
    weights = {member.candidate: member.weight for member in metrics.ensemble} if metrics else {}
    gains, places = _gains(candidates), _places(candidates)
    known = {candidate.id for candidate in candidates}
    children: dict[str | None, list[Candidate]] = {}
    for candidate in candidates:
        parent = candidate.proposal.parent
        children.setdefault(parent if parent in known and parent != candidate.id else None, []).append(candidate)

    def walk(parent: str | None, depth: int) -> Iterator[Branch]:
        for child in children.pop(parent, []):
            name = child.id
            yield Branch(child, depth, gains.get(name), weights.get(name), places.get(name))
            yield from walk(name, depth + 1)

    tree = list(walk(None, 0))
    while children:  # parents in a circle, which only a damaged record can hold
        tree += walk(next(iter(children)), 0)
    return tree


def gain_over(mine: Score, other: Score, name: str) -> Gain:
    """Compare two scores fold by fold, since both were judged on the same folds; for records without gains."""
    sign = 1.0 if mine.greater_is_better else -1.0
    value = sign * (mine.mean - other.mean)
    if len(mine.folds) != len(other.folds) or len(mine.folds) < 2:
        error = max(mine.std, other.std)
        return Gain(over=name, value=value, error=error, is_noise=abs(value) <= error)
    differences = [sign * (one - another) for one, another in zip(mine.folds, other.folds, strict=True)]
    error = stdev(differences) / len(differences) ** 0.5
    return Gain(over=name, value=value, error=error, is_noise=abs(fmean(differences)) <= NOISE_ERRORS * error)


def _gains(candidates: Sequence[Candidate]) -> dict[str, Gain]:
    """Compare each scored candidate with its parent, or with the best one before it."""
    scores = {candidate.id: candidate.score for candidate in candidates if candidate.score}
    best: tuple[str, Score] | None = None
    found: dict[str, Gain] = {}
    for candidate in candidates:
        mine = scores.get(candidate.id)
        if mine is None:
            continue
        parent = scores.get(candidate.proposal.parent or "")
        if candidate.gains:
            found[candidate.id] = candidate.gains[0]
        elif parent is not None and candidate.proposal.parent:
            found[candidate.id] = gain_over(mine, parent, candidate.proposal.parent)
        elif best is not None:
            found[candidate.id] = gain_over(mine, best[1], best[0])
        if candidate.status == "scored" and (best is None or gain_over(mine, best[1], best[0]).value > 0):
            best = candidate.id, mine
    return found


def _places(candidates: Sequence[Candidate]) -> dict[str, float]:
    scores = {candidate.id: candidate.score for candidate in candidates if candidate.score}
    if not scores:
        return {}
    signed = {name: score.mean if score.greater_is_better else -score.mean for name, score in scores.items()}
    worst, best = min(signed.values()), max(signed.values())
    return {name: (value - worst) / (best - worst) if best > worst else 1.0 for name, value in signed.items()}
