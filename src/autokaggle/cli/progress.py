"""How far one longer step is; this file shows it on stderr while a command other than a run is at work."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator

from autokaggle.cli import text
from autokaggle.cli.program import Program
from autokaggle.cli.screen import PlainScreen, is_terminal
from autokaggle.records.event import Event, Progress

OnProgress = Callable[[Progress], None]


@contextlib.contextmanager
def shown_progress(program: Program) -> Iterator[OnProgress]:
    """Yield a function that shows progress: a bar in a terminal, now and then a line elsewhere, nothing when quiet."""
    if program.quiet:
        yield lambda progress: None
    elif is_terminal(sys.stderr):
        with _bar() as on_progress:
            yield on_progress
    else:
        with PlainScreen(sys.stderr) as screen:
            yield lambda progress: screen(_event(progress))


@contextlib.contextmanager
def _bar() -> Iterator[OnProgress]:
    from rich.console import Console
    from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    console = Console(stderr=True, highlight=False, markup=False, emoji=False)
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(16), TimeElapsedColumn())
    with Bars(*columns, console=console, transient=True) as bars:
        task = bars.add_task("", total=None)
        yield lambda progress: bars.update(
            task, description=text.harmless(progress.text), completed=progress.done, total=progress.total
        )


def _event(progress: Progress) -> Event:
    from autokaggle.orchestrator.journal import utc_now

    fields = {"text": progress.text, "done": progress.done, "total": progress.total, "unit": progress.unit}
    return Event(time=utc_now(), kind="progress", fields=fields)
