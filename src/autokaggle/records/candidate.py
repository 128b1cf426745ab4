"""What was tried; this file holds the records of candidates/cNNN/candidate.json, and a search as proposers see it."""

from __future__ import annotations

from typing import Any, Literal

from autokaggle.records.base import Record
from autokaggle.records.data_profile import DataProfile
from autokaggle.records.plan import Plan
from autokaggle.records.sandbox import StepResult

CandidateStatus = Literal["proposed", "running", "scored", "failed", "leaking"]
Sealing = Literal["open", "sealed", "unsealed"]
Operator = Literal["draft", "improve", "debug", "fuse"]


class Proposal(Record, frozen=True, kw_only=True):
    """A pipeline to try: ``config`` overrides the template's, ``files`` replace or add files of ``code/``."""

    operator: Operator = "draft"
    title: str
    family: str
    hypothesis: str = ""
    parent: str | None = None
    config: dict[str, Any] = {}
    files: dict[str, str] = {}
    requirements: tuple[str, ...] = ()
    author: Literal["portfolio", "model", "plugin"] = "portfolio"
    expected_seconds: float | None = None


class Score(Record, frozen=True, kw_only=True):
    """A value of the competition's metric from out-of-fold predictions.

    ``low`` and ``high`` bound the score to expect on the test set (95 %).
    """

    metric: str
    greater_is_better: bool
    mean: float
    std: float
    folds: tuple[float, ...]
    low: float
    high: float


class Check(Record, frozen=True, kw_only=True):
    """One part of an audit and what it found; a *leak* puts the candidate out."""

    name: str
    status: Literal["ok", "warn", "leak"]
    detail: str


class Gain(Record, frozen=True, kw_only=True):
    """How much better a candidate scores than ``over`` (an id) on the same rows; negative when worse.

    ``error`` is the standard error of ``value``; ``is_noise`` says that a gain of this size may well be chance.
    ``loss_errors`` is the gain of the smooth loss behind the metric, which is steadier, in its standard errors.
    """

    over: str
    value: float
    error: float
    is_noise: bool
    loss_errors: float = 0.0


class Candidate(Record, frozen=True, kw_only=True):
    """One proposal and what came of it; ``gains`` are over its parent, and over the best single one before it.

    ``sealing`` says what the code saw of the labels that it was scored on: nothing (*sealed*: one run per fold), or all
    of them, since it was written here (*open*) or cannot be sealed (*unsealed*: it counts only by the audit).
    ``ensemble_gain`` is the share by which it lowered the loss of what would be handed in; None until that was asked.
    """

    version: int = 1
    id: str
    proposal: Proposal
    status: CandidateStatus
    reason: str = ""
    score: Score | None = None
    sealing: Sealing = "open"
    steps: tuple[StepResult, ...] = ()
    seconds: float = 0.0
    verdict: str = ""
    code_sha256: str = ""
    gains: tuple[Gain, ...] = ()
    ensemble_gain: float | None = None
    audit: tuple[Check, ...] = ()


class Search(Record, frozen=True, kw_only=True):
    """A search as a proposer sees it.

    ``candidates`` are finished, in the order in which they were made; ``running`` are at work; ``declined`` are not
    started because what is left of the time would not be enough. None of the three need be proposed again.
    ``missing`` are requirements that the environment does not hold, or not yet: who needs one has to wait.
    ``is_improvement`` says that the run was finished before, and goes on: what is usual was tried.
    """

    plan: Plan
    profile: DataProfile
    seconds_left: float
    candidates: tuple[Candidate, ...] = ()
    running: tuple[Proposal, ...] = ()
    declined: tuple[Proposal, ...] = ()
    missing: tuple[str, ...] = ()
    is_improvement: bool = False
