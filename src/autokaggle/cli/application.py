"""The commands and their names; this file finds the one that is asked for and runs one command line.

A command's module is imported when it is used or its help is shown, and imports nothing heavy at its top.
"""

from __future__ import annotations

import importlib
import os

import click

from autokaggle import __version__
from autokaggle.cli.program import COMPLETION_VARIABLE, NAME, Program

# Each command with the module that holds it, in the order of their use, which the help keeps.
COMMANDS = {
    "run": "run",
    "demo": "demo",
    "doctor": "doctor",
    "status": "following",
    "logs": "following",
    "runs": "listing",
    "resume": "run",
    "improve": "improve",
    "cancel": "cancel",
    "queue": "queueing",
    "worker": "queueing",
    "chat": "chat",
    "prompt": "chat",
    "report": "report",
    "reproduce": "reproduce",
    "export": "export",
    "submit": "handing_in",
    "submissions": "handing_in",
    "profile": "profile",
    "sandbox": "sandbox",
    "auth": "auth",
    "cache": "cache",
    "plugins": "plugins",
    "completion": "completion",
}


class Commands(click.Group):
    """The commands of the table; importing all of them takes longer than most of them take."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = getattr(importlib.import_module(f"autokaggle.cli.{COMMANDS[cmd_name]}"), cmd_name)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Suggest names of the table for one that is not in it: Click would only know what is imported."""
        if args[0] not in COMMANDS and not args[0].startswith("-") and not ctx.resilient_parsing:
            raise click.exceptions.NoSuchCommand(args[0], possibilities=list(COMMANDS), ctx=ctx)
        return super().resolve_command(ctx, args)


@click.group(
    NAME,
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="New here? `autokaggle demo` shows everything without an account, `autokaggle doctor` says what is missing, "
    "and `autokaggle run URL` makes a submission. RUN is a run id, an unambiguous prefix of one, `latest`, or a run "
    "folder.",
)
@click.version_option(__version__, prog_name=NAME, message="%(prog)s %(version)s")
# Quiet and debug are taken out of the command line before it comes here; they are declared for the help.
@click.option("--quiet", is_flag=True, expose_value=False, help="Show the result and warnings only. Works anywhere.")
@click.option("--debug", is_flag=True, expose_value=False, help="Show the trace of an error. Works anywhere.")
def application() -> None:
    """Paste a Kaggle competition link, get a submission that is valid, strong, reproducible and explained."""


def run_command_line(arguments: list[str], program: Program) -> None:
    """Run one command; its errors come out as they are."""
    if COMPLETION_VARIABLE in os.environ:
        application.main(prog_name=NAME, complete_var=COMPLETION_VARIABLE)
    # Not application.main: it prints errors and exits by itself, and both are decided in one place of ours.
    with application.make_context(NAME, arguments or ["--help"], obj=program) as context:
        application.invoke(context)
