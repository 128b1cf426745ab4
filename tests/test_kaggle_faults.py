"""Every fault of a loopback Kaggle against our client: outcome, exit code, message, and bytes on disk.

docs/kaggle.md has these as a table for users.
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from autokaggle.errors import ActionNeeded, AutoKaggleError, CompetitionUnusable, OutsideWorldError
from autokaggle.records.competition import Competition
from autokaggle.skills.competition.fetcher import fetch_competition
from autokaggle.skills.competition.retries import RetryPolicy
from autokaggle.storage.artifacts import RunFolder
from autokaggle.storage.dataset_cache import DatasetCache
from tests.kaggle_servers import (
    BOTH_SERVERS,
    SLUG,
    KaggleServer,
    contents,
    data_of,
    open_client,
    serve,
    write_competition,
)

RULES_PAGE = f"https://www.kaggle.com/competitions/{SLUG}/rules"


@pytest.fixture(params=BOTH_SERVERS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def server(kind: str, request: pytest.FixtureRequest, competition: Path) -> Iterator[KaggleServer]:
    with serve(kind, request, competition.parent) as running:
        yield running


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path / "runs", "one")


def fetch(server: KaggleServer, run: RunFolder) -> Competition:
    with open_client(server) as client:
        return fetch_competition(client, SLUG, run, DatasetCache(run.path.parent.parent / "cache"), lambda _: None)


def submit(server: KaggleServer, competition: Path, **options: Any) -> Any:
    with open_client(server, **options) as client:
        sent = client.submit(SLUG, competition / "data" / "sample_submission.csv", "fault")
        return client.wait_for_score(SLUG, sent.ref, timeout_seconds=0.5)


def submissions(server: KaggleServer) -> list[str]:
    with open_client(server) as client:
        return [sent.description for sent in client.submissions(SLUG)]


# ---------------------------------------------------------------- faults that pass


PASSING: list[tuple[str, dict[str, Any]]] = [
    ("rate_limited", {"times": 2}),
    ("rate_limited", {"match": "ListDataFiles", "times": 1, "retry_after": 1}),
    ("rate_limited", {"match": "DownloadDataFiles", "times": 1, "retry_after": 1, "as_date": True}),
    ("server_error", {"times": 2}),
    ("server_error", {"status": 503, "times": 1, "skip": 2}),
    ("server_error", {"status": 502, "html": True, "match": "GetCompetition$", "times": 2}),
    ("server_error", {"status": 500, "match": "archive.zip", "times": 2}),
    ("delay", {"seconds": 0.3, "times": 2}),
    ("cut", {"after_bytes": 0, "times": 1}),
    ("cut", {"after_bytes": 300, "times": 1}),
    ("cut", {"after_bytes": 50, "times": 8}),
    ("slow", {"bytes_per_second": 20_000}),
    ("corrupt_zip", {"times": 1}),
    ("corrupt_zip", {"times": 1, "consistent_hash": True}),
    ("wrong_length", {"delta": 100, "times": 1}),
    ("wrong_length", {"delta": 100}),
    ("wrong_length", {"delta": -100, "times": 1}),
    ("no_ranges", {}),
    ("no_validators", {}),
    ("changed_object", {"times": 1}),
    ("expired_link", {"times": 1}),
]


@pytest.mark.parametrize(("fault", "options"), PASSING, ids=str)
def test_a_passing_fault_changes_nothing_but_time(
    fault: str, options: dict[str, Any], server: KaggleServer, competition: Path, run: RunFolder
) -> None:
    server.arm(fault, **options)
    started = time.monotonic()
    found = fetch(server, run)
    assert contents(run.data) == data_of(competition)
    assert {file.name for file in found.files} == set(data_of(competition))
    assert left_over(run) == []
    if "retry_after" in options:
        assert time.monotonic() - started >= 0.9


def left_over(run: RunFolder) -> list[Path]:
    cache = run.path.parent.parent / "cache"
    return [
        path for path in cache.rglob("*") if path.is_file() and (path.suffix == ".part" or "downloads" in path.parts)
    ]


# ---------------------------------------------------------------- faults that last


LASTING: list[tuple[str, dict[str, Any], type[AutoKaggleError], str]] = [
    ("rules_not_accepted", {}, ActionNeeded, RULES_PAGE),
    ("unauthorized", {}, ActionNeeded, "https://www.kaggle.com/settings/api"),
    ("unauthorized", {"match": "DownloadDataFiles"}, ActionNeeded, "credentials from kaggle.json"),
    ("not_found", {}, CompetitionUnusable, "private, or the name is misspelt"),
    ("rate_limited", {"match": "GetCompetition$"}, OutsideWorldError, "Too many requests"),
    ("rate_limited", {"match": "DownloadDataFiles$", "retry_after": 3600}, OutsideWorldError, "asks to wait for 3"),
    ("server_error", {}, OutsideWorldError, "after several attempts"),
    ("server_error", {"status": 503, "html": True}, OutsideWorldError, "(503)"),
    ("server_error", {"match": "archive.zip"}, OutsideWorldError, "storage answered 500"),
    ("cut", {"after_bytes": 0}, OutsideWorldError, "Run the same again"),
    ("corrupt_zip", {}, OutsideWorldError, "MD5 is not the one that was announced"),
    ("corrupt_zip", {"consistent_hash": True}, OutsideWorldError, "is not a whole zip archive"),
    ("zip_slip", {}, CompetitionUnusable, "nothing of it was unpacked"),
    ("expired_link", {}, OutsideWorldError, "storage answered 40"),
]


@pytest.mark.parametrize(("fault", "options", "error", "message"), LASTING, ids=str)
def test_a_lasting_fault_says_what_to_do_and_leaves_no_half_data(
    fault: str,
    options: dict[str, Any],
    error: type[AutoKaggleError],
    message: str,
    server: KaggleServer,
    run: RunFolder,
    competition: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    server.arm(fault, **options)
    before = outside(run)
    with pytest.raises(error) as raised:
        fetch(server, run)
    shown = str(raised.value)
    assert message in shown and raised.value.message and raised.value.next_step
    assert raised.value.exit_code == error.exit_code
    assert contents(run.data) == {} and contents(run.pages) == {}
    assert outside(run) == before
    for secret in (*server.credentials.secrets, "Signature="):
        assert secret not in shown
        assert all(secret.encode() not in path.read_bytes() for path in run.path.parent.parent.rglob("*.json"))
    for secret in server.credentials.secrets:
        assert secret not in caplog.text


def outside(run: RunFolder) -> set[Path]:
    """Everything beside the cache, where entries of a slipping archive would land."""
    top = run.path.parent.parent
    return {path for path in top.rglob("*") if "cache" not in path.relative_to(top).parts} | set(top.parent.glob("*"))


def test_after_a_lasting_fault_the_next_run_just_works(server: KaggleServer, competition: Path, run: RunFolder) -> None:
    server.arm("cut", after_bytes=200, times=4)
    server.arm("server_error", match="archive.zip", times=4)
    with pytest.raises(OutsideWorldError):
        fetch(server, run)
    fetch(server, run)
    assert contents(run.data) == data_of(competition)


# ---------------------------------------------------------------- what is asked again, and what is not


def test_a_cut_download_goes_on_where_it_ended(server: KaggleServer, competition: Path, run: RunFolder) -> None:
    server.arm("cut", after_bytes=400, times=1)
    fetch(server, run)
    first, second = server.downloads()
    assert "range" not in first.headers
    assert second.headers["range"] == "bytes=400-" and second.headers["if-range"].startswith('"')
    assert second.status == 206
    assert contents(run.data) == data_of(competition)
    assert len(server.calls("DownloadDataFiles")) == 1


def test_without_validators_a_cut_download_starts_again(
    server: KaggleServer, competition: Path, run: RunFolder
) -> None:
    server.arm("no_validators")
    server.arm("cut", after_bytes=400, times=2)
    fetch(server, run)
    assert all("range" not in each.headers for each in server.downloads())
    assert contents(run.data) == data_of(competition)


def test_without_ranges_a_cut_download_starts_again(server: KaggleServer, competition: Path, run: RunFolder) -> None:
    server.arm("no_ranges")
    server.arm("cut", after_bytes=400, times=1)
    fetch(server, run)
    assert [each.headers.get("range") for each in server.downloads()] == [None, "bytes=400-"]
    assert all(each.status != 206 for each in server.downloads())
    assert contents(run.data) == data_of(competition)


def test_an_object_that_changed_in_between_is_not_mixed(
    server: KaggleServer, competition: Path, run: RunFolder
) -> None:
    server.arm("cut", after_bytes=400, times=1)
    server.arm("changed_object", skip=1, times=1)
    fetch(server, run)
    assert contents(run.data) == data_of(competition)
    assert server.downloads()[1].status == 200


def test_an_expired_link_is_signed_anew_and_the_part_is_kept(
    server: KaggleServer, competition: Path, run: RunFolder
) -> None:
    server.arm("cut", after_bytes=400, times=1)
    server.arm("expired_link", skip=1, times=1)
    fetch(server, run)
    assert len(server.calls("DownloadDataFiles")) == 2
    assert server.downloads()[-1].headers["range"] == "bytes=400-"
    assert contents(run.data) == data_of(competition)


def test_storage_never_sees_credentials(server: KaggleServer, competition: Path, run: RunFolder) -> None:
    fetch(server, run)
    submit(server, competition)
    stored = [each for each in server.seen() if each.method in ("GET", "PUT")]
    assert len(stored) == 2 and all(each.authorization is None for each in stored)


def test_errors_read_the_same_in_both_envelopes(
    kind: str, request: pytest.FixtureRequest, competition: Path, run: RunFolder
) -> None:
    for envelope in ("flat", "nested"):
        with serve(kind, request, competition.parent, error_envelope=envelope) as server:
            server.arm("rules_not_accepted")
            with pytest.raises(ActionNeeded, match="You must accept this competition's rules") as raised:
                fetch(server, run)
        assert RULES_PAGE in raised.value.next_step


# ---------------------------------------------------------------- handing in


def test_an_interrupted_upload_goes_on_where_it_ended(server: KaggleServer, competition: Path) -> None:
    server.arm("upload_interrupted", match="upload", after_bytes=40, times=1)
    scored = submit(server, competition)
    assert scored.status == "complete" and scored.public_score is not None
    puts = [each.headers.get("content-range", "") for each in server.seen() if each.method == "PUT"]
    size = (competition / "data" / "sample_submission.csv").stat().st_size
    assert puts == ["", f"bytes */{size}", f"bytes 40-{size - 1}/{size}"]


def test_an_upload_slot_that_expired_is_replaced(server: KaggleServer, competition: Path) -> None:
    server.arm("not_found", match="^/upload", times=2)
    assert submit(server, competition).status == "complete"
    assert len(server.calls("StartSubmissionUpload")) == 2
    assert len(submissions(server)) == 1


def test_an_upload_sits_out_passing_trouble(server: KaggleServer, competition: Path) -> None:
    server.arm("server_error", match="^/upload", status=503, times=3)
    assert submit(server, competition).status == "complete"
    assert len(server.calls("StartSubmissionUpload")) == 1


def test_an_upload_that_never_gets_anywhere_is_given_up_unsubmitted(server: KaggleServer, competition: Path) -> None:
    server.arm("upload_interrupted", match="upload", after_bytes=0)
    with pytest.raises(OutsideWorldError, match="Nothing was submitted") as raised:
        submit(server, competition)
    assert "upload_id" not in str(raised.value)
    assert submissions(server) == []


@pytest.mark.parametrize("fault", ["server_error", "rate_limited"])
def test_a_failed_hand_in_is_looked_up_before_it_is_tried_again(
    fault: str, server: KaggleServer, competition: Path
) -> None:
    server.arm(fault, match="CreateSubmission$", times=1)
    assert submit(server, competition).status == "complete"
    calls = [each.call for each in server.seen() if each.call in ("CreateSubmission", "ListSubmissions")]
    assert calls[0] == "CreateSubmission" and calls.index("ListSubmissions") < len(calls) - 1
    assert calls.count("CreateSubmission") == 2
    assert len(submissions(server)) == 1


def test_a_hand_in_whose_answer_was_lost_is_found_and_not_repeated(
    server: KaggleServer, competition: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.arm("delay", match="CreateSubmission$", seconds=0.8)
    monkeypatch.setattr("autokaggle.skills.competition.transport.TIMEOUT_SECONDS", (5.0, 0.4))
    patient = RetryPolicy(attempts=3, first_wait_seconds=0.3, longest_wait_seconds=0.5)
    assert submit(server, competition, retry=patient).status == "complete"
    assert len(server.calls("CreateSubmission")) == 1
    assert len(submissions(server)) == 1


def test_a_hand_in_that_keeps_failing_says_where_to_look(server: KaggleServer, competition: Path) -> None:
    server.arm("server_error", match="CreateSubmission$")
    with pytest.raises(OutsideWorldError, match=r"not in the list of submissions either") as raised:
        submit(server, competition)
    assert f"https://www.kaggle.com/competitions/{SLUG}/submissions" in raised.value.next_step
    assert len(server.calls("CreateSubmission")) == 2


def test_nobody_submits_again_while_the_list_cannot_be_read(server: KaggleServer, competition: Path) -> None:
    server.arm("server_error", match="CreateSubmission$", times=1)
    server.arm("server_error", match="ListSubmissions$")
    with pytest.raises(OutsideWorldError, match="list of submissions cannot be read"):
        submit(server, competition)
    assert len(server.calls("CreateSubmission")) == 1


def test_a_submission_that_is_never_scored_is_returned_as_pending(server: KaggleServer, competition: Path) -> None:
    server.arm("pending_forever")
    sent = submit(server, competition)
    assert (sent.status, sent.public_score, sent.rank) == ("pending", None, None)


def test_a_submission_that_kaggle_cannot_score_keeps_its_reason(server: KaggleServer, competition: Path) -> None:
    server.arm("scoring_error", message="Submission contains null values")
    sent = submit(server, competition)
    assert (sent.status, sent.error, sent.public_score) == ("error", "Submission contains null values", None)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"submissionsDisabled": True}, CompetitionUnusable, "takes no submissions"),
        ({"isKernelsSubmissionsOnly": True}, CompetitionUnusable, "only from Kaggle notebooks"),
        ({"maxDailySubmissions": 0}, ActionNeeded, "00:00 UTC"),
    ],
)
def test_what_kaggle_would_refuse_is_refused_before_the_upload(
    settings: dict[str, Any],
    error: type[AutoKaggleError],
    message: str,
    kind: str,
    request: pytest.FixtureRequest,
    tmp_path: Path,
) -> None:
    competition = write_competition(tmp_path / "other", **settings)
    with serve(kind, request, competition.parent) as server:
        with pytest.raises(error, match=message):
            submit(server, competition)
        assert server.calls("StartSubmissionUpload") == []


def test_rules_not_accepted_shows_at_hand_in_too(server: KaggleServer, competition: Path) -> None:
    server.arm("rules_not_accepted")
    with pytest.raises(ActionNeeded) as raised:
        submit(server, competition)
    assert RULES_PAGE in raised.value.next_step


@pytest.mark.parametrize("content", [None, b""])
def test_there_must_be_something_to_hand_in(content: bytes | None, server: KaggleServer, competition: Path) -> None:
    path = competition / "data" / "sample_submission.csv"
    shutil.copy(path, path.with_suffix(".bak"))
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(AutoKaggleError, match="no submission file") as raised:
        submit(server, competition)
    assert raised.value.exit_code == 2
    assert server.calls("StartSubmissionUpload") == []
