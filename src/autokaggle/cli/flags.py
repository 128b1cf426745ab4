"""Arguments and flags that several commands share; this file defines each once."""

from __future__ import annotations

from pathlib import Path

import click

FOLDER = click.Path(path_type=Path)

run_reference = click.argument("run", default="latest")
target = click.argument("target")
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
