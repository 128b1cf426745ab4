"""From a finished run to Kaggle; this file sends ``submission.csv`` once and waits for its score.

A submission that was sent is recorded before its score is waited for: whatever happens then, it is not sent again.
"""

from __future__ import annotations

import msgspec

from autokaggle.orchestrator.context import RunContext
from autokaggle.orchestrator.kaggle_account import open_kaggle
from autokaggle.records import Progress, SentSubmission

WAIT_SECONDS = 120.0


def hand_in(context: RunContext, wait_seconds: float = WAIT_SECONDS) -> str:
    """Send the run's submission, unless it was sent before, and wait for the score; say what came of it.

    Raises:
        ActionNeeded: credentials are missing, the rules are not accepted, or no submission is left today.
        CompetitionUnusable: the competition takes no files.
        OutsideWorldError: Kaggle failed after retries.
    """
    client = open_kaggle(context.settings)

    def report(progress: Progress) -> None:
        context.journal.tell(
            "progress", stage="submission", text=progress.text, done=progress.done, total=progress.total
        )

    if context.run.sent:
        sent = context.run.sent[-1]
    else:
        score = context.best.score.mean if context.best else None
        message = context.run.options.message or f"{context.run.id}" + (f" cv {score:.5f}" if score is not None else "")
        sent = client.submit(context.run.slug, context.folder.submission, message, report)
        _keep(context, sent)
    if sent.status == "pending":
        scored = client.wait_for_score(context.run.slug, sent.ref, timeout_seconds=wait_seconds, on_progress=report)
        sent = msgspec.structs.replace(scored, description=sent.description)
        _keep(context, sent)
    return say(sent)


def say(sent: SentSubmission) -> str:
    """Say in a few words how a submission stands."""
    if sent.error:
        return f"Kaggle could not score it: {sent.error}"
    if sent.public_score is None:
        return "sent to Kaggle, not scored yet"
    place = f", rank {sent.rank} of {sent.teams}" if sent.rank and sent.teams else ""
    return f"public score {sent.public_score}{place}"


def _keep(context: RunContext, sent: SentSubmission) -> None:
    others = tuple(known for known in context.run.sent if known.ref != sent.ref)
    context.save(msgspec.structs.replace(context.run, sent=(*others, sent)))
