"""Arguments and flags that several commands share; this file defines each once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from autokaggle.config import FEWEST_PROCESSES, MOST_PROCESSES, read_size

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

Command = TypeVar("Command", bound=Callable[..., Any])

FOLDER = click.Path(path_type=Path)
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


def complete_run(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the runs in the runs folder, newest first; nothing where the settings cannot be read."""
    from click.shell_completion import CompletionItem

    from autokaggle.config import load_settings
    from autokaggle.errors import AutoKaggleError

    try:
        folder = load_settings(runs_dir=context.params.get("runs_dir")).runs_dir
    except AutoKaggleError:
        return []
    known = sorted((path.parent for path in folder.glob("*/run.json")), key=lambda path: path.name[-20:], reverse=True)
    return [CompletionItem(name) for name in ("latest", *(path.name for path in known)) if name.startswith(incomplete)]


def complete_target(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer folders: of links and slugs the shell can know nothing."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(incomplete, type="dir")]


run_reference = click.argument("run", default="latest", shell_complete=complete_run)
target = click.argument("target", shell_complete=complete_target)
runs_dir = click.option("--runs-dir", type=FOLDER, help="Where run folders lie.  [default: ./runs]")
# Not handed to the command: ``Program.json`` holds it before the command line is parsed.
as_json = click.option("--json", is_flag=True, expose_value=False, help="Give one JSON object on stdout.")
allow_unsandboxed = click.option(
    "--allow-unsandboxed", is_flag=True, help="Run generated code even where nothing can isolate it."
)
target_columns = click.option(
    "--target-column",
    "target_columns",
    metavar="NAME",
    multiple=True,
    help="Predict this column, whatever the data suggest; may be given several times.",
)
seed = click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="The same seed gives the same models."
)
detach = click.option("--detach", is_flag=True, help="Leave the run to a worker, and return at once.")


def limits(command: Command) -> Command:
    """Add the flags that bound each step of generated code: bytes of ``memory`` and ``disk``, and ``processes``."""
    options = (
        click.option(
            "--memory", callback=_size, help="Most memory of a step: 512M, 4G.  [default: 80 % of the machine]"
        ),
        click.option(
            "--disk", callback=_size, help="Most that a step may write: 512M, 10G.  [default: half its memory]"
        ),
        click.option(
            "--processes",
            type=click.IntRange(FEWEST_PROCESSES, MOST_PROCESSES),
            help="Most processes and threads of a step.  [default: 256 and 16 per core]",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def _size(context: click.Context, parameter: click.Parameter, text: str | None) -> int | None:
    return None if text is None else read_size(text, parameter.opts[0])
