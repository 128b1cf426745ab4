"""From a file to a scored submission; this file uploads resumably, hands in exactly once, and waits for the score.

Handing in is never repeated blindly: each submission carries a unique mark, and after a failure that may have been a
success the mark is looked up first, because a second attempt would cost one of the day's submissions.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from autokaggle.errors import ActionNeeded, AutoKaggleError, CompetitionUnusable, OutsideWorldError, UsageError
from autokaggle.records.competition import Competition, SubmissionLimits
from autokaggle.records.event import Progress
from autokaggle.records.outcome import SentSubmission
from autokaggle.skills.competition.meter import OnProgress
from autokaggle.skills.competition.retries import RetryPolicy, is_passing, ordered_wait
from autokaggle.skills.competition.transport import KaggleTransport

if TYPE_CHECKING:
    import requests
    from kagglesdk.competitions.services.competition_api_service import CompetitionApiClient

LONGEST_MESSAGE = 400
CREATE_ATTEMPTS = 2
LOOK_UPS = 5
DEEPEST_RANK = 2000
SLOWEST_POLL_SECONDS = 30.0


def refuse_what_kaggle_would(competition: Competition, limits: SubmissionLimits) -> None:
    """Refuse before the upload what Kaggle refuses only after it.

    Raises:
        CompetitionUnusable: submissions are notebooks only, or disabled.
        ActionNeeded: none is left today.
    """
    if competition.is_code_competition:
        raise CompetitionUnusable(
            f"{competition.slug} takes submissions only from Kaggle notebooks, no files.",
            "`autokaggle submit RUN` pushes a run's notebook; `autokaggle export RUN` writes it.",
        )
    refuse_without_submissions(competition, limits)


def refuse_without_submissions(competition: Competition, limits: SubmissionLimits) -> None:
    """Refuse what no submission of any kind can be made to now.

    Raises:
        CompetitionUnusable: submissions are disabled.
        ActionNeeded: none is left today.
    """
    if competition.submissions_disabled:
        raise CompetitionUnusable(
            f"{competition.slug} takes no submissions.", "The file stays in the run folder as output/submission.csv."
        )
    if limits.left_today is not None and limits.left_today <= 0:
        raise ActionNeeded(
            f"No submission to {competition.slug} is left today.", "The limit resets at 00:00 UTC; submit again then."
        )


def unique_description(message: str) -> str:
    """Return the message with a mark by which this one submission can be found again."""
    plain = " ".join("".join(char if char.isprintable() else " " for char in message).split())
    return f"{plain[:LONGEST_MESSAGE] or 'autokaggle'} [{secrets.token_hex(5)}]"


def upload(
    api: CompetitionApiClient, transport: KaggleTransport, slug: str, file: Path, on_progress: OnProgress
) -> str:
    """Upload ``file`` and return the token that stands for it; goes on where an interrupted attempt ended.

    Raises:
        UsageError: there is no such file, or it is empty.
        OutsideWorldError: several attempts in a row brought nothing further.
    """
    if not file.is_file() or file.stat().st_size == 0:
        raise UsageError(f"There is no submission file {file}.", "Give the run that made one, or a file.")
    size = file.stat().st_size
    token, address = _start(api, slug, file)
    sent, fruitless, expired, reason = 0, 0, False, ""
    while True:
        try:
            response = _put(transport, address, file, sent, size)
            if response.status_code in (200, 201):
                on_progress(Progress(text="Uploading", done=size, total=size, unit="bytes"))
                return token
            reason, wait = f"storage answered {response.status_code}", None
            if is_passing(response.status_code):
                wait = ordered_wait(response.headers.get("Retry-After"))
            stored, expired = _stored(transport, address, size)
        except OSError as error:  # requests' errors are OSErrors; their text shows the signed address
            reason, wait, stored = f"the connection failed ({type(error).__name__})", None, None
            stored, expired = _stored_after_failure(transport, address, size)
        if stored == size:
            return token
        fruitless = 1 if stored is not None and stored > sent else fruitless + 1
        if not transport.retry.allows(fruitless, wait):
            raise OutsideWorldError(
                f"Uploading {file.name} failed: {reason}.", "Nothing was submitted; submit the run again."
            )
        if expired:
            token, address = _start(api, slug, file)
            stored = 0
        sent = stored or 0
        on_progress(Progress(text="Uploading", done=sent, total=size, unit="bytes"))
        transport.retry.pause(fruitless, wait)


def create(api: CompetitionApiClient, retry: RetryPolicy, slug: str, token: str, description: str) -> int:
    """Hand in the uploaded file and return the submission's number.

    Raises:
        OutsideWorldError: Kaggle did not confirm, and the submission is not in its list either.
    """
    from kagglesdk.competitions.types.competition_api_service import ApiCreateSubmissionRequest

    request = ApiCreateSubmissionRequest()
    request.competition_name = slug
    request.blob_file_tokens = token
    request.submission_description = description
    for attempt in range(1, CREATE_ATTEMPTS + 1):
        try:
            if ref := int(api.create_submission(request).ref):
                return ref
            failure = OutsideWorldError("Kaggle's answer names no submission.")
        except OutsideWorldError as error:
            failure = error
        if found := _look_up(api, retry, slug, description, failure):
            return found
        if attempt == CREATE_ATTEMPTS:
            raise _unconfirmed(slug, description, "it is not in the list of submissions either") from failure
    raise AssertionError("unreachable")


def wait(ask: Callable[[], SentSubmission], timeout_seconds: float, on_progress: OnProgress) -> SentSubmission:
    """Ask again and again, ever more slowly, until the submission is scored or the time is over."""
    started, pause = time.monotonic(), 1.0
    while True:
        failure, sent = None, None
        try:
            sent = ask()
        except OutsideWorldError as error:  # the submission is in; an outage only delays its score
            failure = error
        waited = time.monotonic() - started
        if sent is not None and (sent.status != "pending" or waited + pause > timeout_seconds):
            return sent
        if failure is not None and waited + pause > timeout_seconds:
            raise failure
        on_progress(Progress(text="Waiting for the score", done=waited, total=timeout_seconds, unit="s"))
        time.sleep(pause)
        pause = min(pause * 1.5, SLOWEST_POLL_SECONDS)


def with_rank(sent: SentSubmission, rank: Callable[[], tuple[int | None, int | None]]) -> SentSubmission:
    """Add rank and number of teams where Kaggle gives them; a score without a rank is still a score."""
    try:
        place, teams = rank()
    except AutoKaggleError:
        return sent
    return msgspec.structs.replace(sent, rank=place, teams=teams)


def _start(api: CompetitionApiClient, slug: str, file: Path) -> tuple[str, str]:
    from kagglesdk.competitions.types.competition_api_service import ApiStartSubmissionUploadRequest

    facts = file.stat()
    request = ApiStartSubmissionUploadRequest()
    request.competition_name = slug
    request.file_name = file.name
    request.content_length = facts.st_size
    request.last_modified_epoch_seconds = int(facts.st_mtime)
    answer: Any = api.start_submission_upload(request)
    if not answer.token or not answer.create_url:
        raise OutsideWorldError("Kaggle gave no address to upload to.", "Submit the run again.")
    return str(answer.token), str(answer.create_url)


def _put(transport: KaggleTransport, address: str, file: Path, start: int, size: int) -> requests.Response:
    headers = {"Content-Range": f"bytes {start}-{size - 1}/{size}"} if start else {}
    with file.open("rb") as stream:
        stream.seek(start)
        return transport.send("PUT", address, headers=headers, data=stream, allow_redirects=False)


def _stored(transport: KaggleTransport, address: str, size: int) -> tuple[int | None, bool]:
    """Ask storage how many bytes it has: (bytes, whether the upload has expired); None when it does not say."""
    headers = {"Content-Range": f"bytes */{size}", "Content-Length": "0"}
    response = transport.send("PUT", address, headers=headers, allow_redirects=False)
    if response.status_code in (200, 201):
        return size, False
    if response.status_code == 308:
        found = re.fullmatch(r"bytes=0-(\d+)", response.headers.get("Range", ""))
        return (int(found[1]) + 1 if found else 0), False
    return None, response.status_code in (400, 403, 404, 410)


def _stored_after_failure(transport: KaggleTransport, address: str, size: int) -> tuple[int | None, bool]:
    try:
        return _stored(transport, address, size)
    except OSError:
        return None, False


def _look_up(
    api: CompetitionApiClient, retry: RetryPolicy, slug: str, description: str, failure: OutsideWorldError
) -> int | None:
    """Search the newest submissions for the description, a few times because lists lag behind.

    Raises:
        OutsideWorldError: the list cannot be had, so that nobody knows whether the submission counts.
    """
    from kagglesdk.competitions.types.competition_api_service import ApiListSubmissionsRequest

    request = ApiListSubmissionsRequest()
    request.competition_name = slug
    for attempt in range(1, LOOK_UPS + 1):
        retry.pause(attempt)
        try:
            rows = api.list_submissions(request).submissions or []
        except AutoKaggleError:
            raise _unconfirmed(slug, description, "its list of submissions cannot be read") from failure
        for row in rows:
            if row.description == description:
                return int(row.ref)
    return None


def _unconfirmed(slug: str, description: str, why: str) -> OutsideWorldError:
    return OutsideWorldError(
        f"Kaggle did not confirm the submission to {slug}, and {why}.",
        f"Before you submit again, look for “{description}” at https://www.kaggle.com/competitions/{slug}/submissions.",
    )
