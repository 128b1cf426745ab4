"""How far a transfer is; this file turns many small steps, from several threads, into a few reports with a rate."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from autokaggle.records.event import Progress

REPORT_EVERY_SECONDS = 0.2

OnProgress = Callable[[Progress], None]


class Meter:
    """Count bytes towards ``total``; ``done`` are there from an earlier attempt and do not count for the rate."""

    def __init__(self, text: str, on_progress: OnProgress, total: int | None = None, done: int = 0) -> None:
        self._text, self._on_progress, self._total = text, on_progress, total
        self._done = self._from = done
        self._lock = threading.Lock()
        self._started = time.monotonic()
        self._reported = self._started

    def add(self, size: int) -> None:
        """Count ``size`` more bytes, and report when the last report is old enough or nothing is left."""
        with self._lock:
            self._done += size
            now = time.monotonic()
            if now - self._reported < REPORT_EVERY_SECONDS and self._done != self._total:
                return
            self._reported = now
            rate = (self._done - self._from) / max(now - self._started, 1e-3)
            text = f"{self._text} ({rate / 1e6:.1f} MB/s)"
            self._on_progress(Progress(text=text, done=self._done, total=self._total, unit="bytes"))
