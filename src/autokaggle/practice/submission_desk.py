"""Where submissions are handed in; this file counts them, scores them after a while and ranks them."""

from __future__ import annotations

import datetime as dt
import itertools
import threading
import time
from dataclasses import dataclass
from typing import Any, Literal

from autokaggle.practice.faults import Faults
from autokaggle.practice.grader import RejectedFile, Scores, find_metric, grade
from autokaggle.practice.hosted_competition import HostedCompetition
from autokaggle.practice.replies import Refusal
from autokaggle.practice.upload_slots import UploadSlot

FIRST_REFERENCE = 40_000_001


@dataclass
class Submission:
    """One file handed in. ``scores`` or ``rejection`` is set when it is looked at after it was due."""

    reference: int
    competition: HostedCompetition
    file: UploadSlot
    description: str
    date: dt.datetime
    due: float
    scores: Scores | None = None
    rejection: str = ""

    @property
    def status(self) -> Literal["PENDING", "COMPLETE", "ERROR"]:
        if time.monotonic() < self.due:
            return "PENDING"
        return "COMPLETE" if self.scores else "ERROR"


@dataclass(frozen=True)
class Standing:
    """One row of a leaderboard."""

    team: str
    score: float
    date: dt.datetime


class SubmissionDesk:
    """All submissions of all accounts; safe to use from several threads.

    A submission is scored when somebody looks at it ``scoring_seconds`` after it was handed in, or later.
    """

    def __init__(self, faults: Faults, scoring_seconds: float) -> None:
        self._faults = faults
        self._scoring_seconds = scoring_seconds
        self._lock = threading.RLock()
        self._references = itertools.count(FIRST_REFERENCE)
        self._submissions: dict[int, Submission] = {}
        self._baselines: dict[str, list[Standing]] = {}

    def limits(self, competition: HostedCompetition, username: str) -> dict[str, Any]:
        """Return the fields of GetSubmissionLimits; a day is a day in UTC."""
        with self._lock:
            mine = self._of(competition, username)
        today = sum(each.date.date() == _now().date() for each in mine)
        left_today = competition.daily_submissions - today
        left_at_all = left_today if competition.total_submissions is None else competition.total_submissions - len(mine)
        return {
            "numToday": today,
            "numTotal": len(mine),
            "numAllowedNow": max(0, min(left_today, left_at_all)),
            "limitedByTotal": left_at_all < left_today,
        }

    def hand_in(self, competition: HostedCompetition, file: UploadSlot, description: str, path: str) -> Submission:
        """Take ``file`` as a submission; ``path`` is the request's, for faults.

        Raises:
            Refusal: 400, the limit of the day, or of the competition, is reached.
        """
        fails = self._faults.take("scoring_error", path)
        never = self._faults.take("pending_forever", path) is not None
        with self._lock:
            if self.limits(competition, file.username)["numAllowedNow"] == 0:
                raise Refusal(
                    400, "Submission not allowed: the limit of submissions is reached. Try again tomorrow (UTC)."
                )
            submission = Submission(
                reference=next(self._references),
                competition=competition,
                file=file,
                description=description,
                date=_now(),
                due=float("inf") if never else time.monotonic() + self._scoring_seconds,
                rejection="" if fails is None else str(fails["message"]),
            )
            self._submissions[submission.reference] = submission
            return submission

    def find(self, username: str, reference: int) -> Submission:
        """Return one submission of the account, scored if it is due.

        Raises:
            Refusal: 404, the account has no such submission.
        """
        with self._lock:
            submission = self._submissions.get(reference)
            if submission is None or submission.file.username != username:
                raise Refusal(404, f"Submission {reference} was not found")
            return self._settled(submission)

    def submissions(self, competition: HostedCompetition, username: str) -> list[Submission]:
        """Return the account's submissions to a competition, newest first, scored where due."""
        with self._lock:
            return [self._settled(each) for each in reversed(self._of(competition, username))]

    def leaderboard(self, competition: HostedCompetition) -> list[Standing]:
        """Return the best public score of every account and the host's baselines, best first."""
        metric = find_metric(competition.metric)
        if metric is None:
            return []
        sign = -1.0 if metric.greater_is_better else 1.0
        with self._lock:
            rows = [*self._host_standings(competition), *self._account_standings(competition)]
        rows.sort(key=lambda row: (sign * row.score, row.date))
        best: dict[str, Standing] = {}
        for row in rows:
            best.setdefault(row.team, row)
        return list(best.values())

    def _of(self, competition: HostedCompetition, username: str | None = None) -> list[Submission]:
        return [
            each
            for each in self._submissions.values()
            if each.competition.slug == competition.slug and username in (None, each.file.username)
        ]

    def _settled(self, submission: Submission) -> Submission:
        if submission.status != "PENDING" and not submission.scores and not submission.rejection:
            competition = submission.competition
            try:
                submission.scores = grade(bytes(submission.file.content), competition.solution, competition.metric)
            except RejectedFile as error:
                submission.rejection = str(error)
        return submission

    def _host_standings(self, competition: HostedCompetition) -> list[Standing]:
        if competition.slug not in self._baselines:
            self._baselines[competition.slug] = [
                Standing(
                    path.stem,
                    grade(path.read_bytes(), competition.solution, competition.metric).public,
                    dt.datetime.fromtimestamp(path.stat().st_mtime, dt.UTC),
                )
                for path in competition.baselines
            ]
        return self._baselines[competition.slug]

    def _account_standings(self, competition: HostedCompetition) -> list[Standing]:
        settled = [self._settled(each) for each in self._of(competition)]
        return [Standing(each.file.username, each.scores.public, each.date) for each in settled if each.scores]


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
