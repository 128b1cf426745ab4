"""`run` and `resume`; this file turns flags into options, carries the run out on the screen, and gives its result."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from autokaggle.cli import flags, values
from autokaggle.cli.program import Program, write_json
from autokaggle.errors import UsageError

if TYPE_CHECKING:
    from autokaggle.config import Settings
    from autokaggle.records.run import Run
    from autokaggle.storage.artifacts import RunFolder


@click.command()
@flags.target
@click.option(
    "--time-budget", default="10m", show_default=True, help="Wall clock from the end of the download: 90s, 10m, 1h30m."
)
@flags.seed
@click.option("--model", help="Language model, or none.  [default: AUTOKAGGLE_MODEL, else none]")
@click.option("--chat/--no-chat", default=None, help="Talk about the plan before the search.")
@click.option("--answers", type=flags.FOLDER, help="File with answers for the chat.")
@click.option("--schema-only", is_flag=True, help="Send no values to the model.")
@click.option("--max-cost", help="Most to spend on the model, in USD.")
@click.option(
    "--model-family", default="auto", show_default=True, help="auto, or families with commas: lightgbm,linear."
)
@click.option(
    "--gpu",
    type=click.Choice(("auto", "on", "off")),
    default="auto",
    show_default=True,
    help="Use an NVIDIA GPU: for large tables and for images, wherever our code can, or never.",
)
@click.option("--metric", help="A metric, or FILE.py:function, instead of the one that the competition names.")
@click.option(
    "--validation", default="auto", show_default=True, help="auto, kfold, stratified, group:COLUMN or time:COLUMN."
)
@flags.target_columns
@click.option("--template", default="auto", show_default=True, help="auto, or the name of a template.")
@click.option("--submit", is_flag=True, help="Hand in to Kaggle when the run is done.")
@click.option("--message", default="", help="Description of the submission on Kaggle.")
@click.option("--skip-execution", is_flag=True, help="Write the code, run none of it.")
@click.option("--cluster", help="Run candidates there: tcp://HOST:PORT, or local:4 for four on this machine.")
@flags.detach
@click.option("--priority", type=click.IntRange(-100, 100), default=0, help="Of a detached run: higher comes first.")
@click.option("--offline", is_flag=True, help="Use what is cached; ask no server.")
@click.option("--max-candidates", type=click.IntRange(min=1), help="Stop after so many candidates.")
@click.option("--original", type=flags.FILE, help="The data set behind a synthetic competition: CSV or Parquet.")
@click.option("--folds", type=click.IntRange(min=2), help="Number of folds.")
@flags.limits
@flags.runs_dir
@flags.allow_unsandboxed
@click.option("--yes", "-y", is_flag=True, help="Answer yes to every question.")
@flags.as_json
@click.pass_obj
def run(program: Program, /, target: str, runs_dir: Path | None, **given: Any) -> None:
    """Make a submission for a competition.

    Fetches and profiles its data, plans, searches for good pipelines within the time budget, and checks the result.
    """
    from autokaggle.cli.chat import model_options
    from autokaggle.cli.handing_in import refuse_local
    from autokaggle.records.run import RunOptions

    settings = program.settings(runs_dir)
    options = RunOptions(
        target=target,
        time_budget_seconds=values.parse_duration(given["time_budget"], "--time-budget"),
        seed=given["seed"],
        **model_options(program, settings, given),
        model_family=_families(given["model_family"]),
        gpu=given["gpu"],
        metric=given["metric"],
        validation=values.parse_validation(given["validation"]),
        target_columns=given["target_columns"],
        template=given["template"],
        submit=given["submit"],
        message=given["message"],
        skip_execution=given["skip_execution"] or settings.skip_execution,
        cluster=given["cluster"],
        detach=given["detach"],
        priority=given["priority"],
        offline=given["offline"],
        max_candidates=given["max_candidates"],
        original=str(given["original"].resolve()) if given["original"] else None,
        folds=given["folds"],
        memory_bytes=given["memory"],
        disk_bytes=given["disk"],
        processes=given["processes"],
        allow_unsandboxed=given["allow_unsandboxed"],
        assume_yes=given["yes"],
    )
    if options.submit:
        if options.offline:
            raise UsageError("--offline asks no server, and --submit asks one.", "Leave one of them out.")
        refuse_local(target)
    program.folder = program.runs().start_run(options, settings)
    if options.detach:
        leave_to_worker(program, program.folder, settings)
        return
    ran = carry_out(program, program.folder, settings, reads_pipes=bool(given["chat"]))
    give_result(program, program.folder, ran)


@click.command()
@flags.run_reference
@flags.detach
@click.option("--as-worker", is_flag=True, hidden=True, help="Keep its place in the queue; end with the caller.")
@flags.runs_dir
@flags.as_json
@click.pass_obj
def resume(program: Program, /, run: str, detach: bool, as_worker: bool, runs_dir: Path | None) -> None:
    """Go on with a run that was interrupted.

    What is finished is not done again.
    """
    from autokaggle.cli.demo import refuse_demo
    from autokaggle.orchestrator.signals import end_with_parent
    from autokaggle.storage.run_folders import read_run, refuse_cancelled

    folder, settings = program.find_run(run, runs_dir), program.settings(runs_dir)
    known = read_run(folder)
    refuse_cancelled(known)
    refuse_demo(known, settings)
    if detach:
        leave_to_worker(program, folder, settings)
        return
    if as_worker:
        end_with_parent()
    elif known.options.detach:
        from autokaggle.orchestrator.standing import take_from_queue

        take_from_queue(folder, settings)
    give_result(program, folder, carry_out(program, folder, settings))


def leave_to_worker(program: Program, folder: RunFolder, settings: Settings) -> None:
    """Put what is left of a run into the queue, and say so."""
    from autokaggle.cli.queueing import answer_queued
    from autokaggle.orchestrator import standing

    answer_queued(program, settings, standing.leave_to_worker(folder, settings), folder)


def carry_out(program: Program, folder: RunFolder, settings: Settings, *, reads_pipes: bool = False) -> Run:
    """Carry out what is left of a run while the screen shows it; with ``reads_pipes`` a chat may come from stdin."""
    from autokaggle.cli.following import view_of
    from autokaggle.cli.person import find_person
    from autokaggle.cli.screen import open_screen
    from autokaggle.orchestrator.talking import load_ahead
    from autokaggle.records.run import Run
    from autokaggle.storage.records_file import read_record

    with open_screen(sys.stderr, view_of(folder), quiet=program.quiet, tells_why=False) as screen:
        options = read_record(folder.record, Run).options
        load_ahead(options.model)
        person = find_person(options, settings, screen.pause, reads_pipes=reads_pipes)
        return program.runs().carry_out(folder, settings, screen, person)


def give_result(program: Program, folder: RunFolder, run: Run) -> None:
    """Tell what came out, and how the submission stands if one was handed in.

    Raises:
        NoValidSubmission: Kaggle could not score it; the result is told all the same.
    """
    from autokaggle.cli.handing_in import check_was_scored, sent_text
    from autokaggle.cli.results import run_facts, run_text

    sent = run.own_sent[-1] if run.own_sent else None
    program.facts = run_facts(run, folder)
    if not program.json:
        print(
            "\n".join([run_text(program.facts), *([sent_text(sent, program.facts["cv"])] if sent else [])]), flush=True
        )
    if sent:
        check_was_scored(sent, folder)
    if program.json:
        write_json(program.facts)


def _families(text: str) -> str:
    """Check names of model families: a run with none that is known would try nothing."""
    from autokaggle.plugins.manager import Plugins

    known = sorted(Plugins().given("model_families"))
    unknown = sorted({name.strip() for name in text.split(",")} - {"auto", *known})
    if unknown or ("auto" in text and text != "auto"):
        raise UsageError(
            f"--model-family {text!r} is not known.", f"Give auto, or any of these with commas: {', '.join(known)}."
        )
    return text
