"""`report`; this file writes a run's report anew and opens it."""

from __future__ import annotations

import webbrowser
from pathlib import Path

import click

from autokaggle.cli import flags
from autokaggle.cli.program import Program
from autokaggle.errors import UsageError


@click.command()
@flags.run_reference
@click.option("--open", "is_opened", is_flag=True, help="Show it in the web browser.")
@flags.runs_dir
@flags.as_json
@click.pass_obj
def report(program: Program, /, run: str, is_opened: bool, runs_dir: Path | None) -> None:
    """Write a run's report anew.

    Measures which columns matter if the run had no time left for it (a minute at most), and says where the page is.
    """
    from autokaggle.orchestrator.reporting import write_again
    from autokaggle.storage.run_folders import is_at_work, refuse_at_work

    folder = program.find_run(run, runs_dir)
    if not folder.profile.is_file():
        raise UsageError(f"Run {folder.id} has nothing to report yet.", f"Go on with it: autokaggle resume {folder.id}")
    if not folder.report.is_file():
        refuse_at_work(folder)
    if not is_at_work(folder):
        write_again(folder, program.settings(runs_dir))
    if is_opened and not webbrowser.open(folder.report.absolute().as_uri()):
        program.warn(f"No web browser could be started; open {folder.report} yourself.")
    program.answer(str(folder.report), {"run_id": folder.id, "report": str(folder.report)})
