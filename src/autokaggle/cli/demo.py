"""`demo`; this file runs the ordinary path against a loopback Kaggle with a practice competition, and hands in."""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autokaggle.cli import values
from autokaggle.cli.program import Json, Program, RunsDir

if TYPE_CHECKING:
    from autokaggle.config import Settings


def demo(
    context: typer.Context,
    time_budget: Annotated[str, typer.Option(help="Wall clock of the run: 60s, 2m.")] = "60s",
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same folds and models.")] = 0,
    runs_dir: RunsDir = None,
    allow_unsandboxed: Annotated[
        bool, typer.Option("--allow-unsandboxed", help="Run it even where nothing can isolate generated code.")
    ] = False,
    json: Json = False,
) -> None:
    """Try everything without an account.

    Serves a practice competition on this machine, makes a submission for it, hands it in, and shows its score.
    """
    from autokaggle.cli.run import carry_out, give_result
    from autokaggle.practice.demo_competition import make_demo_competition
    from autokaggle.practice.kaggle_server import PracticeKaggle
    from autokaggle.records import RunOptions

    program: Program = context.obj
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
            give_result(program, program.folder, carry_out(program, program.folder, settings))


def demo_settings(settings: Settings, url: str) -> Settings:
    """Return settings that lead to the practice server as its account; the user's own account stays out of it."""
    from autokaggle.practice.accounts import DEMO_KEY, DEMO_USERNAME

    others = {name: value for name, value in settings.environment.items() if not name.startswith("KAGGLE_")}
    account = {"KAGGLE_USERNAME": DEMO_USERNAME, "KAGGLE_KEY": DEMO_KEY}
    return dataclasses.replace(settings, kaggle_url=url, environment={**others, **account})
