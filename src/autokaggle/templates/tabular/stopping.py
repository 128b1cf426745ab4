"""When boosting ends; this file watches the loss on rows that do not train, and the clock.

Used by every boosting family, so that "no gain for so many rounds" and "time is over" mean the same in each.
"""

from __future__ import annotations

import math

import clock


class Stopping:
    """Tell after each round whether to go on; ``best_round`` counts from 1."""

    def __init__(self, patience: int, end: float) -> None:
        self.patience = patience
        self.end = end
        self.best_round = 0
        self.best_loss = math.inf
        self.rounds = 0
        self.out_of_time = False

    def is_over(self, loss: float | None) -> bool:
        """Take note of one more round and its loss (None when nothing is watched)."""
        self.rounds += 1
        if loss is None or loss < self.best_loss:
            self.best_round = self.rounds
            self.best_loss = self.best_loss if loss is None else loss
        self.out_of_time = clock.is_over(self.end)
        return self.out_of_time or self.rounds - self.best_round >= self.patience

    @property
    def cut_at(self) -> int:
        """How many rounds were done when the time was over, 0 when it was not."""
        return self.rounds if self.out_of_time else 0

    @property
    def note(self) -> str:
        """Say how many rounds are kept, and why not more."""
        loss = "" if math.isinf(self.best_loss) else f", loss {self.best_loss:.5f}"
        return f"{self.best_round} trees{loss}{', time over' if self.out_of_time else ''}"
