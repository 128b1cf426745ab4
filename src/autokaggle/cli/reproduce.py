"""`reproduce`; this file rebuilds a run's submission and says whether it is the same."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from autokaggle.cli import flags, values
from autokaggle.cli.program import Program
from autokaggle.errors import AutoKaggleError

if TYPE_CHECKING:
    from autokaggle.orchestrator.replay import Replay


@click.command()
@flags.run_reference
@click.option("--output", type=flags.FOLDER, help="Keep what the code writes in this folder.")
@click.option("--reuse-environment", is_flag=True, help="Take the run's environment instead of building it anew.")
@flags.runs_dir
@flags.as_json
@click.pass_obj
def reproduce(
    program: Program, /, run: str, output: Path | None, reuse_environment: bool, runs_dir: Path | None
) -> None:
    """Rebuild a run's submission and compare.

    Checks the data, builds the locked environment anew, and runs the published code in the sandbox. Ends with 0 when
    the submission is the same, or the same within 1e-6; with 1 when it is another.
    """
    from autokaggle.cli.progress import shown_progress
    from autokaggle.orchestrator import replay
    from autokaggle.storage.run_folders import refuse_at_work

    values.check_output(output)
    folder = program.find_run(run, runs_dir)
    refuse_at_work(folder)
    with shown_progress(program) as on_progress:
        found = replay.reproduce(
            folder,
            program.settings(runs_dir),
            output=output,
            is_environment_reused=reuse_environment,
            on_progress=on_progress,
        )
    facts = replay_facts(found)
    if found.comparison.verdict == "different":
        program.facts = facts
        raise AutoKaggleError(f"Run {folder.id} gave another submission: {_difference(found)}", _next_step(found))
    program.answer(replay_text(found), {"run_id": folder.id, **facts})


def replay_facts(replay: Replay) -> dict[str, Any]:
    """Return a replay as facts for programs."""
    return {
        **dataclasses.asdict(replay.comparison),
        "python": replay.python,
        "seconds": {"environment": round(replay.environment_seconds, 3), "code": replay.seconds},
        "reasons": list(replay.reasons),
    }


def replay_text(replay: Replay) -> str:
    """Say how the submission came out, and how long it took."""
    found = replay.comparison
    took = f"Environment built in {replay.environment_seconds:.0f} s, code ran {replay.seconds:.0f} s."
    if found.verdict == "identical":
        return f"The same submission: {found.rows:,} rows, sha256 {found.found_sha256}.\n{took}"
    return "\n".join([f"The same submission within 1e-6: {_difference(replay)}", *replay.reasons, took])


def _difference(replay: Replay) -> str:
    found = replay.comparison
    if found.problem:
        return f"{found.problem}."
    return (
        f"{found.cells:,} values differ in {found.rows:,} rows, {found.beyond:,} of them by more than 1e-6; "
        f"most by {found.largest:.3g} in {found.where}."
    )


def _next_step(replay: Replay) -> str:
    known = replay.reasons or ("Nothing else is known to be different: this is a fault worth reporting.",)
    return "\n".join([*known, "--output DIR keeps what was rebuilt."])
