"""The wall clock of a run; this file knows how much of the time budget is used and what is kept back for the end.

The budget starts when the download ends. A resumed run goes on with what earlier processes left.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

# What the final ensemble, the checks and the report need, measured on two cores: a share, within bounds.
RESERVED_SHARE = 0.05
RESERVED_MIN_SECONDS = 2.0
RESERVED_MAX_SECONDS = 30.0


class Budget:
    """Count down from ``total_seconds``; ``used_before`` is what earlier processes of the run used."""

    def __init__(self, total_seconds: float, used_before: float = 0.0) -> None:
        self.total_seconds = total_seconds
        self._used_before = used_before
        self._started: float | None = None

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
        return min(max(self.total_seconds * RESERVED_SHARE, RESERVED_MIN_SECONDS), RESERVED_MAX_SECONDS)

    @property
    def left_for_search_seconds(self) -> float:
        return max(0.0, self.left_seconds - self.reserved_seconds)
