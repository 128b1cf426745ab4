"""Who may end this process, and how; this file turns SIGTERM and the death of a parent into an orderly interrupt.

It also knows an interrupt by what libraries make of it.
"""

from __future__ import annotations

import math
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

# What DuckDB raises, as a RuntimeError, when a signal's handler wants an interrupt while it answers a query.
QUERY_INTERRUPTED = "Query interrupted"
# A worker that stops sends SIGTERM and closes the pipe of `end_with_parent`: two signals for one wish.
SECONDS_OF_ONE_WISH = 5.0


def is_interrupt(error: BaseException) -> bool:
    """Say whether an error is Ctrl-C, or SIGTERM treated like it, as Python or a library tells of it."""
    is_of_query = type(error) is RuntimeError and str(error) == QUERY_INTERRUPTED
    return isinstance(error, KeyboardInterrupt) or is_of_query


class _Interrupt:
    """A handler that raises what Ctrl-C raises.

    A signal that follows within ``SECONDS_OF_ONE_WISH`` says the same again, and must not cut short what the first one
    brought about; a later one is an interrupt of its own, so that an end that hangs can be ended.
    """

    def __init__(self) -> None:
        self._heard = -math.inf

    def __call__(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if now - self._heard >= SECONDS_OF_ONE_WISH:
            self._heard = now
            raise KeyboardInterrupt(number)


@contextmanager
def terminate_like_interrupt() -> Iterator[None]:
    """Treat SIGTERM as Ctrl-C; where that is so already, and outside of the main thread, nothing changes."""
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or isinstance(signal.getsignal(signal.SIGTERM), _Interrupt):
        yield
        return
    interrupt = _Interrupt()
    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGTERM) is interrupt:
            signal.signal(signal.SIGTERM, before)


def hear_no_more() -> None:
    """Ignore Ctrl-C and SIGTERM from now on: the process ends anyway, and a trace would tell nobody anything."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def end_with_parent(descriptor: int = 0) -> None:
    """Interrupt this process when the pipe at ``descriptor`` closes, as it does when its parent dies in any way."""

    def wait() -> None:
        while os.read(descriptor, 1):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="end with parent", daemon=True).start()
