"""`run` and `resume`; this file turns flags into options, carries the run out on the screen, and gives its result."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autokaggle.cli import values
from autokaggle.cli.program import Json, Program, RunReference, RunsDir, write_json
from autokaggle.errors import UsageError

if TYPE_CHECKING:
    from autokaggle.config import Settings
    from autokaggle.records import Run
    from autokaggle.storage.artifacts import RunFolder


def run(
    context: typer.Context,
    target: Annotated[str, typer.Argument(help="URL or slug of a competition, or a local folder.")],
    time_budget: Annotated[str, typer.Option(help="Wall clock from the end of the download: 90s, 10m, 1h30m.")] = "10m",
    seed: Annotated[int, typer.Option(help="The same seed gives the same folds and models.")] = 0,
    model: Annotated[
        str | None, typer.Option(help="Language model, or none.  [default: AUTOKAGGLE_MODEL, else none]")
    ] = None,
    chat: Annotated[
        bool | None, typer.Option("--chat/--no-chat", help="Talk about the plan before the search.")
    ] = None,
    answers: Annotated[Path | None, typer.Option(help="File with answers for the chat.")] = None,
    schema_only: Annotated[bool, typer.Option("--schema-only", help="Send no values to the model.")] = False,
    max_cost: Annotated[str | None, typer.Option(help="Most to spend on the model, in USD.")] = None,
    model_family: Annotated[str, typer.Option(help="auto, or families with commas: lightgbm,linear.")] = "auto",
    gpu: Annotated[str, typer.Option(help="auto, on or off.")] = "auto",
    metric: Annotated[str | None, typer.Option(help="Overrule the metric that the competition names.")] = None,
    validation: Annotated[str, typer.Option(help="auto, kfold, stratified, group:COLUMN or time:COLUMN.")] = "auto",
    template: Annotated[str, typer.Option(help="auto, or the name of a template.")] = "auto",
    submit: Annotated[bool, typer.Option("--submit", help="Hand in to Kaggle when the run is done.")] = False,
    message: Annotated[str, typer.Option(help="Description of the submission on Kaggle.")] = "",
    skip_execution: Annotated[bool, typer.Option("--skip-execution", help="Write the code, run none of it.")] = False,
    cluster: Annotated[str | None, typer.Option(help="Address of a cluster for the candidates.")] = None,
    detach: Annotated[bool, typer.Option("--detach", help="Leave the run to a worker.")] = False,
    offline: Annotated[bool, typer.Option("--offline", help="Use what is cached; ask no server.")] = False,
    max_candidates: Annotated[int | None, typer.Option(help="Stop after so many candidates.")] = None,
    original: Annotated[Path | None, typer.Option(help="The data set behind a synthetic competition.")] = None,
    folds: Annotated[int | None, typer.Option(help="Number of folds.")] = None,
    runs_dir: RunsDir = None,
    allow_unsandboxed: Annotated[
        bool, typer.Option("--allow-unsandboxed", help="Run generated code even where nothing can isolate it.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Answer yes to every question.")] = False,
    json: Json = False,
) -> None:
    """Make a submission for a competition.

    Fetches and profiles its data, plans, searches for good pipelines within the time budget, and checks the result.
    """
    from autokaggle.cli.handing_in import refuse_local
    from autokaggle.records import RunOptions

    program: Program = context.obj
    settings = program.settings(runs_dir)
    _refuse_what_is_not_there(
        {
            "--model": model is not None and model != "none",
            "--chat": bool(chat),
            "--answers": answers is not None,
            "--schema-only": schema_only,
            "--max-cost": max_cost is not None,
            "--gpu on": gpu == "on",
            "--metric FILE.py:function": metric is not None and ".py:" in metric,
            "--cluster": cluster is not None,
            "--detach": detach,
            "--original": original is not None,
        }
    )
    options = RunOptions(
        target=target,
        time_budget_seconds=values.parse_duration(time_budget, "--time-budget"),
        seed=values.at_least(seed, "--seed", 0) or 0,
        model=None,
        chat=False,
        max_cost_usd=None if max_cost is None else values.parse_money(max_cost, "--max-cost"),
        model_family=model_family,
        gpu="off" if values.choose(gpu, "--gpu", ("auto", "on", "off")) == "off" else "auto",
        metric=metric,
        validation=values.parse_validation(validation),
        template=template,
        submit=submit,
        message=message,
        skip_execution=skip_execution or settings.skip_execution,
        offline=offline,
        max_candidates=values.at_least(max_candidates, "--max-candidates", 1),
        folds=values.at_least(folds, "--folds", 2),
        allow_unsandboxed=allow_unsandboxed,
        assume_yes=yes,
    )
    if submit:
        refuse_local(target)
    if settings.model and model is None:
        program.warn("AUTOKAGGLE_MODEL is set, but no language model takes part yet: the built-in strategist decides.")
    program.folder = program.runs().start_run(options, settings)
    give_result(program, program.folder, carry_out(program, program.folder, settings))


def resume(
    context: typer.Context,
    run: RunReference = "latest",
    runs_dir: RunsDir = None,
    json: Json = False,
) -> None:
    """Go on with a run that was interrupted.

    What is finished is not done again.
    """
    program: Program = context.obj
    folder, settings = program.find_run(run, runs_dir), program.settings(runs_dir)
    give_result(program, folder, carry_out(program, folder, settings))


def carry_out(program: Program, folder: RunFolder, settings: Settings) -> Run:
    """Carry out what is left of a run while the screen shows it."""
    from autokaggle.cli.following import view_of
    from autokaggle.cli.screen import open_screen

    with open_screen(sys.stderr, view_of(folder), quiet=program.quiet) as screen:
        return program.runs().carry_out(folder, settings, screen)


def give_result(program: Program, folder: RunFolder, run: Run) -> None:
    """Tell what came out, and how the submission stands if one was handed in.

    Raises:
        NoValidSubmission: Kaggle could not score it; the result is told all the same.
    """
    from autokaggle.cli.handing_in import check_was_scored, sent_text
    from autokaggle.cli.results import run_facts, run_text

    sent = run.sent[-1] if run.sent else None
    program.facts = run_facts(run, folder)
    if not program.json:
        print("\n".join([run_text(program.facts), *([sent_text(sent)] if sent else [])]), flush=True)
    if sent:
        check_was_scored(sent, folder)
    if program.json:
        write_json(program.facts)


def _refuse_what_is_not_there(given: dict[str, bool]) -> None:
    """A flag that did nothing would be a lie; say so instead."""
    missing = [flag for flag, is_given in given.items() if is_given]
    if missing:
        raise UsageError(f"Not available yet: {', '.join(missing)}.", "Leave it out; everything else works as it is.")
