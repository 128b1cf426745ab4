"""`submit` and `submissions`; this file hands a run's submission in to Kaggle and lists what was handed in."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from autokaggle.cli import flags
from autokaggle.cli.program import Program
from autokaggle.errors import NoValidSubmission, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from autokaggle.config import Settings
    from autokaggle.records.outcome import SentSubmission
    from autokaggle.records.run import Run
    from autokaggle.storage.artifacts import RunFolder

OUTSIDE = "That is outside of the expected range, which is for the whole test set: a public score is of a part of it."


@click.command()
@flags.run_reference
@click.option("--message", default="", help="Description of the submission on Kaggle.")
@click.option("--wait", is_flag=True, help="Wait for the score.")
@flags.runs_dir
@flags.as_json
@click.pass_obj
def submit(program: Program, /, run: str, message: str, wait: bool, runs_dir: Path | None) -> None:
    """Hand a run's submission in to Kaggle.

    To a competition that takes notebooks only, it pushes the run's notebook as a private one, waits until Kaggle has
    run it, and hands in what it wrote.
    """
    from autokaggle.cli.results import run_facts
    from autokaggle.storage.run_folders import read_run

    folder = program.find_run(run, runs_dir)
    sent = hand_in(program, folder, program.settings(runs_dir), message=message, wait=wait)
    cv = run_facts(read_run(folder), folder)["cv"]
    program.answer(sent_text(sent, cv), {"run_id": folder.id, **sent_facts(sent)})


@click.command()
@flags.target
@flags.as_json
@click.pass_obj
def submissions(program: Program, /, target: str) -> None:
    """List your submissions to a competition.

    Puts the score that a run expected beside the one that Kaggle gave, says which differences are noise, and which two
    to pick as final.
    """
    from autokaggle.cli.ledger import judge
    from autokaggle.orchestrator.kaggle_account import open_kaggle
    from autokaggle.skills.competition.address import parse_target

    settings = program.settings()
    refuse_local(target)
    slug = parse_target(target).slug
    with closing(open_kaggle(settings)) as client:
        listed = client.submissions(slug)
    text, facts = judge(settings, slug, listed)
    program.answer(text or f"There is no submission to {slug} yet.", facts)


def hand_in(program: Program, folder: RunFolder, settings: Settings, *, message: str, wait: bool) -> SentSubmission:
    """Hand in the run's submission, record it in the run, and return it; with its score when ``wait``.

    Raises:
        UsageError: the run has no submission, or its competition is a local folder.
        NoValidSubmission: the file is not what the competition wants, or Kaggle could not score it.
    """
    from autokaggle.cli.demo import refuse_demo
    from autokaggle.cli.progress import shown_progress
    from autokaggle.orchestrator.handing_in import notebook_to_send, send, wait_for_score
    from autokaggle.orchestrator.kaggle_account import open_kaggle
    from autokaggle.storage.run_folders import read_run

    def keep(sent: SentSubmission) -> None:
        _record(folder, sent)

    run = read_run(folder)
    refuse_demo(run, settings)
    _check_can_be_handed_in(run, folder)
    with closing(open_kaggle(settings)) as client, shown_progress(program) as on_progress:
        limits = client.limits(run.slug)
        if limits.left_today is not None:
            program.tell(f"{limits.left_today} submissions to {run.slug} are left today.")
        notebook = notebook_to_send(folder, settings)
        sent = send(client, run, folder.submission, message, keep, on_progress, notebook=notebook)
        program.tell(f"Submission {sent.ref} is handed in.")
        if wait:
            sent = wait_for_score(client, run, sent, keep, on_progress)
    check_was_scored(sent, folder)
    return sent


def refuse_local(target: str) -> None:
    """Raises:
    UsageError: ``target`` is a local folder, also one that is gone by now.
    """
    from autokaggle.skills.competition.address import PATH_STARTS, parse_target

    if target.startswith(PATH_STARTS) or parse_target(target).folder is not None:
        raise UsageError(f"{target} is a local folder: nobody takes submissions for it.", "Give a URL or a slug.")


def check_was_scored(sent: SentSubmission, folder: RunFolder) -> None:
    """Raises:
    NoValidSubmission: Kaggle refused the file after it had taken it.
    """
    if sent.status == "error":
        reason = sent.error.rstrip(".") or "it gives no reason"
        raise NoValidSubmission(f"Kaggle could not score submission {sent.ref}: {reason}.", f"See {folder.submission}")


def sent_facts(sent: SentSubmission) -> dict[str, Any]:
    """Return a submission as facts for programs."""
    import msgspec

    facts: dict[str, Any] = msgspec.to_builtins(sent)
    return facts


def sent_text(sent: SentSubmission, cv: Mapping[str, Any] | None) -> str:
    """Say how a submission stands, and what to think of a public score outside of the range that ``cv`` expects."""
    from autokaggle.cli.text import number

    if sent.status == "error":
        return f"Submission {sent.ref} was refused."
    if sent.public_score is None:
        return f"Submission {sent.ref} is handed in; its score is not there yet."
    rank = f", rank {sent.rank} of {sent.teams}" if sent.rank and sent.teams else ""
    doubt = f"\n{OUTSIDE}" if cv and sent.is_within(cv["low"], cv["high"]) is False else ""
    return f"Submission {sent.ref}: public score {number(sent.public_score)}{rank}{doubt}"


def _check_can_be_handed_in(run: Run, folder: RunFolder) -> None:
    """Refuse here what Kaggle would refuse, or take and count."""
    from autokaggle.skills.submission.checker import check_submission
    from autokaggle.storage.run_folders import refuse_at_work

    refuse_at_work(folder)
    if run.plan is None or not folder.submission.is_file():
        raise UsageError(f"Run {run.id} has no submission yet.", f"Go on with it: autokaggle resume {run.id}")
    refuse_local(run.target)
    if problems := check_submission(folder.submission, run.plan, folder.tables):
        raise NoValidSubmission(
            f"{folder.submission} is not what {run.slug} wants: {' '.join(problems)}",
            "Nothing was handed in. Put the file right, or make it anew with `autokaggle run`.",
        )


def _record(folder: RunFolder, sent: SentSubmission) -> None:
    """Write the submission into the run's record, in place of what was known of it."""
    from filelock import FileLock

    from autokaggle.orchestrator.handing_in import with_sent
    from autokaggle.records.run import Run
    from autokaggle.storage.records_file import read_record, write_record

    with FileLock(folder.lock):
        write_record(folder.record, with_sent(read_record(folder.record, Run), sent))
