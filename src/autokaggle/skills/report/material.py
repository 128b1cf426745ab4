"""What the page is made from; this file holds records and arrays, all of them found elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from autokaggle.records.candidate import Candidate
from autokaggle.records.competition import Competition
from autokaggle.records.data_profile import DataProfile
from autokaggle.records.outcome import Ensemble, Importance, Metrics
from autokaggle.records.plan import Decisions
from autokaggle.records.run import Run

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class GroupScore:
    """The score of the rows in which a column has one value."""

    value: str
    rows: int
    score: float


@dataclass(frozen=True)
class GroupScores:
    """One column's values with the score of each, the commonest value first."""

    column: str
    groups: tuple[GroupScore, ...]


@dataclass(frozen=True)
class Predictions:
    """What was predicted for train rows by models that had not seen them.

    ``truth`` is (n_rows, targets): numbers, or the label's position. ``oof`` is (n_rows, prediction columns).
    ``decided`` has for each target the position of the label that was answered, None where values are handed in.
    ``folds`` is the fold of each row, ``times`` seconds since 1970 (None without a time).
    """

    truth: Floats
    oof: Floats
    decided: tuple[Integers | None, ...]
    folds: Integers
    times: Floats | None = None
    groups: tuple[GroupScores, ...] = ()


@dataclass(frozen=True)
class ReportMaterial:
    """Everything that the page shows; ``gpu_members`` are the published candidates that were set to."""

    run: Run
    competition: Competition
    profile: DataProfile
    decisions: Decisions
    candidates: Sequence[Candidate]
    metrics: Metrics | None
    predictions: Predictions | None = None
    importance: Importance | None = None
    gpu_members: Sequence[str] = ()
    metric_titles: Mapping[str, str] = field(default_factory=dict)
    # Title and HTML of what plugins add; they have made it safe.
    sections: Sequence[tuple[str, str]] = ()

    @property
    def metric_title(self) -> str:
        """The metric's name for people."""
        name = self.metrics.metric if self.metrics else ""
        return self.metric_titles.get(name, name.replace("_", " "))

    @property
    def ensemble(self) -> Ensemble | None:
        return self.run.ensemble
