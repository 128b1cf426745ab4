"""Kaggle's competition calls with our records as answers; this file joins the SDK's generated client to our transport.

One client serves several threads. Every method may raise ActionNeeded (credentials, rules), CompetitionUnusable
(Kaggle knows no such thing) and OutsideWorldError (no answer after retries); the docstrings name only what is special.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from autokaggle.errors import ActionNeeded, AutoKaggleError
from autokaggle.records.base import Record
from autokaggle.records.competition import Competition, MetricFinding, SubmissionLimits
from autokaggle.records.outcome import SentSubmission
from autokaggle.skills.competition import notebooks, sending
from autokaggle.skills.competition.credentials import Credentials
from autokaggle.skills.competition.download import download
from autokaggle.skills.competition.meter import OnProgress
from autokaggle.skills.competition.pages import Page, make_pages
from autokaggle.skills.competition.refusals import NotFound
from autokaggle.skills.competition.retries import RetryPolicy
from autokaggle.skills.competition.rules import gates_from_fields
from autokaggle.skills.competition.transport import KaggleTransport, checked_base

if TYPE_CHECKING:
    from kagglesdk.competitions.types.competition_api_service import ApiCompetition, ApiSubmission

PAGE_SIZE = 200  # the most that Kaggle gives at once
MOST_PAGES = 10_000


class RemoteFile(Record, frozen=True, kw_only=True):
    """One data file as Kaggle lists it; ``created`` is ISO 8601 in UTC, or empty."""

    name: str
    bytes: int
    created: str = ""


class Standing(Record, frozen=True, kw_only=True):
    """One row of the public leaderboard; ``rank`` counts from 1."""

    rank: int
    team: str
    score: float | None


def origin_of(base_url: str | None) -> str:
    """Name the server that data came from; ports of loopback servers change from run to run and do not count."""
    host = urlsplit(checked_base(base_url)).hostname or "unknown"
    return "kaggle.com" if host.endswith(".kaggle.com") else host.replace(":", "-")


class KaggleClient:
    """Calls in the name of one account; ``base_url`` is a loopback server in place of Kaggle.

    Raises:
        UsageError: ``base_url`` is no address that credentials may be sent to.
    """

    def __init__(self, base_url: str | None, credentials: Credentials, *, retry: RetryPolicy | None = None) -> None:
        from kagglesdk.competitions.services.competition_api_service import CompetitionApiClient

        self.origin = origin_of(base_url)
        self.credentials = credentials
        self._transport = KaggleTransport(base_url, credentials, retry)
        self._api = CompetitionApiClient(self._transport)

    def close(self) -> None:
        """Drop open connections; the client opens new ones when it is used again."""
        self._transport.close()

    def account(self) -> str:
        """Try the credentials and return whose they are; "" when they are good but Kaggle does not say whose.

        Raises:
            ActionNeeded: Kaggle does not accept them.
        """
        from kagglesdk.competitions.types.competition_api_service import ApiListCompetitionsRequest
        from kagglesdk.security.services.oauth_service import OAuthClient
        from kagglesdk.security.types.oauth_service import IntrospectTokenRequest

        trial = ApiListCompetitionsRequest()
        trial.page_size = 1
        self._api.list_competitions(trial)
        known = self._transport.credentials
        if known.form == "legacy key":
            return known.username
        request = IntrospectTokenRequest()
        request.token = known.secret
        try:
            answer = OAuthClient(self._transport).introspect_token(request)
        except AutoKaggleError:
            return known.username
        return str(answer.username) if answer.active else known.username

    # ---- what the competition is

    def competition(self, slug: str) -> Competition:
        """Return Kaggle's own facts; files, pages and gates from prose are the fetcher's to add."""
        from kagglesdk.competitions.types.competition_api_service import ApiGetCompetitionRequest

        request = ApiGetCompetitionRequest()
        request.competition_name = slug
        return _competition(slug, self._api.get_competition(request))

    def pages(self, slug: str) -> tuple[Page, ...]:
        """Return all page texts as readable Markdown, in Kaggle's order."""
        from kagglesdk.competitions.types.competition_api_service import ApiListCompetitionPagesRequest

        request = ApiListCompetitionPagesRequest()
        request.competition_name = slug
        found = self._api.list_competition_pages(request).pages or []
        return make_pages((page.name, page.content, page.mime_type or "") for page in found)

    def limits(self, slug: str) -> SubmissionLimits:
        """Return how many submissions are left today."""
        from kagglesdk.competitions.types.competition_api_service import ApiGetSubmissionLimitsRequest

        request = ApiGetSubmissionLimitsRequest()
        request.competition_name = slug
        answer = self._api.get_submission_limits(request)
        daily = None if answer.limited_by_total else answer.num_today + answer.num_allowed_now
        return SubmissionLimits(daily=daily, left_today=answer.num_allowed_now)

    # ---- its data

    def files(self, slug: str, at_most: int | None = None) -> tuple[RemoteFile, ...]:
        """Return the data files, all of them or the first ones that reach ``at_most``."""
        from kagglesdk.competitions.types.competition_api_service import ApiListDataFilesRequest

        request = ApiListDataFilesRequest()
        request.competition_name = slug
        found: list[RemoteFile] = []
        for answer in _answers(self._api.list_data_files, request):
            found += [
                RemoteFile(name=file.name or "", bytes=file.total_bytes, created=_iso(file.creation_date) or "")
                for file in answer.files or []
            ]
            if at_most is not None and len(found) >= at_most:
                break
        return tuple(found)

    def data_size(self, slug: str) -> tuple[int, int]:
        """Return (number of files, bytes) of all data in one call, or by listing where a server has no such call."""
        from kagglesdk.competitions.types.competition_api_service import ApiGetCompetitionDataFilesSummaryRequest

        request = ApiGetCompetitionDataFilesSummaryRequest()
        request.competition_name = slug
        try:
            summary = self._api.get_competition_data_files_summary(request).file_summary_info
        except NotFound:
            files = self.files(slug)
            return len(files), sum(file.bytes for file in files)
        kinds = (summary.file_types or []) if summary else []
        return (summary.total_file_count if summary else 0, sum(kind.total_size for kind in kinds))

    def archive_address(self, slug: str) -> str:
        """Ask for a signed address of all data in one archive; it holds for some minutes."""
        from kagglesdk.competitions.types.competition_api_service import ApiDownloadDataFilesRequest

        request = ApiDownloadDataFilesRequest()
        request.competition_name = slug
        return str(self._api.download_data_files(request).url)

    def file_address(self, slug: str, name: str) -> str:
        """Ask for a signed address of one file; when its path ends in ``.zip``, the file lies in such a wrapper."""
        from kagglesdk.competitions.types.competition_api_service import ApiDownloadDataFileRequest

        request = ApiDownloadDataFileRequest()
        request.competition_name = slug
        request.file_name = name
        return str(self._api.download_data_file(request).url)

    def download(
        self,
        sign_address: Callable[[], str],
        target: Path,
        *,
        label: str,
        require_space: Callable[[int], None],
        on_progress: OnProgress,
    ) -> Path:
        """Bring a signed address to ``target``, resuming what is there of it (see ``download.download``)."""
        return download(
            self._transport.send,
            sign_address,
            target,
            label=label,
            retry=self._transport.retry,
            require_space=require_space,
            on_progress=on_progress,
        )

    # ---- handing in

    def submit(
        self,
        slug: str,
        file: Path,
        message: str = "",
        on_progress: OnProgress = lambda progress: None,
        *,
        description: str | None = None,
    ) -> SentSubmission:
        """Upload ``file`` and hand it in exactly once; the score comes later (``wait_for_score``).

        A caller that may be killed makes the ``description`` (``sending.unique_description``) and keeps it before it
        calls, so that the next process can ask ``find_submission`` whether this one came through.

        Raises:
            ActionNeeded: no submission is left today, or the rules are not accepted.
            CompetitionUnusable: the competition takes no files, or none any more.
        """
        sending.refuse_what_kaggle_would(self.competition(slug), self.limits(slug))
        description = description or sending.unique_description(message)
        token = sending.upload(self._api, self._transport, slug, file, on_progress)
        ref = sending.create(self._api, self._transport.retry, slug, token, description)
        return SentSubmission(ref=ref, description=description)

    def submit_notebook(
        self,
        slug: str,
        title: str,
        source: str,
        on_progress: OnProgress = lambda progress: None,
        *,
        description: str,
        timeout_seconds: float = notebooks.LONGEST_RUN_SECONDS,
    ) -> SentSubmission:
        """Push a notebook, wait until Kaggle has run it, and hand in what it wrote; the score comes later.

        Called again with the same title, it goes on with the notebook that was pushed before.

        Raises:
            NoValidSubmission: the notebook failed on Kaggle.
            ActionNeeded: no submission is left today, or the rules are not accepted.
        """
        from kagglesdk.kernels.services.kernels_api_service import KernelsApiClient

        sending.refuse_without_submissions(self.competition(slug), self.limits(slug))
        owner = self.account()
        if not owner:
            raise ActionNeeded(
                "Kaggle does not say whose credentials these are.", "Set KAGGLE_USERNAME and KAGGLE_KEY."
            )
        kernels = KernelsApiClient(self._transport)
        pushed = notebooks.push(kernels, owner, slug, title, source)
        notebooks.wait_until_run(kernels, pushed, on_progress, timeout_seconds)
        return SentSubmission(ref=notebooks.create(self._api, slug, pushed, description), description=description)

    def submission(self, ref: int) -> SentSubmission:
        """Return one submission as Kaggle knows it now."""
        from kagglesdk.competitions.types.competition_api_service import ApiGetSubmissionRequest

        request = ApiGetSubmissionRequest()
        request.ref = ref
        return _sent(self._api.get_submission(request))

    def submissions(self, slug: str) -> tuple[SentSubmission, ...]:
        """Return all submissions of the account's team, the newest first."""
        from kagglesdk.competitions.types.competition_api_service import ApiListSubmissionsRequest

        request = ApiListSubmissionsRequest()
        request.competition_name = slug
        try:
            answers = list(_answers(self._api.list_submissions, request))
        except ActionNeeded:
            self.competition(slug)  # Kaggle refuses with the same words when there is no such competition
            raise
        return tuple(_sent(row) for answer in answers for row in answer.submissions or [])

    def find_submission(self, slug: str, description: str) -> SentSubmission | None:
        """Return the submission with exactly this description, None when Kaggle lists none."""
        return next((sent for sent in self.submissions(slug) if sent.description == description), None)

    def wait_for_score(
        self, slug: str, ref: int, *, timeout_seconds: float = 600.0, on_progress: OnProgress = lambda progress: None
    ) -> SentSubmission:
        """Poll until Kaggle has scored submission ``ref``; after the time-out return it as still pending."""
        sent = sending.wait(lambda: self.submission(ref), timeout_seconds, on_progress)
        return sending.with_rank(sent, lambda: self._rank(slug)) if sent.status == "complete" else sent

    def leaderboard(self, slug: str, at_most: int | None = None) -> tuple[Standing, ...]:
        """Return the public leaderboard, the best first."""
        from kagglesdk.competitions.types.competition_api_service import ApiGetLeaderboardRequest

        request = ApiGetLeaderboardRequest()
        request.competition_name = slug
        rows: list[Standing] = []
        for answer in _answers(self._api.get_leaderboard, request):
            for row in answer.submissions or []:
                rows.append(Standing(rank=len(rows) + 1, team=row.team_name or "", score=_score(row.score)))
            if at_most is not None and len(rows) >= at_most:
                break
        return tuple(rows)

    def _rank(self, slug: str) -> tuple[int | None, int | None]:
        """Kaggle's facts name the account's rank; where they do not, its team is looked up in the leaderboard."""
        from kagglesdk.competitions.types.competition_api_service import (
            ApiGetCompetitionRequest,
            ApiListSubmissionsRequest,
        )

        request = ApiGetCompetitionRequest()
        request.competition_name = slug
        facts = self._api.get_competition(request)
        teams = facts.team_count or None
        if facts.user_rank:
            return facts.user_rank, teams
        mine = ApiListSubmissionsRequest()
        mine.competition_name = slug
        rows = self._api.list_submissions(mine).submissions or []
        team = next((row.team_name for row in rows if row.team_name), "")
        board = self.leaderboard(slug, at_most=sending.DEEPEST_RANK)
        rank = next((row.rank for row in board if team and row.team == team), None)
        return rank, teams


def _answers(call: Callable[[Any], Any], request: Any) -> Iterator[Any]:
    """Yield answer after answer while Kaggle names a next page."""
    request.page_size = PAGE_SIZE
    seen = {""}
    for _ in range(MOST_PAGES):
        answer = call(request)
        yield answer
        token = answer.next_page_token or ""
        if token in seen:
            return
        seen.add(token)
        request.page_token = token


def _competition(slug: str, answer: ApiCompetition) -> Competition:
    wording = (answer.evaluation_metric or "").strip()
    return Competition(
        slug=slug,
        title=answer.title or slug,
        url=answer.url or f"https://www.kaggle.com/competitions/{slug}",
        category=answer.category or "",
        metric=MetricFinding(wording=wording, source="field") if wording else MetricFinding(),
        deadline=_iso(answer.deadline),
        limits=SubmissionLimits(daily=answer.max_daily_submissions or None),
        user_has_entered=answer.user_has_entered,
        is_code_competition=answer.is_kernels_submissions_only,
        submissions_disabled=answer.submissions_disabled,
        gates=gates_from_fields(answer.max_daily_submissions, answer.max_team_size),
    )


def _sent(row: ApiSubmission) -> SentSubmission:
    from kagglesdk.competitions.types.submission_status import SubmissionStatus

    names = {SubmissionStatus.COMPLETE: "complete", SubmissionStatus.ERROR: "error"}
    return SentSubmission(
        ref=row.ref,
        description=row.description or "",
        date=_iso(row.date) or "",
        status=names.get(row.status, "pending"),  # type: ignore[arg-type]
        public_score=_score(row.public_score),
        private_score=_score(row.private_score),
        error=row.error_description or "",
    )


def _score(text: str | None) -> float | None:
    try:
        score = float(text or "")
    except ValueError:
        return None
    return score if math.isfinite(score) else None


def _iso(moment: dt.datetime | None) -> str | None:
    """The SDK's times are naive UTC."""
    return None if moment is None else moment.replace(tzinfo=None).isoformat(timespec="seconds") + "Z"
