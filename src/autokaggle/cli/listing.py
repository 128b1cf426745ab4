"""`runs`; this file lists the runs that the index knows, and makes the index anew."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from autokaggle.cli import flags
from autokaggle.cli.program import Program
from autokaggle.errors import AutoKaggleError

if TYPE_CHECKING:
    from autokaggle.storage.state_rows import RunRow

COLUMNS = ("run", "created", "status", "candidates", "score")


@click.command()
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    default=20,
    show_default=True,
    help="Show so many; 0 shows all.",
)
@click.option("--rebuild", is_flag=True, help="Make the index of runs anew from their folders.")
@flags.runs_dir
@flags.as_json
@click.pass_obj
def runs(program: Program, /, limit: int, rebuild: bool, runs_dir: Path | None) -> None:
    """List the runs, newest first."""
    from autokaggle.storage.state_store import open_state_store, rebuild_state_store

    settings = program.settings(runs_dir)
    if rebuild:
        rebuilt = rebuild_state_store(settings.state, settings.runs_dir, program.warn)
        program.tell(f"{rebuilt.runs} runs read from {settings.runs_dir}.")
        for problem in rebuilt.problems:
            program.warn(problem)
    with open_state_store(settings.state, settings.runs_dir, program.warn) as store:
        rows = [_facts(row) for row in store.runs(limit or None)]
    if not rows:
        program.tell("No runs yet. Start one: autokaggle run TARGET")
    if rows or program.json:
        program.answer(_table(rows), {"runs": rows})


def _facts(row: RunRow) -> dict[str, Any]:
    return {
        "run_id": row.id,
        "run_dir": str(row.folder),
        "slug": row.slug,
        "target": row.target,
        "created": row.created,
        "status": _status(row),
        "isolation": row.isolation,
        "candidates": row.candidates,
        "metric": row.metric,
        "greater_is_better": row.greater_is_better,
        "cv": None if row.score is None else {"mean": row.score, "low": row.score_low, "high": row.score_high},
        "error": row.error,
    }


def _status(row: RunRow) -> str:
    """Look at the folder of a run that was last seen at work: its process may have been killed, its folder removed."""
    from autokaggle.storage.artifacts import RunFolder
    from autokaggle.storage.run_folders import AT_WORK, read_run

    folder = RunFolder(row.folder)
    if not folder.record.is_file():
        return "folder gone"
    try:
        return read_run(folder).status if row.status in AT_WORK else row.status
    except AutoKaggleError:
        return "damaged"


def _table(rows: list[dict[str, Any]]) -> str:
    from autokaggle.cli import text

    cells = [COLUMNS, *(_cells(row) for row in rows)]
    return text.columns(cells)


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    from autokaggle.cli import text

    score = ""
    if row["cv"]:
        score = f"{row['metric']} {text.number(row['cv']['mean'])}"
    created = text.local_time(row["created"])
    return text.harmless(row["run_id"]), created, row["status"], str(row["candidates"]), text.harmless(score)
