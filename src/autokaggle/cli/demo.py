"""`demo`; this file runs the ordinary path against a loopback Kaggle with a practice competition, and hands in."""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from autokaggle.cli import flags, values
from autokaggle.cli.program import Program
from autokaggle.errors import RunInterrupted, UsageError

if TYPE_CHECKING:
    from autokaggle.config import Settings
    from autokaggle.records.run import Run


@click.command()
@click.option("--time-budget", default="60s", show_default=True, help="Wall clock of the run: 60s, 2m.")
@flags.seed
@flags.runs_dir
@flags.allow_unsandboxed
@flags.as_json
@click.pass_obj
def demo(program: Program, /, time_budget: str, seed: int, runs_dir: Path | None, allow_unsandboxed: bool) -> None:
    """Try everything without an account.

    Serves a practice competition on this machine, makes a submission for it, hands it in, and shows its score.
    """
    from autokaggle.cli.run import carry_out, give_result
    from autokaggle.practice.demo_competition import make_demo_competition
    from autokaggle.practice.kaggle_server import PracticeKaggle
    from autokaggle.records.run import RunOptions

    budget = values.parse_duration(time_budget, "--time-budget")
    with tempfile.TemporaryDirectory(prefix="autokaggle-demo-") as name:
        slug = make_demo_competition(Path(name))
        options = RunOptions(
            target=slug,
            time_budget_seconds=budget,
            seed=seed,
            chat=False,
            submit=True,
            message="demo",
            allow_unsandboxed=allow_unsandboxed,
        )
        with PracticeKaggle(Path(name)) as kaggle:
            settings = demo_settings(program.settings(runs_dir), kaggle.url)
            program.folder = program.runs().start_run(options, settings)
            try:
                run = carry_out(program, program.folder, settings)
            except (RunInterrupted, KeyboardInterrupt) as interrupt:
                # The server of its competition ends with this process, so there is nothing to resume.
                raise RunInterrupted("The demo was interrupted.", "Start it again: autokaggle demo") from interrupt
            give_result(program, program.folder, run)


def refuse_demo(run: Run, settings: Settings) -> None:
    """Raises:
    UsageError: the run is of the demo's competition, which nobody serves any more. One that is being improved needs
        nobody: it has its data, and hands nothing in.
    """
    from autokaggle.practice.demo_competition import DEMO_SLUG

    if run.slug == DEMO_SLUG and settings.kaggle_url is None and not run.earlier:
        raise UsageError(
            f"Run {run.id} is of the demo, whose competition was served by that call of the program alone.",
            "Start the demo again: autokaggle demo",
        )


def demo_settings(settings: Settings, url: str) -> Settings:
    """Return settings that lead to the practice server as its account; the user's own account stays out of it."""
    from autokaggle.practice.accounts import DEMO_KEY, DEMO_USERNAME

    others = {name: value for name, value in settings.environment.items() if not name.startswith("KAGGLE_")}
    account = {"KAGGLE_USERNAME": DEMO_USERNAME, "KAGGLE_KEY": DEMO_KEY}
    return dataclasses.replace(settings, kaggle_url=url, environment={**others, **account})
