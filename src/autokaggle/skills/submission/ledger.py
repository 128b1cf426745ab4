"""What was expected beside what Kaggle gave; this file judges the submissions to one competition together.

It asks nobody and stores nothing: entries come from Kaggle's list and from the runs' own records.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from autokaggle.records.outcome import SentSubmission

NORMAL_95 = 1.959964
# From bound to bound an expected range is so many deviations wide: it reaches farther to the worse side.
DEVIATIONS_IN_RANGE = 2 * NORMAL_95 + 0.75
# Submissions are scored on the same rows, so most of what moves one moves the other as well.
SHARED_VARIANCE = 0.75
FINAL_PICKS = 2
FEWEST_FOR_CORRELATION = 3


@dataclass(frozen=True)
class Entry:
    """One submission, with the score that its run expected (``mean``, bounds ``low`` and ``high``), if one did."""

    sent: SentSubmission
    run_id: str | None = None
    mean: float | None = None
    low: float | None = None
    high: float | None = None

    @property
    def deviation(self) -> float | None:
        """The standard deviation of the test score around the expected one."""
        if self.low is None or self.high is None:
            return None
        return (self.high - self.low) / DEVIATIONS_IN_RANGE

    @property
    def is_as_expected(self) -> bool | None:
        """Tell whether the public score lies between the bounds; None where either is missing."""
        return self.sent.is_within(self.low, self.high)


@dataclass(frozen=True)
class Pick:
    """A submission to choose for the final ranking, and why."""

    ref: int
    why: str


@dataclass(frozen=True)
class Ledger:
    """``entries`` are the best public score first; ``steps`` say of each whether it beats the next one.

    ``correlation`` is that of the ranks of expected and public scores, None while there are too few.
    """

    entries: tuple[Entry, ...]
    steps: tuple[bool | None, ...]
    correlation: float | None
    picks: tuple[Pick, ...]


def make_ledger(entries: Sequence[Entry], *, greater_is_better: bool) -> Ledger:
    """Put the submissions in order and say what their differences are worth.

    A step is True when the difference to the next score is beyond the noise, False when it is inside, and None where
    one of the two has no score, or no run knows the noise.
    """
    sign = 1.0 if greater_is_better else -1.0
    ordered = sorted(entries, key=lambda entry: _order(entry.sent.public_score, sign))
    deviation = _typical_deviation(ordered)
    return Ledger(
        entries=tuple(ordered),
        steps=tuple(_is_real_step(better, worse, deviation) for better, worse in itertools.pairwise(ordered)),
        correlation=_rank_correlation(ordered),
        picks=tuple(_picks(ordered, sign)),
    )


def _order(score: float | None, sign: float) -> float:
    return math.inf if score is None else -sign * score


def _typical_deviation(entries: Sequence[Entry]) -> float | None:
    known = sorted(entry.deviation for entry in entries if entry.deviation is not None)
    return known[len(known) // 2] if known else None


def _is_real_step(better: Entry, worse: Entry, deviation: float | None) -> bool | None:
    first, second = better.sent.public_score, worse.sent.public_score
    if first is None or second is None or deviation is None:
        return None
    return abs(first - second) > NORMAL_95 * deviation * math.sqrt(2 * (1 - SHARED_VARIANCE))


def _rank_correlation(entries: Sequence[Entry]) -> float | None:
    pairs = [(entry.mean, entry.sent.public_score) for entry in entries]
    known = [(mean, score) for mean, score in pairs if mean is not None and score is not None]
    if len(known) < FEWEST_FOR_CORRELATION:
        return None
    left, right = (_ranks([pair[side] for pair in known]) for side in (0, 1))
    middle = (len(known) + 1) / 2
    product = sum((a - middle) * (b - middle) for a, b in zip(left, right, strict=True))
    spread = math.sqrt(sum((a - middle) ** 2 for a in left) * sum((b - middle) ** 2 for b in right))
    return round(product / spread, 3) if spread else None


def _ranks(values: Sequence[float]) -> list[float]:
    """Return 1-based ranks; equal values share their mean rank."""
    return [
        sum(other < value for other in values) + (1 + sum(other == value for other in values)) / 2 for value in values
    ]


def _picks(ordered: Sequence[Entry], sign: float) -> list[Pick]:
    """Choose the best expected score, then the best public score of the rest: each is wrong in its own way.

    An expected score rests on all train rows but on one's own honesty; a public score on few rows that nobody saw.
    """
    scored = [entry for entry in ordered if entry.sent.status == "complete" or entry.sent.public_score is not None]
    picks: list[Pick] = []
    expected = sorted((entry for entry in scored if entry.mean is not None), key=lambda each: _order(each.mean, sign))
    if expected:
        best = expected[0]
        picks.append(Pick(best.sent.ref, f"the best expected score, {best.mean:.6g}"))
    chosen = {pick.ref for pick in picks}
    for entry in scored:
        if len(picks) == FINAL_PICKS:
            break
        if entry.sent.ref not in chosen and entry.sent.public_score is not None:
            picks.append(Pick(entry.sent.ref, f"the best public score of the rest, {entry.sent.public_score:.6g}"))
            chosen.add(entry.sent.ref)
    return picks
