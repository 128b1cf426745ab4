"""`queue` and `worker`; this file shows the runs that were left to workers, and is the program of such a worker."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from autokaggle.cli import flags
from autokaggle.cli.program import Program
from autokaggle.errors import UsageError

if TYPE_CHECKING:
    from autokaggle.config import Settings
    from autokaggle.records.run import Run
    from autokaggle.storage.artifacts import RunFolder
    from autokaggle.storage.run_queue import Entry
    from autokaggle.storage.state_store import StateStore

COLUMNS = ("run", "priority", "waiting since", "attempts", "with")


@click.command()
@flags.as_json
@click.pass_obj
def queue(program: Program, /) -> None:
    """List the runs that were left to workers.

    Those at work come first, then those that wait, in the order of their turn.
    """
    from autokaggle.storage.run_queue import RunQueue

    with _open_store(program) as store:
        entries, workers = RunQueue(store).entries(), RunQueue(store).workers()
    if not entries:
        program.tell("The queue is empty. Leave a run to a worker: autokaggle run TARGET --detach")
    elif not workers:
        program.tell("No worker is alive. Start one: autokaggle worker")
    if entries or program.json:
        facts = {"runs": [_facts(entry) for entry in entries], "workers": [asdict(worker) for worker in workers]}
        program.answer(_table(entries), facts)


@click.command()
@click.option("--slots", type=click.IntRange(1, 256), default=1, show_default=True, help="Runs at the same time.")
@click.option("--per-competition", type=click.IntRange(min=1), help="Most runs of one competition at the same time.")
@click.option("--drain", is_flag=True, help="End when the queue is empty.")
@click.option("--once", is_flag=True, help="End after one run.")
@flags.as_json
@click.pass_obj
def worker(program: Program, /, slots: int, per_competition: int | None, drain: bool, once: bool) -> None:
    """Carry out the runs of the queue.

    Goes on until it is stopped; the runs that it was at are then back in the queue. Processors and memory of the
    machine are shared out equally between the slots, over all workers of the machine together.
    """
    from autokaggle.orchestrator.signals import terminate_like_interrupt
    from autokaggle.orchestrator.worker import Worker
    from autokaggle.storage.run_queue import RunQueue

    if drain and once:
        raise UsageError("--drain and --once exclude each other.", "Give one of them.")
    with _open_store(program) as store:
        one = Worker(RunQueue(store), program.settings(), slots, per_competition, program.tell)
        share = one.share()
        program.tell(
            f"worker {one.id}: {slots} at a time, each with {share.count} processors and "
            f"{share.memory_bytes / 1e9:.1f} GB; Ctrl-C stops it"
        )
        with terminate_like_interrupt():
            ended = one.run("once" if once else "drained" if drain else "stopped")
    program.answer(f"{len(ended)} runs carried out.", {"worker": one.id, "runs": [asdict(run) for run in ended]})


def answer_queued(program: Program, settings: Settings, run: Run, folder: RunFolder) -> None:
    """Say that a run waits for a worker, and how to start one when none is alive."""
    from autokaggle.storage.run_queue import RunQueue
    from autokaggle.storage.state_store import StateStore

    with StateStore(settings.state) as store:
        workers = len(RunQueue(store).workers())
    program.answer(
        f"Run {run.id} is queued. Watch it with: autokaggle status {run.id} --watch",
        {"run_id": run.id, "run_dir": str(folder.path), "status": run.status, "workers": workers},
    )
    if not workers:
        program.warn("No worker is alive, so nobody works on it. Start one: autokaggle worker")


def _open_store(program: Program) -> StateStore:
    from autokaggle.storage.state_store import open_state_store

    settings = program.settings()
    return open_state_store(settings.state, settings.runs_dir, program.warn)


def _facts(entry: Entry) -> dict[str, Any]:
    return {**asdict(entry), "folder": str(entry.folder), "worker": entry.worker or None}


def _table(entries: list[Entry]) -> str:
    from autokaggle.cli import text

    cells = [COLUMNS]
    for entry in entries:
        since, place = text.local_time(entry.queued), entry.worker or "nobody"
        cells.append((text.harmless(entry.run_id), str(entry.priority), since, str(entry.attempts), place))
    return text.columns(cells)
