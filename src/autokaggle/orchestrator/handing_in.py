"""From a finished run to Kaggle; this file sends ``submission.csv`` once and waits for its score.

A submission that was sent is recorded before its score is waited for: whatever happens then, it is not sent again.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from autokaggle.config import Settings
from autokaggle.orchestrator.context import RunContext
from autokaggle.orchestrator.journal import progress_listener
from autokaggle.orchestrator.kaggle_account import open_kaggle
from autokaggle.records.competition import Competition
from autokaggle.records.event import Progress
from autokaggle.records.outcome import SentSubmission
from autokaggle.records.run import Run
from autokaggle.storage.artifacts import RunFolder
from autokaggle.storage.records_file import read_record

if TYPE_CHECKING:
    from autokaggle.skills.competition.kaggle_client import KaggleClient

Keep = Callable[[SentSubmission], None]
OnProgress = Callable[[Progress], None]

WAIT_SECONDS = 120.0

# The number of a submission that Kaggle has not confirmed yet; its own numbers start at 1.
UNCONFIRMED = 0


def hand_in_stage(context: RunContext) -> str:
    """Send the run's submission, unless it was sent before, and wait for the score; say what came of it.

    Raises:
        ActionNeeded: credentials are missing, the rules are not accepted, or no submission is left today.
        CompetitionUnusable: the competition takes no files.
        OutsideWorldError: Kaggle failed after retries.
    """

    report = progress_listener(context.journal, "submission")

    def keep(sent: SentSubmission) -> None:
        context.save(sent=with_sent(context.run, sent).sent)

    with closing(open_kaggle(context.settings)) as client:
        run = context.run
        sent = next((known for known in reversed(run.sent) if known.ref != UNCONFIRMED), None)
        if sent is None:
            notebook = notebook_to_send(context.folder, context.settings)
            message = run.options.message
            sent = send(client, run, context.folder.submission, message, keep, report, notebook=notebook)
        if sent.status == "pending":
            sent = wait_for_score(client, run, sent, keep, report)
    return say(sent)


def send(
    client: KaggleClient,
    run: Run,
    submission: Path,
    message: str,
    keep: Keep,
    on_progress: OnProgress,
    *,
    notebook: str | None = None,
) -> SentSubmission:
    """Hand in the file, or what Kaggle makes of ``notebook``; without a message, run and score describe it.

    ``keep`` records the description, which is unique, before anything is sent: after a kill or a lost answer, the next
    process asks Kaggle whether that one came through.
    """
    from autokaggle.skills.competition.notebooks import notebook_title
    from autokaggle.skills.competition.sending import unique_description

    unconfirmed = next((known for known in run.sent if known.ref == UNCONFIRMED), None)
    if unconfirmed is not None and (found := client.find_submission(run.slug, unconfirmed.description)):
        keep(found)
        return found
    score = f" cv {run.ensemble.score.mean:.5f}" if run.ensemble else ""
    description = unconfirmed.description if unconfirmed else unique_description(message or f"{run.id}{score}")
    keep(SentSubmission(ref=UNCONFIRMED, description=description))
    if notebook is None:
        sent = client.submit(run.slug, submission, message, on_progress, description=description)
    else:
        title = notebook_title(run.id)
        sent = client.submit_notebook(run.slug, title, notebook, on_progress, description=description)
    keep(sent)
    return sent


def notebook_to_send(folder: RunFolder, settings: Settings) -> str | None:
    """Return the run's notebook where the competition takes nothing else, None where it takes files."""
    known = folder.competition
    if not known.is_file() or not read_record(known, Competition).is_code_competition:
        return None
    from autokaggle.orchestrator.exporting import make_bundle
    from autokaggle.orchestrator.reopening import reopen_run
    from autokaggle.skills.export.notebook import write_notebook

    return write_notebook(make_bundle(reopen_run(folder, settings))).decode()


def wait_for_score(
    client: KaggleClient, run: Run, sent: SentSubmission, keep: Keep, on_progress: OnProgress
) -> SentSubmission:
    """Wait until Kaggle has scored the submission, two minutes at most, and ``keep`` what it says."""
    scored = client.wait_for_score(run.slug, sent.ref, timeout_seconds=WAIT_SECONDS, on_progress=on_progress)
    known = msgspec.structs.replace(scored, description=scored.description or sent.description)
    keep(known)
    return known


def with_sent(run: Run, sent: SentSubmission) -> Run:
    """Return the run's record with the submission in place of what was known of it."""
    others = tuple(other for other in run.sent if other.ref not in (sent.ref, UNCONFIRMED))
    return msgspec.structs.replace(run, sent=(*others, sent))


def say(sent: SentSubmission) -> str:
    """Say in a few words how a submission stands."""
    if sent.status == "error":
        return f"Kaggle could not score it: {sent.error or 'it gives no reason'}"
    if sent.public_score is None:
        return "sent to Kaggle, not scored yet"
    place = f", rank {sent.rank} of {sent.teams}" if sent.rank and sent.teams else ""
    return f"public score {sent.public_score}{place}"
