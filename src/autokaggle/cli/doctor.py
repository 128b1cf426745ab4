"""`doctor`; this file shows in one screen what a run needs and lacks, and what to do about it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from autokaggle.cli import flags
from autokaggle.cli.program import Program
from autokaggle.errors import ActionNeeded

if TYPE_CHECKING:
    from autokaggle.records.event import Finding

MARKS = {"ok": ("✓", "green"), "warn": ("!", "yellow"), "fail": ("✗", "red")}


@click.command()
@click.argument("target", required=False, shell_complete=flags.complete_target)
@click.option("--offline", is_flag=True, help="Ask no server.")
@flags.runs_dir
@flags.as_json
@click.pass_obj
def doctor(program: Program, /, target: str | None, offline: bool, runs_dir: Path | None) -> None:
    """Check what a run needs.

    Looks at TARGET as well when it is given. Ends with exit code 3 when something must be put right first.
    """
    from itertools import chain

    import msgspec

    from autokaggle.cli.checks import check_machine
    from autokaggle.cli.competition_checks import check_competition

    settings = program.settings(runs_dir)
    found = []
    competition = check_competition(target, settings, offline=offline) if target else ()
    for finding in chain(check_machine(settings, offline=offline), competition):
        found.append(finding)
        if not program.json:
            _show(finding)
    failed = [finding.name for finding in found if finding.status == "fail"]
    if program.json:
        program.answer("", {"ok": not failed, "checks": msgspec.to_builtins(found)})
    if failed:
        raise click.exceptions.Exit(ActionNeeded.exit_code)


def _show(finding: Finding) -> None:
    from rich.console import Console
    from rich.text import Text

    from autokaggle.cli.text import harmless

    console = Console(file=sys.stdout, highlight=False, markup=False, emoji=False, soft_wrap=True)
    line = Text.assemble(MARKS[finding.status], f" {finding.name}: {harmless(finding.detail)}")
    if finding.next_step and finding.status != "ok":
        line.append(f"\n    {harmless(finding.next_step)}", "bold")
    console.print(line)
