"""What Kaggle says of a competition; this file holds the records of input/competition.json."""

from __future__ import annotations

from typing import Literal

from autokaggle.records.base import Record


class MetricFinding(Record, frozen=True, kw_only=True):
    """Which metric the competition uses, and how surely.

    ``metric`` is an id of ``skills/scoring/metrics``; None when the wording matches no known metric.
    """

    metric: str | None = None
    wording: str = ""
    greater_is_better: bool | None = None
    source: Literal["field", "page", "user", "profile", "default"] = "default"
    confidence: float = 0.0
    evidence: str = ""


class Gate(Record, frozen=True, kw_only=True):
    """One rule of the competition that binds the run, with the sentence that it came from."""

    name: Literal["external_data", "internet", "team_size", "daily_submissions", "winner_licence", "hand_labelling"]
    value: bool | int | str
    sentence: str
    page: str


class SubmissionLimits(Record, frozen=True, kw_only=True):
    """How many submissions a team may send in a day, and how many are left of today's; None where nobody says."""

    daily: int | None = None
    left_today: int | None = None


class DataFile(Record, frozen=True, kw_only=True):
    """One file under ``input/data``; ``name`` is its path there, with forward slashes."""

    name: str
    bytes: int
    sha256: str = ""


class Competition(Record, frozen=True, kw_only=True):
    """What Kaggle (or a local folder) says of a competition; the plan stage adds the agreed columns."""

    version: int = 1
    slug: str
    title: str = ""
    url: str = ""
    category: str = ""
    metric: MetricFinding = MetricFinding()
    deadline: str | None = None
    limits: SubmissionLimits = SubmissionLimits()
    user_has_entered: bool | None = None
    is_code_competition: bool = False
    submissions_disabled: bool = False
    files: tuple[DataFile, ...] = ()
    pages: tuple[str, ...] = ()
    gates: tuple[Gate, ...] = ()
    id_columns: tuple[str, ...] = ()
    target_columns: tuple[str, ...] = ()
    submission_columns: tuple[str, ...] = ()
    sources: dict[str, str] = {}
