"""Submitting to the practice Kaggle: uploads, limits, scores and the leaderboard."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
from kagglesdk.competitions.types import competition_api_service as api
from kagglesdk.competitions.types.submission_status import SubmissionStatus

from autokaggle.practice.accounts import DEMO_USERNAME
from autokaggle.practice.kaggle_server import PracticeKaggle
from tests.practice_world import (
    CREDENTIALS,
    SLUG,
    TRUTH,
    asked,
    call,
    hand_in,
    make_competition,
    official_client,
    open_slot,
    submission,
)


@pytest.fixture
def kaggle(tmp_path: Path) -> Iterator[PracticeKaggle]:
    make_competition(tmp_path)
    with PracticeKaggle(tmp_path) as server:
        yield server


def test_official_client_submits_and_sees_the_score(tmp_path: Path) -> None:
    make_competition(tmp_path)
    content = submission({number: price + 1 for number, price in TRUTH.items()})
    with PracticeKaggle(tmp_path, scoring_seconds=1.0) as kaggle, official_client(kaggle) as client:
        slot = client.start_submission_upload(
            asked(
                api.ApiStartSubmissionUploadRequest,
                competition_name=SLUG,
                file_name="submission.csv",
                content_length=len(content),
                last_modified_epoch_seconds=1,
            )
        )
        assert requests.put(slot.create_url, data=content, timeout=10).status_code == 200
        created = client.create_submission(
            asked(
                api.ApiCreateSubmissionRequest,
                competition_name=SLUG,
                blob_file_tokens=slot.token,
                submission_description="one off",
            )
        )
        assert created.message == "Successfully submitted to Small houses"
        state = client.get_submission(asked(api.ApiGetSubmissionRequest, ref=created.ref))
        assert (state.status, state.public_score) == (SubmissionStatus.PENDING, "")
        deadline = time.monotonic() + 120
        while state.status == SubmissionStatus.PENDING and time.monotonic() < deadline:
            time.sleep(0.05)
            state = client.get_submission(asked(api.ApiGetSubmissionRequest, ref=created.ref))
        listed = client.list_submissions(asked(api.ApiListSubmissionsRequest, competition_name=SLUG)).submissions
    assert (state.status, state.public_score, state.private_score) == (SubmissionStatus.COMPLETE, "1.00000", "")
    assert (state.description, state.file_name, state.total_bytes) == ("one off", "submission.csv", len(content))
    assert [each.ref for each in listed] == [created.ref]


def test_private_scores_appear_after_the_deadline(tmp_path: Path) -> None:
    make_competition(tmp_path, deadline="2020-01-01T00:00:00Z")
    with PracticeKaggle(tmp_path) as kaggle:
        reference = hand_in(kaggle, submission(dict.fromkeys(TRUTH, 10.0))).json()["ref"]
        state = call(kaggle, "GetSubmission", ref=reference).json()
    # public rows are 11, 13, 15, 17, private ones 12, 14, 16, 18
    assert (state["publicScore"], state["privateScore"]) == ("4.00000", "5.00000")


def test_the_leaderboard_ranks_the_best_of_the_account_among_the_baselines(kaggle: PracticeKaggle) -> None:
    for offset in (7.0, 1.0):
        hand_in(kaggle, submission({number: price + offset for number, price in TRUTH.items()}))
    with official_client(kaggle) as client:
        rows = client.get_leaderboard(asked(api.ApiGetLeaderboardRequest, competition_name=SLUG)).submissions
    assert [(row.team_name, row.score) for row in rows] == [(DEMO_USERNAME, "1.00000"), ("always ten", "4.00000")]
    assert call(kaggle, "GetCompetition", competitionName=SLUG).json()["teamCount"] == 2


def test_the_leaderboard_puts_the_greater_score_first_where_greater_is_better(tmp_path: Path) -> None:
    make_competition(tmp_path, evaluationMetric="Categorization Accuracy")
    with PracticeKaggle(tmp_path) as kaggle:
        hand_in(kaggle, submission(TRUTH))
        rows = call(kaggle, "GetLeaderboard", competitionName=SLUG).json()["submissions"]
    assert [(row["teamName"], row["score"]) for row in rows] == [(DEMO_USERNAME, "1.00000"), ("always ten", "0.00000")]


RIGHT = submission(TRUTH).decode()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (RIGHT.replace("id,price", "id,cost").encode(), "columns must be id, price"),
        (RIGHT.replace("18,18.0\n", "").encode(), "1 ids are missing"),
        (RIGHT.replace("18,18.0", "99,18.0").encode(), "1 are unknown"),
        (RIGHT.replace("18,18.0", "17,18.0").encode(), "occurs twice"),
        (RIGHT.replace("18,18.0", "18,").encode(), "empty values"),
        (RIGHT.replace("18,18.0", "18,high").encode(), "not a number"),
        (RIGHT.replace("18,18.0", "18,nan").encode(), "not finite"),
        (RIGHT.replace("18,18.0", "18").encode(), "Line 9 does not have 2 values"),
        (b"\xff\xfe\x00", "not UTF-8"),
        (b"\n", "empty"),
    ],
)
def test_a_wrong_file_is_accepted_and_ends_as_an_error_with_its_reason(
    kaggle: PracticeKaggle, content: bytes, reason: str
) -> None:
    reference = hand_in(kaggle, content).json()["ref"]
    state = call(kaggle, "GetSubmission", ref=reference).json()
    assert (state["status"], state["publicScore"]) == ("ERROR", "")
    assert reason in state["errorDescription"]
    successful = call(kaggle, "ListSubmissions", competitionName=SLUG, group="SUBMISSION_GROUP_SUCCESSFUL").json()
    assert successful["submissions"] == []


def test_the_limit_of_the_day_is_counted_and_kept(kaggle: PracticeKaggle) -> None:
    right = submission(TRUTH)
    left = []
    for _ in range(3):
        left.append(call(kaggle, "GetSubmissionLimits", competitionName=SLUG).json()["numAllowedNow"])
        assert hand_in(kaggle, right).status_code == 200
    refused = hand_in(kaggle, right)
    with official_client(kaggle) as client:
        limits = client.get_submission_limits(asked(api.ApiGetSubmissionLimitsRequest, competition_name=SLUG))
    assert left == [3, 2, 1]
    assert refused.status_code == 400
    assert "limit" in refused.json()["error"]["message"]
    assert (limits.num_today, limits.num_total, limits.num_allowed_now) == (3, 3, 0)
    assert len(call(kaggle, "ListSubmissions", competitionName=SLUG).json()["submissions"]) == 3


def test_a_limit_in_total_is_told_apart(tmp_path: Path) -> None:
    make_competition(tmp_path, maxTotalSubmissions=1)
    with PracticeKaggle(tmp_path) as kaggle:
        hand_in(kaggle, submission(TRUTH))
        limits = call(kaggle, "GetSubmissionLimits", competitionName=SLUG).json()
    assert (limits["numAllowedNow"], limits["limitedByTotal"]) == (0, True)


@pytest.mark.parametrize("setting", ["submissionsDisabled", "isKernelsSubmissionsOnly"])
def test_a_competition_that_takes_no_files_refuses_them(tmp_path: Path, setting: str) -> None:
    settings: dict[str, Any] = {setting: True}
    make_competition(tmp_path, **settings)
    with PracticeKaggle(tmp_path) as kaggle:
        assert hand_in(kaggle, submission(TRUTH)).status_code == 400


def test_who_has_not_entered_sees_the_competition_but_gets_no_data(tmp_path: Path) -> None:
    make_competition(tmp_path, userHasEntered=False)
    with PracticeKaggle(tmp_path) as kaggle:
        assert call(kaggle, "GetCompetition", competitionName=SLUG).json()["userHasEntered"] is False
        assert call(kaggle, "ListDataFiles", competitionName=SLUG).status_code == 200
        archive = call(kaggle, "DownloadDataFiles", competitionName=SLUG)
        submissions = call(kaggle, "ListSubmissions", competitionName=SLUG)
    assert (archive.status_code, submissions.status_code) == (403, 403)
    assert "accept this competition's rules" in archive.json()["error"]["message"]
    assert submissions.json()["error"]["message"] == "Permission 'competitions.participate' was denied"


# ---------------------------------------------------------------- uploads


def test_an_upload_can_be_continued_where_it_stopped(kaggle: PracticeKaggle) -> None:
    content = submission(TRUTH)
    size = len(content)
    token, address = open_slot(kaggle, content)

    def put(body: bytes, content_range: str) -> requests.Response:
        return requests.put(address, data=body, headers={"Content-Range": content_range}, timeout=10)

    nothing = put(b"", f"bytes */{size}")
    first = put(content[:20], f"bytes 0-19/{size}")
    gap = put(content[30:], f"bytes 30-{size - 1}/{size}")
    status = put(b"", f"bytes */{size}")
    overlap = put(content[10:], f"bytes 10-{size - 1}/{size}")
    done = put(b"", f"bytes */{size}")
    assert (nothing.status_code, "Range" in nothing.headers) == (308, False)
    assert (first.status_code, first.headers["Range"]) == (308, "bytes=0-19")
    assert gap.status_code == 400
    assert (status.status_code, status.headers["Range"]) == (308, "bytes=0-19")
    assert (overlap.status_code, done.status_code) == (200, 200)
    created = call(kaggle, "CreateSubmission", competitionName=SLUG, blobFileTokens=token)
    assert call(kaggle, "GetSubmission", ref=created.json()["ref"]).json()["publicScore"] == "0.00000"


def test_an_upload_of_another_size_is_refused(kaggle: PracticeKaggle) -> None:
    _, address = open_slot(kaggle, b"12345")
    assert requests.put(address, data=b"1234", timeout=10).status_code == 400
    assert requests.put(address, data=b"123456", timeout=10).status_code == 400
    wrong = {"Content-Range": "bytes 0-1/9"}
    assert requests.put(address, data=b"12", headers=wrong, timeout=10).status_code == 400


def test_a_submission_needs_a_complete_upload_that_was_not_used_before(kaggle: PracticeKaggle) -> None:
    content = submission(TRUTH)
    token, address = open_slot(kaggle, content)
    early = call(kaggle, "CreateSubmission", competitionName=SLUG, blobFileTokens=token)
    requests.put(address, data=content, timeout=10)
    first = call(kaggle, "CreateSubmission", competitionName=SLUG, blobFileTokens=token)
    again = call(kaggle, "CreateSubmission", competitionName=SLUG, blobFileTokens=token)
    unknown = call(kaggle, "CreateSubmission", competitionName=SLUG, blobFileTokens="upload-0")
    assert [each.status_code for each in (early, first, again, unknown)] == [400, 200, 400, 400]
    assert "0 of" in early.json()["error"]["message"]


def test_an_upload_link_takes_no_credentials_and_must_be_known(kaggle: PracticeKaggle) -> None:
    _, address = open_slot(kaggle, b"12345")
    assert requests.put(address, data=b"12345", auth=CREDENTIALS, timeout=10).status_code == 400
    unknown = requests.put(f"{address}x", data=b"12345", timeout=10)
    assert (unknown.status_code, unknown.headers["Content-Type"][:15]) == (404, "application/xml")


def test_the_daily_limit_holds_against_many_threads(kaggle: PracticeKaggle) -> None:
    with ThreadPoolExecutor(8) as threads:
        statuses = list(threads.map(lambda _: hand_in(kaggle, submission(TRUTH)).status_code, range(8)))
    assert sorted(statuses) == [200] * 3 + [400] * 5
