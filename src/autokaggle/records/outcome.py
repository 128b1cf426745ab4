"""What came out; this file holds the records of the ensemble, of metrics, of importance and of submissions sent."""

from __future__ import annotations

from typing import Any, Literal

from autokaggle.records.base import Record
from autokaggle.records.candidate import Score
from autokaggle.records.sandbox import IsolationLevel

EnsembleMethod = Literal["single", "greedy", "mean", "stacker"]
BlendScale = Literal["values", "log1p", "logits"]


class Member(Record, frozen=True, kw_only=True):
    """A candidate in an ensemble, by its id, and the weight of its predictions in the blend."""

    candidate: str
    weight: float


class Ensemble(Record, frozen=True, kw_only=True):
    """The published combination; ``rule`` turns blended predictions into submission values.

    ``blend`` is the scale on which the weighted mean is taken (``templates/ensemble/blend.py``). The same candidates to
    choose from (``chosen_from``) give the same combination again.
    """

    version: int = 1
    method: EnsembleMethod
    members: tuple[Member, ...]
    blend: BlendScale = "values"
    score: Score
    rule: dict[str, Any]
    correlation: tuple[tuple[float, ...], ...] = ()
    chosen_from: tuple[str, ...] = ()


class SubmissionFacts(Record, frozen=True, kw_only=True):
    """A submission file: how many rows follow its first line, and the hash of its content."""

    rows: int
    sha256: str


class Metrics(Record, frozen=True, kw_only=True):
    """What a run came to: output/metrics.json.

    ``cv`` has the fields of the ensemble's ``Score``, and ``constant``, the score of the best constant answer.
    ``candidates`` counts all that were tried; ``seconds`` are by stage.
    """

    version: int = 1
    metric: str
    greater_is_better: bool
    cv: dict[str, Any]
    audit: dict[str, Any] = {}
    candidates: int
    ensemble: tuple[Member, ...]
    submission: SubmissionFacts
    seconds: dict[str, float]
    isolation: IsolationLevel


class ColumnImportance(Record, frozen=True, kw_only=True):
    """By how much the score gets worse, over all sampled rows and in each fold, when ``columns`` are shuffled."""

    columns: tuple[str, ...]
    loss: float
    folds: tuple[float, ...] = ()


class Importance(Record, frozen=True, kw_only=True):
    """What one candidate's models live on, the most important first: output/importance.json."""

    version: int = 1
    candidate: str
    metric: str
    rows: int
    columns: tuple[ColumnImportance, ...]


class SentSubmission(Record, frozen=True, kw_only=True):
    """One submission as Kaggle knows it; scores are None until Kaggle gives them."""

    ref: int
    description: str
    date: str = ""
    status: Literal["pending", "complete", "error"] = "pending"
    public_score: float | None = None
    private_score: float | None = None
    error: str = ""
    rank: int | None = None
    teams: int | None = None

    def is_within(self, low: float | None, high: float | None) -> bool | None:
        """Tell whether the public score lies between the bounds; None where one of the three is missing."""
        if self.public_score is None or low is None or high is None:
            return None
        return low <= self.public_score <= high
