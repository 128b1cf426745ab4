"""When boosting ends; this file watches the loss on rows that do not train, and the clock.

Of few rows those that tell when to stop are flattered by it: how many rounds a fold's model keeps is for the other
folds to say.

Used by every boosting family, so that "no gain for so many rounds" and "time is over" mean the same in each. Where
the time is too short for a configuration's small steps, the steps become larger: half the trees that small steps need
are a worse model than all that larger ones need.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

import clock

# After so many rounds it is known how long one takes.
PROBED_ROUNDS = 10
# Small steps of this sum are about what boosting needs before the watched rows stop gaining.
USUAL_PATH = 25.0
MOST_FASTER = 6.0
LARGEST_RATE = 0.3


class Stopping:
    """Tell after each round whether to go on; ``best_round`` counts from 1.

    ``faster`` is by how much the learning rate must grow after ``PROBED_ROUNDS`` for the fit to end in time, 1.0 when
    it need not; a fit that is repeated gives what it was the first time.
    """

    def __init__(self, patience: int, end: float, rate: float, faster: float | None = None) -> None:
        self.patience = patience
        self.end = end
        self.rate = rate
        self.best_round = 0
        self.best_loss = math.inf
        self.losses: list[float] = []
        self.rounds = 0
        self.out_of_time = False
        self.faster = faster or 1.0
        self._is_known = faster is not None or not math.isfinite(end)
        self._first_ended = 0.0

    def is_over(self, loss: float | None) -> bool:
        """Take note of one more round and its loss (None when nothing is watched)."""
        self.rounds += 1
        if loss is not None:
            self.losses.append(loss)
        if loss is None or loss < self.best_loss:
            self.best_round = self.rounds
            self.best_loss = self.best_loss if loss is None else loss
        if self.rounds == 1:
            self._first_ended = time.time()
        if self.rounds == PROBED_ROUNDS and not self._is_known:
            self.faster = self._needed_growth()
        self.out_of_time = clock.is_over(self.end)
        return self.out_of_time or self.rounds - self.best_round >= self.patience

    @property
    def new_rate(self) -> float | None:
        """The learning rate for the rounds to come, where it has to change now."""
        return self.rate * self.faster if self.rounds == PROBED_ROUNDS and self.faster > 1 else None

    @property
    def replay(self) -> dict[str, Any]:
        """What makes the same fit without a clock: empty when the clock decided nothing."""
        paced = {"faster": self.faster} if self.faster > 1 else {}
        return {"rounds": self.rounds, "faster": self.faster} if self.out_of_time else paced

    @property
    def note(self) -> str:
        """Say how many rounds are kept, and why not more."""
        loss = "" if math.isinf(self.best_loss) else f", loss {self.best_loss:.5f}"
        steps = f", steps {self.faster:.1f} times as large" if self.faster > 1 else ""
        return f"{self.best_round} trees{loss}{steps}{', time over' if self.out_of_time else ''}"

    def _needed_growth(self) -> float:
        now = time.time()
        seconds_per_round = max(1e-6, (now - self._first_ended) / (PROBED_ROUNDS - 1))
        possible = max(1.0, (self.end - now) / seconds_per_round)
        most = max(1.0, min(MOST_FASTER, LARGEST_RATE / self.rate))
        return round(min(most, max(1.0, USUAL_PATH / self.rate / possible)), 2)


def are_comparable(replays: Sequence[Mapping[str, Any]]) -> bool:
    """Say whether the clock let all fits take steps of one size: then a round is the same to each."""
    return len({replay.get("faster", 1.0) for replay in replays}) == 1


def best_together(curves: Sequence[Sequence[float]]) -> int:
    """Return the number of rounds with the least loss of several fits together, each relative to its first loss.

    A fit that ended earlier counts with its last loss. One that had no loss to begin with says nothing; where none says
    anything, the longest is kept whole.
    """
    longest = max(map(len, curves))
    telling = [np.asarray(curve) for curve in curves if curve[0] > 0]
    if not telling:
        return longest
    relative = [np.pad(curve / curve[0], (0, longest - len(curve)), mode="edge") for curve in telling]
    return int(np.argmin(np.mean(relative, axis=0))) + 1


def best_of_others(curves: Sequence[Sequence[float]]) -> list[int]:
    """Return for each of several folds' fits, two at least, how many rounds were best for all the others together."""
    return [best_together([*curves[:place], *curves[place + 1 :]]) for place in range(len(curves))]
