"""The wall clock of a run; this file knows how much of the time budget is used and what is kept back for the end.

The budget starts when the download ends. A resumed run goes on with what earlier processes left. On a busy machine the
end takes longer: by as much as our own work before it did.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

# What the final ensemble, the checks and the report need, measured on two cores: a share, within bounds.
RESERVED_SHARE = 0.05
RESERVED_MIN_SECONDS = 2.0
RESERVED_MAX_SECONDS = 30.0
# The end takes about so much processor time, and on a busy machine many times that by the clock; most of the budget is
# for the search all the same.
END_SECONDS = 3.0
RESERVED_LARGEST_SHARE = 0.3
# A candidate that works beside us is no busy machine.
USUAL_SLOWNESS = 1.5
FADING = 0.5


class Budget:
    """Count down from ``total_seconds``; ``used_before`` is what earlier processes of the run used."""

    def __init__(self, total_seconds: float, used_before: float = 0.0) -> None:
        self.total_seconds = total_seconds
        self._used_before = used_before
        self._started: float | None = None
        self._work_seconds = 0.0
        self._work_processor_seconds = 0.0

    def start(self) -> None:
        """Start the clock; a second call changes nothing."""
        if self._started is None:
            self._started = time.monotonic()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Stop the clock while a person thinks."""
        was_running = self._started is not None
        self._used_before, self._started = self.used_seconds, None
        try:
            yield
        finally:
            if was_running:
                self.start()

    @contextmanager
    def measured(self) -> Iterator[None]:
        """Take note of how long our own work inside takes; nothing in it may wait for others."""
        began, processor_began = time.monotonic(), time.process_time()
        yield
        self.note_work(time.monotonic() - began, time.process_time() - processor_began)

    def note_work(self, seconds: float, processor_seconds: float) -> None:
        """Take note of work that took ``seconds`` by the clock; what is longer ago counts less."""
        self._work_seconds = FADING * self._work_seconds + seconds
        self._work_processor_seconds = FADING * self._work_processor_seconds + processor_seconds

    @property
    def slowness(self) -> float:
        """How many times longer our work takes than on a machine that has nothing else to do, 1 at least."""
        if not self._work_processor_seconds:
            return 1.0
        return max(1.0, self._work_seconds / self._work_processor_seconds / USUAL_SLOWNESS)

    @property
    def used_seconds(self) -> float:
        running = 0.0 if self._started is None else time.monotonic() - self._started
        return self._used_before + running

    @property
    def left_seconds(self) -> float:
        return max(0.0, self.total_seconds - self.used_seconds)

    @property
    def reserved_seconds(self) -> float:
        """What is kept back for the ensemble, the submission and the report."""
        usual = min(max(self.total_seconds * RESERVED_SHARE, RESERVED_MIN_SECONDS), RESERVED_MAX_SECONDS)
        slow = usual + END_SECONDS * (self.slowness - 1)
        return max(usual, min(slow, self.total_seconds * RESERVED_LARGEST_SHARE))

    @property
    def left_for_search_seconds(self) -> float:
        return max(0.0, self.left_seconds - self.reserved_seconds)
