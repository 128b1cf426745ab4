"""The calls of Kaggle's competition API; this file answers each from what the host, the storage and the desk know.

Texts of refusals are Kaggle's where they are known, and of the same meaning where they are not.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from autokaggle.practice.calls import Call
from autokaggle.practice.faults import Faults
from autokaggle.practice.grader import SCORE_DECIMALS
from autokaggle.practice.hosted_competition import HostedCompetition
from autokaggle.practice.notebook_service import NotebookService
from autokaggle.practice.object_storage import ObjectStorage
from autokaggle.practice.replies import Refusal, Reply, json_reply
from autokaggle.practice.submission_desk import Standing, Submission, SubmissionDesk
from autokaggle.practice.upload_slots import UploadSlots

PAGE_SIZE = 20
LARGEST_PAGE_SIZE = 200
TOKEN_PREFIX = "from-"  # noqa: S105 - a position in a list, no secret

RULES_NOT_ACCEPTED = "You must accept this competition's rules before you'll be able to download files."
PARTICIPATE_DENIED = "Permission 'competitions.participate' was denied"
GET_DENIED = "Permission 'competitions.get' was denied"


class CompetitionService:
    """Answers CompetitionApiService; ``methods`` names what it knows."""

    def __init__(
        self,
        competitions: Mapping[str, HostedCompetition],
        storage: ObjectStorage,
        slots: UploadSlots,
        desk: SubmissionDesk,
        faults: Faults,
        notebooks: NotebookService,
    ) -> None:
        self._competitions = competitions
        self._storage = storage
        self._slots = slots
        self._desk = desk
        self._faults = faults
        self._notebooks = notebooks
        self.methods: dict[str, Callable[[Call], Reply]] = {
            "ListCompetitions": self._list_competitions,
            "GetCompetition": self._get_competition,
            "ListCompetitionPages": self._list_pages,
            "ListDataFiles": self._list_files,
            "GetCompetitionDataFilesSummary": self._summarize_files,
            "DownloadDataFile": self._download_file,
            "DownloadDataFiles": self._download_archive,
            "StartSubmissionUpload": self._start_upload,
            "CreateSubmission": self._create_submission,
            "CreateCodeSubmission": self._create_code_submission,
            "GetSubmission": self._get_submission,
            "ListSubmissions": self._list_submissions,
            "GetSubmissionLimits": self._get_limits,
            "GetLeaderboard": self._get_leaderboard,
        }

    def _list_competitions(self, call: Call) -> Reply:
        wanted = call.text("search").lower()
        found = [each for each in self._competitions.values() if wanted in f"{each.slug} {each.title}".lower()]
        return _page(call, "competitions", [self._metadata(each, call) for each in found])

    def _get_competition(self, call: Call) -> Reply:
        return json_reply(self._metadata(self._competition(call), call))

    def _list_pages(self, call: Call) -> Reply:
        wanted = call.text("pageName")
        pages = [page for page in self._competition(call).pages if wanted in ("", page["name"])]
        return json_reply({"pages": pages})

    def _list_files(self, call: Call) -> Reply:
        competition = self._competition(call)
        files = [
            {
                "ref": file.name,
                "name": file.name,
                "totalBytes": file.size_bytes,
                "url": f"{competition.url}/data",
                "creationDate": _timestamp(file.created),
            }
            for file in competition.files.values()
        ]
        return _page(call, "files", files)

    def _summarize_files(self, call: Call) -> Reply:
        by_extension: dict[str, list[int]] = {}
        files = self._competition(call).files
        for name, file in files.items():
            by_extension.setdefault(PurePosixPath(name).suffix, []).append(file.size_bytes)
        kinds = [
            {"extension": extension, "fileCount": len(sizes), "totalSize": sum(sizes)}
            for extension, sizes in sorted(by_extension.items())
        ]
        return json_reply({"fileSummaryInfo": {"totalFileCount": len(files), "fileTypes": kinds}})

    def _download_file(self, call: Call) -> Reply:
        competition = self._competition(call)
        self._require_rules(competition, call, RULES_NOT_ACCEPTED)
        name = call.text("fileName")
        if name not in competition.files:
            raise Refusal(404, "NotFound")
        return Reply(302, {"Location": self._storage.file_link(call.storage_host, competition, name)})

    def _download_archive(self, call: Call) -> Reply:
        competition = self._competition(call)
        self._require_rules(competition, call, RULES_NOT_ACCEPTED)
        return Reply(302, {"Location": self._storage.archive_link(call.storage_host, competition)})

    def _start_upload(self, call: Call) -> Reply:
        self._require_rules(self._competition(call), call, PARTICIPATE_DENIED)
        name, size = call.text("fileName"), call.number("contentLength")
        if not name or size <= 0:
            raise Refusal(400, "fileName and contentLength are required")
        slot = self._slots.open(call.username, name, size)
        return json_reply({"token": slot.token, "createUrl": self._slots.link(call.storage_host, slot)})

    def _create_submission(self, call: Call) -> Reply:
        competition = self._open_competition(call)
        if competition.settings.get("isKernelsSubmissionsOnly"):
            raise Refusal(400, "This competition only accepts submissions from notebooks")
        slot = self._slots.take(call.username, call.text("blobFileTokens"))
        submission = self._desk.hand_in(competition, slot, call.text("submissionDescription"), call.path)
        return json_reply({"message": f"Successfully submitted to {competition.title}", "ref": submission.reference})

    def _create_code_submission(self, call: Call) -> Reply:
        competition = self._open_competition(call)
        notebook = self._notebooks.find(call.text("kernelOwner"), call.text("kernelSlug"))
        if notebook.owner != call.username or notebook.version != call.number("kernelVersion"):
            raise Refusal(404, "The notebook's version was not found")
        if notebook.status != "COMPLETE" or competition.slug not in notebook.competitions:
            raise Refusal(400, "The notebook's version has no output for this competition")
        slot = self._slots.open(call.username, call.text("fileName"), len(notebook.submission))
        slot.content.extend(notebook.submission)
        submission = self._desk.hand_in(competition, slot, call.text("submissionDescription"), call.path)
        return json_reply({"message": f"Successfully submitted to {competition.title}", "ref": submission.reference})

    def _get_submission(self, call: Call) -> Reply:
        return json_reply(_submission_row(self._desk.find(call.username, call.number("ref"))))

    def _list_submissions(self, call: Call) -> Reply:
        competition = self._competition(call)
        self._require_rules(competition, call, PARTICIPATE_DENIED)
        rows = [_submission_row(each) for each in self._desk.submissions(competition, call.username)]
        if call.text("group").endswith("SUCCESSFUL"):
            rows = [row for row in rows if row["status"] == "COMPLETE"]
        return _page(call, "submissions", rows)

    def _get_limits(self, call: Call) -> Reply:
        return json_reply(self._desk.limits(self._competition(call), call.username))

    def _get_leaderboard(self, call: Call) -> Reply:
        rows = self._desk.leaderboard(self._competition(call))
        return _page(call, "submissions", [_standing_row(place, row) for place, row in enumerate(rows, start=1)])

    def _competition(self, call: Call) -> HostedCompetition:
        competition = self._competitions.get(call.text("competitionName"))
        if competition is None:
            # Kaggle does not tell an unknown competition from one that the account may not see.
            raise Refusal(403, GET_DENIED)
        return competition

    def _open_competition(self, call: Call) -> HostedCompetition:
        """Return the competition, which must take submissions of this account."""
        competition = self._competition(call)
        self._require_rules(competition, call, PARTICIPATE_DENIED)
        if competition.settings.get("submissionsDisabled"):
            raise Refusal(400, "Submissions are disabled for this competition")
        return competition

    def _has_entered(self, competition: HostedCompetition, call: Call) -> bool:
        return competition.user_has_entered and self._faults.take("rules_not_accepted", call.path) is None

    def _require_rules(self, competition: HostedCompetition, call: Call, refusal: str) -> None:
        if not self._has_entered(competition, call):
            raise Refusal(403, refusal)

    def _metadata(self, competition: HostedCompetition, call: Call) -> dict[str, Any]:
        has_submitted = self._desk.limits(competition, call.username)["numTotal"] > 0
        return {
            "teamCount": len(competition.baselines) + has_submitted,
            **competition.metadata(),
            "userHasEntered": self._has_entered(competition, call),
        }


def _page(call: Call, name: str, rows: Sequence[Mapping[str, Any]]) -> Reply:
    """Return one page of ``rows`` and, when there are more, the token of the next."""
    size = min(call.number("pageSize") or PAGE_SIZE, LARGEST_PAGE_SIZE)
    token = call.text("pageToken")
    position = token.removeprefix(TOKEN_PREFIX)
    if size < 0 or (token and not (token.startswith(TOKEN_PREFIX) and position.isascii() and position.isdigit())):
        raise Refusal(400, "pageSize or pageToken is invalid")
    start = int(position) if token else max(0, call.number("page", 1) - 1) * size
    more = start + size < len(rows)
    return json_reply(
        {name: rows[start : start + size], "nextPageToken": f"{TOKEN_PREFIX}{start + size}" if more else ""}
    )


def _submission_row(submission: Submission) -> dict[str, Any]:
    status, scores = submission.status, submission.scores
    shows_private = submission.competition.shows_private_scores
    return {
        "ref": submission.reference,
        "totalBytes": submission.file.size_bytes,
        "date": _timestamp(submission.date),
        "description": submission.description,
        "errorDescription": submission.rejection if status == "ERROR" else "",
        "fileName": submission.file.file_name,
        "publicScore": _score(scores.public) if scores else "",
        "privateScore": _score(scores.private) if scores and shows_private else "",
        "status": status,
        "submittedBy": submission.file.username,
        "submittedByRef": submission.file.username,
        "teamName": submission.file.username,
        "url": f"{submission.competition.url}/submissions/{submission.reference}",
    }


def _standing_row(place: int, standing: Standing) -> dict[str, Any]:
    return {
        "teamId": place,
        "teamName": standing.team,
        "submissionDate": _timestamp(standing.date),
        "score": _score(standing.score),
    }


def _score(value: float) -> str:
    return f"{value:.{SCORE_DECIMALS}f}"


def _timestamp(moment: dt.datetime) -> str:
    """Return the moment as Kaggle writes it: UTC, seven decimals, Z."""
    return f"{moment.astimezone(dt.UTC):%Y-%m-%dT%H:%M:%S.%f}0Z"
