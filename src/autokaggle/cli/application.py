"""The commands and their names; this file registers them and runs one command line.

Modules of commands import nothing heavy at their top: ``--help`` must not pay for what it does not use.
"""

from __future__ import annotations

import os

import click

from autokaggle import __version__
from autokaggle.cli.auth import auth
from autokaggle.cli.cache import cache
from autokaggle.cli.cancel import cancel
from autokaggle.cli.chat import chat, prompt
from autokaggle.cli.completion import completion
from autokaggle.cli.demo import demo
from autokaggle.cli.doctor import doctor
from autokaggle.cli.export import export
from autokaggle.cli.following import logs, status
from autokaggle.cli.handing_in import submissions, submit
from autokaggle.cli.listing import runs
from autokaggle.cli.plugins import plugins
from autokaggle.cli.profile import profile
from autokaggle.cli.program import COMPLETION_VARIABLE, NAME, Program
from autokaggle.cli.queueing import queue, worker
from autokaggle.cli.report import report
from autokaggle.cli.reproduce import reproduce
from autokaggle.cli.run import resume, run
from autokaggle.cli.sandbox import sandbox

# In the order of their use, which the help keeps.
COMMANDS: tuple[click.Command, ...] = (
    run,
    demo,
    doctor,
    status,
    logs,
    runs,
    resume,
    cancel,
    queue,
    worker,
    chat,
    prompt,
    report,
    reproduce,
    export,
    submit,
    submissions,
    profile,
    sandbox,
    auth,
    cache,
    plugins,
    completion,
)


class InOrder(click.Group):
    """A group whose help lists the commands as they were registered, not by the alphabet."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


@click.group(
    NAME,
    cls=InOrder,
    commands={command.name or "": command for command in COMMANDS},
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
