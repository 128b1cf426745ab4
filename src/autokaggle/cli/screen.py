"""The display of a run on stderr; this file shows its events live in a terminal, and as lines elsewhere.

A display that cannot be written to falls silent: it never ends a run.
"""

from __future__ import annotations

import datetime as dt
import os
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self, TextIO

import msgspec

from autokaggle.cli.event_lines import describe
from autokaggle.cli.run_view import RunView
from autokaggle.records.event import Event

if TYPE_CHECKING:
    from autokaggle.cli.drawing import RunDrawing

REFRESHES_PER_SECOND = 4
SECONDS_BETWEEN_PROGRESS_LINES = 5.0
STAYING_KINDS = {"warning": "yellow", "info": "dim"}


class Screen(Protocol):
    """A listener to a run's events that holds the terminal while it is open."""

    view: RunView

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def __call__(self, event: Event) -> None: ...

    def pause(self) -> AbstractContextManager[None]:
        """Leave the terminal to somebody else while the block runs."""
        ...


def open_screen(stream: TextIO, view: RunView | None = None, *, quiet: bool = False, tells_why: bool = True) -> Screen:
    """Choose the display that fits the call and the terminal; ``view`` is what is known of the run already.

    ``tells_why`` a run failed: not where the caller's last words do.
    """
    view = view or RunView()
    if quiet:
        return PlainScreen(stream, view, only=("warning",))
    return LiveScreen(stream, view) if is_terminal(stream) else PlainScreen(stream, view, tells_why=tells_why)


def is_terminal(stream: TextIO) -> bool:
    """Say whether lines on ``stream`` can be drawn over."""
    return stream.isatty() and os.environ.get("TERM", "") not in ("", "dumb")


class PlainScreen:
    """One line an event, with the time of day; for logs and pipes."""

    def __init__(
        self,
        stream: TextIO,
        view: RunView | None = None,
        only: Collection[str] = (),
        tells_why: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.view = view or RunView()
        self._stream = stream
        self._only = only
        self._tells_why = tells_why
        self._clock = clock
        self._last_progress: float | None = None
        self._is_closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def __call__(self, event: Event) -> None:
        self.view.apply(event)
        if self._is_closed or (self._only and event.kind not in self._only):
            return
        is_told_elsewhere = event.kind == "run_finished" and not self._tells_why
        line = describe(msgspec.structs.replace(event, message="") if is_told_elsewhere else event)
        if not line or (event.kind == "progress" and not self._is_due()):
            return
        try:
            self._stream.write(f"{time_of_day(event)} {line}\n")
            self._stream.flush()
        except (OSError, ValueError):
            self._is_closed = True

    def pause(self) -> AbstractContextManager[None]:
        return nullcontext()

    def _is_due(self) -> bool:
        now = self._clock()
        if self._last_progress is not None and now - self._last_progress < SECONDS_BETWEEN_PROGRESS_LINES:
            return False
        self._last_progress = now
        return True


class LiveScreen:
    """The picture of the run, redrawn in place; warnings stay above it."""

    def __init__(self, stream: TextIO, view: RunView | None = None) -> None:
        from rich.console import Console
        from rich.live import Live
        from rich.spinner import Spinner

        self.view = view or RunView()
        self._spinner = Spinner("dots", style="cyan")
        self._console = Console(file=stream, highlight=False, markup=False, emoji=False)
        self._new_live = partial(
            Live,
            get_renderable=self._draw,
            console=self._console,
            refresh_per_second=REFRESHES_PER_SECOND,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._live = self._new_live()

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    @contextmanager
    def pause(self) -> Iterator[None]:
        self._live.stop()
        try:
            yield
        finally:
            # The old one would draw over what was said since: it remembers how many lines it had.
            self._live = self._new_live()
            self._live.start()

    def __call__(self, event: Event) -> None:
        self.view.apply(event)
        if event.kind in STAYING_KINDS:
            self._console.print(describe(event), style=STAYING_KINDS[event.kind])

    def _draw(self) -> RunDrawing:
        from autokaggle.cli.drawing import RunDrawing

        return RunDrawing(self.view, time.time(), self._spinner)


def time_of_day(event: Event) -> str:
    """``13:05:59`` in the reader's time zone."""
    try:
        return dt.datetime.fromisoformat(event.time).astimezone().strftime("%H:%M:%S")
    except ValueError:
        return "--:--:--"
