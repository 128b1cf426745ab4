"""Where the score stands; this file puts constant answer, expected range, folds and Kaggle's score on one scale."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from autokaggle.records.outcome import Metrics, SentSubmission

AIR = 0.06


@dataclass(frozen=True)
class ScoreScale:
    """Places from 0 (worst) to 1 (best): better is always to the right."""

    low: float
    high: float
    mean: float
    folds: tuple[float, ...]
    constant: float | None
    sent: float | None


def score_scale(metrics: Metrics, public: float | None) -> ScoreScale | None:
    """Return the places of all that is known of the score; None where the scores are no numbers."""
    cv = metrics.cv
    constant = cv.get("constant")
    values = [float(value) for value in _all(cv, constant, public)]
    worst, best = min(values, default=0.0), max(values, default=0.0)
    if not best > worst:
        return None

    def place(value: float) -> float:
        share = (value - worst) / (best - worst)
        return AIR + (1 - 2 * AIR) * (share if metrics.greater_is_better else 1 - share)

    ends = sorted((place(cv["low"]), place(cv["high"])))
    return ScoreScale(
        low=ends[0],
        high=ends[1],
        mean=place(cv["mean"]),
        folds=tuple(place(fold) for fold in cv["folds"]),
        constant=None if constant is None else place(constant),
        sent=None if public is None else place(public),
    )


def latest_scored(sent: Sequence[SentSubmission]) -> SentSubmission | None:
    """Return the latest submission that Kaggle gave a public score."""
    return next((each for each in reversed(sent) if each.public_score is not None), None)


def _all(cv: dict[str, object], *more: object) -> Iterator[float]:
    folds = cv["folds"]
    assert isinstance(folds, (list, tuple))
    for value in (cv["mean"], cv["low"], cv["high"], *folds, *more):
        if isinstance(value, (int, float)):
            yield float(value)
