"""A sign of life; this file saves the time used every few seconds, so that a killed run cannot spend it twice."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from autokaggle.errors import DiskTrouble
from autokaggle.orchestrator.context import RunContext

PERIOD_SECONDS = 5.0


@contextmanager
def heartbeat(context: RunContext) -> Iterator[None]:
    """Save the run's record every ``PERIOD_SECONDS`` while the block runs, and tell how much time is left."""
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(PERIOD_SECONDS):
            # On a full disk the sign is left out; what the run itself has to write will tell of it.
            with contextlib.suppress(DiskTrouble, OSError):
                context.save()
            budget = context.budget
            context.journal.tell("budget", left_seconds=budget.left_seconds, used_seconds=budget.used_seconds)

    thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
