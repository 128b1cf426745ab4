"""`export`; this file writes a run's code as a Kaggle notebook, or as a zip that runs anywhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from autokaggle.cli import flags
from autokaggle.cli.program import Program
from autokaggle.errors import UsageError

if TYPE_CHECKING:
    from autokaggle.orchestrator.exporting import Format


@click.command()
@flags.run_reference
@click.option(
    "--format", "form", type=click.Choice(["notebook", "zip"]), default="notebook", show_default=True,
    help="A notebook for Kaggle, or everything but the data in one zip.",
)  # fmt: skip
@click.option("--output", type=flags.FOLDER, help="The file to write.  [default: in the run's output folder]")
@flags.runs_dir
@flags.as_json
@click.pass_obj
def export(program: Program, /, run: str, form: str, output: Path | None, runs_dir: Path | None) -> None:
    """Write a run's code for other places.

    The notebook runs on Kaggle from /kaggle/input without internet. The zip holds code, environment, report and a
    README, and no data.
    """
    from autokaggle.orchestrator import exporting
    from autokaggle.storage.run_folders import refuse_at_work

    folder = program.find_run(run, runs_dir)
    refuse_at_work(folder)
    chosen = cast("Format", form)
    path = output or folder.output / exporting.NAMES[chosen]
    if not path.parent.is_dir() or path.is_dir():
        raise UsageError(f"{path} cannot be written: name a file in an existing folder.")
    notes = exporting.export(folder, program.settings(runs_dir), chosen, path)
    for note in notes:
        program.warn(note)
    facts = {"run_id": folder.id, "format": form, "path": str(path), "bytes": path.stat().st_size, "notes": notes}
    program.answer(str(path), facts)
