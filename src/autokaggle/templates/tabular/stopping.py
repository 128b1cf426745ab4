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
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

import clock

Floats = npt.NDArray[np.float64]

# After so many rounds it is known how long one takes.
PROBED_ROUNDS = 10
# Small steps of this sum are about what boosting needs before the watched rows stop gaining.
USUAL_PATH = 25.0
MOST_FASTER = 6.0
LARGEST_RATE = 0.3


@dataclass(frozen=True)
class Curve:
    """How the loss of the watched rows fell: after each round the loss, and how far boosting had come.

    ``reached`` counts rounds at the configured rate: one whose steps are twice as large goes two of them.
    """

    losses: tuple[float, ...]
    reached: tuple[float, ...]

    def at(self, places: Floats) -> Floats:
        """Return the loss at each of ``places``; beyond the last round it is that of the last."""
        found: Floats = np.interp(places, self.reached, self.losses)
        return found

    def rounds_to(self, place: float) -> int:
        """Return the number of rounds, at least one, that come nearest to ``place``."""
        return int(np.argmin(np.abs(np.asarray(self.reached) - place))) + 1


class Stopping:
    """Tell after each round whether to go on; ``best_round`` counts from 1.

    It is told how far boosting may come in ``rounds`` at the configured ``rate``, how many rounds it may go on without
    a gain (``patience``), and the moment at which it must stop (``end``, seconds since 1970). ``faster`` is by how much
    the learning rate must grow after ``PROBED_ROUNDS`` (with ``from_the_start`` it has grown before the first) for the
    fit to end in time, 1.0 when it need not; a fit that is repeated gives what it was the first time.
    """

    def __init__(
        self,
        rounds: float,
        patience: int,
        end: float,
        rate: float,
        faster: float | None = None,
        *,
        from_the_start: bool = False,
    ) -> None:
        self.most = rounds
        self.patience = patience
        self.end = end
        self.rate = rate
        self.best_round = 0
        self.best_loss = math.inf
        self.losses: list[float] = []
        self.reached: list[float] = []
        self.out_of_time = False
        self.faster = faster or 1.0
        self._is_known = faster is not None or not math.isfinite(end)
        self._slow_rounds = 0 if from_the_start else PROBED_ROUNDS
        self._first_ended = 0.0

    def is_over(self, loss: float | None) -> bool:
        """Take note of one more round and its loss (None when nothing is watched)."""
        before = self.reached[-1] if self.reached else 0.0
        self.reached.append(before + (self.faster if self.rounds >= self._slow_rounds else 1.0))
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
        is_done = self.reached[-1] >= self.most or self.rounds - self.best_round >= self.patience
        return self.out_of_time or is_done

    @property
    def rounds(self) -> int:
        """How many rounds there were."""
        return len(self.reached)

    @property
    def curve(self) -> Curve | None:
        """How the loss fell; none where nothing is watched."""
        return Curve(tuple(self.losses), tuple(self.reached)) if self.losses else None

    @property
    def new_rate(self) -> float | None:
        """The learning rate for the rounds to come, where it has to change now."""
        return self.rate * self.faster if self.rounds == PROBED_ROUNDS and self.faster > 1 else None

    @property
    def replay(self) -> dict[str, Any]:
        """What makes the same fit without a clock: empty when the clock decided nothing."""
        paced = {"faster": self.faster} if self.faster > 1 else {}
        return {"rounds": self.reached[-1], "faster": self.faster} if self.out_of_time else paced

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


def best_together(curves: Sequence[Curve]) -> int:
    """Return where, in rounds at the configured rate, several fits together have the least loss.

    Each counts relative to its first loss, and one that ended earlier with its last. One that had no loss to begin with
    says nothing; where none says anything, the one that came farthest is kept whole.
    """
    farthest = math.ceil(max(curve.reached[-1] for curve in curves))
    telling = [curve for curve in curves if curve.losses[0] > 0]
    if not telling:
        return farthest
    places = np.arange(1.0, farthest + 1)
    return int(np.argmin(np.mean([curve.at(places) / curve.losses[0] for curve in telling], axis=0))) + 1


def best_of_others(curves: Sequence[Curve]) -> list[int]:
    """Return for each of several folds' fits, two at least, where all the others together have the least loss."""
    return [best_together([*curves[:place], *curves[place + 1 :]]) for place in range(len(curves))]
