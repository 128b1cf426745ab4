"""`doctor`; this file shows in one screen what a run needs and lacks, and what to do about it."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from autokaggle.cli.program import Json, Program, RunsDir
from autokaggle.errors import ActionNeeded

if TYPE_CHECKING:
    from autokaggle.cli.checks import Finding

MARKS = {"ok": ("✓", "green"), "warn": ("!", "yellow"), "fail": ("✗", "red")}


def doctor(
    context: typer.Context,
    target: Annotated[str | None, typer.Argument(help="Competition to look at as well.", show_default=False)] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Ask no server.")] = False,
    runs_dir: RunsDir = None,
    json: Json = False,
) -> None:
    """Check what a run needs.

    Ends with exit code 3 when something must be put right first.
    """
    from itertools import chain

    from autokaggle.cli.checks import check_competition, check_machine

    program: Program = context.obj
    settings = program.settings(runs_dir)
    found = []
    competition = check_competition(target, settings, offline=offline) if target else ()
    for finding in chain(check_machine(settings, offline=offline), competition):
        found.append(finding)
        if not program.json:
            _show(finding)
    failed = [finding.name for finding in found if finding.status == "fail"]
    if program.json:
        program.answer("", {"ok": not failed, "checks": [asdict(finding) for finding in found]})
    if failed:
        raise typer.Exit(ActionNeeded.exit_code)


def _show(finding: Finding) -> None:
    from rich.console import Console
    from rich.text import Text

    from autokaggle.cli.text import harmless

    console = Console(file=sys.stdout, highlight=False, markup=False, emoji=False, soft_wrap=True)
    line = Text.assemble(MARKS[finding.status], f" {finding.name}: {harmless(finding.detail)}")
    if finding.next_step and finding.status != "ok":
        line.append(f"\n    {harmless(finding.next_step)}", "bold")
    console.print(line)
