"""`status` and `logs`; this file shows what a run does and did, from its folder, without disturbing it."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from autokaggle.cli import flags
from autokaggle.cli.program import Program
from autokaggle.errors import UsageError

if TYPE_CHECKING:
    from autokaggle.cli.run_view import RunView
    from autokaggle.records.run import Run
    from autokaggle.storage.artifacts import RunFolder

SECONDS_BETWEEN_LOOKS = 0.5
NOT_OVER = ("created", "queued", "running", "waiting")
NO_MORE_THAN = 100


@click.command()
@flags.run_reference
@click.option("--watch", is_flag=True, help="Keep showing until the run ends.")
@flags.runs_dir
@flags.as_json
@click.pass_obj
def status(program: Program, /, run: str, watch: bool, runs_dir: Path | None) -> None:
    """Show how far a run is.

    Shows stages, candidates, the best score and the time left.
    """
    from autokaggle.storage.run_folders import read_run

    folder = program.find_run(run, runs_dir)
    if watch and not program.json:
        _watch(folder)
        return
    while watch and _goes_on(folder):
        time.sleep(SECONDS_BETWEEN_LOOKS)
    record = read_run(folder)
    view = view_of(folder)
    if program.json:
        from autokaggle.cli.results import run_facts

        program.answer("", {**run_facts(record, folder), **view_facts(view)})
    else:
        _draw(view, record)


@click.command()
@flags.run_reference
@click.option("--follow", "-f", is_flag=True, help="Keep showing until the run ends.")
@click.option("--candidate", help="Show this candidate, c001 for one: what it changed, and what it printed.")
@flags.runs_dir
@click.pass_obj
def logs(program: Program, /, run: str, follow: bool, candidate: str | None, runs_dir: Path | None) -> None:
    """Show the log of a run or of a candidate.

    Below a run's log stand its candidates, each under the one that it changes.
    """
    from shutil import get_terminal_size

    from autokaggle.cli.candidates import candidate_text, tree_text
    from autokaggle.cli.text import log_line

    folder = program.find_run(run, runs_dir)
    path = folder.run_log if candidate is None else _candidate_log(folder, candidate)
    if candidate is not None and (told := candidate_text(folder, candidate)):
        print(f"{told}\n\n== {path.name}", flush=follow)
    for line in _lines(folder, path, follow=follow):
        print(log_line(line), flush=follow)
    if candidate is None and (tree := tree_text(folder, get_terminal_size().columns)):
        print(f"\n== candidates\n{tree}")


def view_of(folder: RunFolder) -> RunView:
    """Make the picture from events.jsonl, corrected by the run's record, which knows how the run stands now."""
    from autokaggle.cli.run_view import RunView
    from autokaggle.storage.run_folders import read_run
    from autokaggle.storage.tail import Tail, decode_events

    view = RunView().apply_all(decode_events(Tail(folder.events).new_lines()))
    view.correct(read_run(folder))
    return view


def view_facts(view: RunView) -> dict[str, Any]:
    """Return what `status --json` knows beyond the run's result."""
    from dataclasses import asdict

    now = time.time()
    return {
        "elapsed_seconds": round(view.elapsed(now), 3),
        "left_seconds": None if (left := view.left(now)) is None else round(left, 3),
        "stages": [
            {"name": stage.name, "status": stage.mark, "seconds": stage.seconds} for stage in view.stages.values()
        ],
        "best": asdict(view.best) if view.best else None,
        "candidates": [asdict(candidate) for candidate in view.candidates.values()],
        "warnings": view.warnings,
    }


def _draw(view: RunView, record: Run) -> None:
    from rich.console import Console

    from autokaggle.cli.drawing import RunDrawing
    from autokaggle.cli.text import harmless

    console = Console(file=sys.stdout, highlight=False, markup=False, emoji=False)
    for warning in view.warnings:
        console.print(f"warning: {warning}", style="yellow")
    console.print(RunDrawing(view, time.time(), most=NO_MORE_THAN))
    if record.error:
        console.print(harmless(record.error), style="red")
    if record.status == "interrupted":
        console.print(f"Interrupted. Go on with: autokaggle resume {record.id}")


def _watch(folder: RunFolder) -> None:
    from autokaggle.cli.screen import open_screen
    from autokaggle.storage.run_folders import read_run
    from autokaggle.storage.tail import Tail, decode_events

    events = Tail(folder.events)
    with open_screen(sys.stdout) as screen:
        goes_on = True
        while goes_on:
            # Asked before the events are read, so that the last ones are not missed.
            goes_on = _goes_on(folder)
            for event in decode_events(events.new_lines()):
                screen(event)
            screen.view.correct(read_run(folder))
            if goes_on:
                time.sleep(SECONDS_BETWEEN_LOOKS)


def _goes_on(folder: RunFolder) -> bool:
    """Say whether more may come: a process that has written how the run ended still tells it before it lets go."""
    from autokaggle.storage.run_folders import is_at_work, read_run

    return read_run(folder).status in NOT_OVER or is_at_work(folder)


def _candidate_log(folder: RunFolder, candidate: str) -> Path:
    found = folder.candidate(candidate)
    if not found.path.is_dir():
        known = ", ".join(one.id for one in folder.all_candidates()[:NO_MORE_THAN]) or "none yet"
        raise UsageError(f"Run {folder.id} has no candidate {candidate}.", f"Candidates: {known}.")
    return found.log


def _lines(folder: RunFolder, path: Path, *, follow: bool) -> Iterator[bytes]:
    """Yield the lines of a log; while ``follow``, go on as long as the run is at work."""
    from autokaggle.storage.tail import Tail

    tail = Tail(path)
    while follow and _goes_on(folder):
        yield from tail.new_lines()
        time.sleep(SECONDS_BETWEEN_LOOKS)
    yield from tail.new_lines(also_unfinished=True)
