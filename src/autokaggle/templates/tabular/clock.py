"""Time limits; this file shares what is left until the deadline among the fits still to do.

``AUTOKAGGLE_DEADLINE`` is the moment (seconds since 1970) by which the last script must have written its files.
Without it, and without a limit of the pipeline's own, there is none.
"""

from __future__ import annotations

import math
import os
import threading
import time

# The last predictions and writing need time after the last fit: a share of what there is, and about what reading and
# preparing took, which on a busy machine is much longer than on a free one.
RESERVE_SHARE = 0.12
RESERVE_SECONDS = 0.5
STARTED = time.time()
# Steps between two looks at the clock, fewer where one takes long: by size alone, so that a repeated fit is the same.
STEPS_PER_LOOK, FEWEST_STEPS_PER_LOOK = 50, 5
CELLS_PER_LOOK = 1_000_000_000


class FitClock:
    """Hand out an end to each of ``fits``, of which ``parallel`` run at once, then to ``alone`` fits one by one.

    All of them together may take ``most_seconds``, None for no such limit.
    """

    def __init__(self, fits: int, parallel: int, alone: int = 0, most_seconds: float | None = None) -> None:
        self._left = fits
        self._parallel = parallel
        self._alone = alone
        self._lock = threading.Lock()
        deadline = os.environ.get("AUTOKAGGLE_DEADLINE")
        now = time.time()
        reserve = RESERVE_SECONDS + now - STARTED
        self._end = now + (1 - RESERVE_SHARE) * (float(deadline) - now) - reserve if deadline else math.inf
        if most_seconds is not None:
            self._end = min(self._end, now + most_seconds)

    @property
    def is_running(self) -> bool:
        """Whether there is an end at all."""
        return math.isfinite(self._end)

    def next_end(self) -> float:
        """Return the moment at which the fit that starts now must stop, infinity when there is no limit.

        A fit that ends early leaves its time to the later ones.
        """
        with self._lock:
            waves = math.ceil(self._left / self._parallel) + self._alone
            if self._left:
                self._left -= 1
            else:
                self._alone -= 1
        now = time.time()
        return now + max(0.0, self._end - now) / max(1, waves)


def is_over(end: float) -> bool:
    """Say whether the moment ``end`` has passed."""
    return time.time() >= end


def steps_per_look(cells: int) -> int:
    """Return how many steps, each through so many cells, are taken between two looks at the clock."""
    return min(STEPS_PER_LOOK, max(FEWEST_STEPS_PER_LOOK, CELLS_PER_LOOK // max(1, cells)))
