"""The commands and their names; this file registers them and runs one command line.

Modules of commands import nothing but Typer at their top: ``--help`` must not pay for what it does not use.
"""

from __future__ import annotations

import os
from typing import Annotated

import typer
from typer.main import get_command

from autokaggle import __version__
from autokaggle.cli import (
    auth,
    cache,
    cancel,
    demo,
    doctor,
    following,
    handing_in,
    listing,
    profile,
    run,
    sandbox,
)
from autokaggle.cli.program import Program

NAME = "autokaggle"
COMPLETION_VARIABLE = "_AUTOKAGGLE_COMPLETE"

app = typer.Typer(
    name=NAME,
    help="Paste a Kaggle competition link, get a submission that is valid, strong, reproducible and explained.",
    epilog="RUN is a run id, an unambiguous prefix of one, `latest`, or a run folder.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"{NAME} {__version__}")
        raise typer.Exit


@app.callback()
def _everywhere(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_show_version, is_eager=True)
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show the result and warnings only. Works anywhere.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the trace of an error. Works anywhere.")] = False,
) -> None:
    # Quiet and debug are taken out of the command line before it comes here; they are declared for the help.
    pass


COMMANDS = (
    run.run,
    demo.demo,
    doctor.doctor,
    following.status,
    following.logs,
    listing.runs,
    run.resume,
    cancel.cancel,
    handing_in.submit,
    handing_in.submissions,
    profile.profile,
    sandbox.sandbox,
)
for command in COMMANDS:
    app.command()(command)
app.add_typer(auth.app, name="auth")
app.add_typer(cache.app, name="cache")


def run_command_line(arguments: list[str], program: Program) -> None:
    """Run one command; its errors come out as they are."""
    command = get_command(app)
    if COMPLETION_VARIABLE in os.environ:
        command.main(prog_name=NAME, complete_var=COMPLETION_VARIABLE)
    # Not command.main: it prints errors and exits by itself, and both are decided in one place of ours.
    with command.make_context(NAME, arguments or ["--help"], obj=program) as context:
        command.invoke(context)
