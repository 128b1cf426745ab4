"""The seasonal naive forecast; this file predicts the baseline itself: what was measured a season ago."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from encoding import Matrix
from models import Floats, Task


@dataclass
class Seasonal:
    """No departure from the baseline, or the mean one."""

    departure: float
    note: str
    replay: dict[str, Any] = field(default_factory=dict)
    rounds: int = 0

    def predict(self, x: Matrix) -> Floats:
        return np.full((len(x), 1), self.departure)


def fit(task: Task) -> Seasonal:
    """Learn how far rows were above the baseline in the middle, as far as a forecast looked."""
    departure = float(np.median(task.rows.y)) if len(task.rows.y) else 0.0
    return Seasonal(departure, f"{departure:+.4f} beside the season before")
