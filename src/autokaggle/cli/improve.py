"""`improve`; this file lets a finished run go on with more time, and says what came of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from autokaggle.cli import flags, values
from autokaggle.cli.program import Program


@click.command()
@flags.run_reference
@click.option("--time-budget", required=True, help="Wall clock from now: 90s, 10m, 1h30m.")
@click.option("--max-candidates", type=click.IntRange(min=1), help="Stop after so many further candidates.")
@click.option("--model", help="Language model, or none.  [default: the run's]")
@click.option("--max-cost", help="Most to spend on the model from now on, in USD.")
@flags.detach
@flags.runs_dir
@flags.as_json
@click.pass_obj
def improve(program: Program, /, run: str, detach: bool, runs_dir: Path | None, **given: Any) -> None:
    """Go on with a finished run.

    Searches further from what was found before. The result is never worse than it was by the score to expect, and the
    submission is a valid one all the time.
    """
    import msgspec

    from autokaggle.cli.chat import choose_model, max_cost
    from autokaggle.cli.run import carry_out, give_result, leave_to_worker
    from autokaggle.orchestrator.improving import take_up
    from autokaggle.storage.run_folders import read_run

    seconds = values.parse_duration(given["time_budget"], "--time-budget")
    folder, settings = program.find_run(run, runs_dir), program.settings(runs_dir)
    known = read_run(folder).options
    named = given["model"]
    options = msgspec.structs.replace(
        known,
        time_budget_seconds=seconds,
        max_candidates=given["max_candidates"],
        model=known.model if named is None else choose_model(program, settings, named, offline=known.offline),
        max_cost_usd=max_cost(given["max_cost"]) if given["max_cost"] is not None else None,
    )
    take_up(folder, settings, options)
    if detach:
        leave_to_worker(program, folder, settings)
        return
    give_result(program, folder, carry_out(program, folder, settings))
