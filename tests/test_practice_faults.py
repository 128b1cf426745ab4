"""Every fault of the practice Kaggle, by its effect on the wire; one test function or more per kind."""

from __future__ import annotations

import email.utils
import io
import json
import time
import zipfile
from collections.abc import Iterator
from hashlib import md5
from pathlib import Path

import pytest
import requests
import urllib3

from autokaggle.practice.faults import FAULT_KINDS, Faults
from autokaggle.practice.kaggle_server import PracticeKaggle
from tests.practice_world import SLUG, TRAIN_CSV, TRUTH, call, hand_in, link, make_competition, open_slot, submission

TRAIN = TRAIN_CSV.encode()


@pytest.fixture
def kaggle(tmp_path: Path) -> Iterator[PracticeKaggle]:
    make_competition(tmp_path)
    with PracticeKaggle(tmp_path) as server:
        yield server


def get(address: str, headers: dict[str, str] | None = None) -> requests.Response:
    return requests.get(address, headers={"Accept-Encoding": "identity", **(headers or {})}, timeout=10)


def received(address: str) -> tuple[bytes, bool]:
    """Return every byte that arrived and whether the connection broke."""
    content = bytearray()
    with requests.get(address, headers={"Accept-Encoding": "identity"}, stream=True, timeout=10) as reply:
        try:
            # read1, since the buffers of iter_content lose what arrived just before the break.
            while chunk := reply.raw.read1(65536):
                content += chunk
        except (urllib3.exceptions.HTTPError, OSError):
            return bytes(content), True
    return bytes(content), False


def big_file(folder: Path) -> bytes:
    content = bytes(range(256)) * 40_000
    (folder / SLUG / "data" / "big.bin").write_bytes(content)
    return content


# ---------------------------------------------------------------- when a fault strikes


def test_every_kind_has_a_test() -> None:
    tested = [name for name in globals() if name.startswith("test_")]
    assert [kind for kind in FAULT_KINDS if not any(name.startswith(f"test_{kind}") for name in tested)] == []


def test_a_fault_strikes_as_often_and_as_late_as_told() -> None:
    faults = Faults()
    faults.add("not_found", match="Files$", times=2, skip=1)
    assert faults.take("not_found", "/v1/GetCompetition") is None
    assert [faults.take("not_found", "/v1/ListDataFiles") is not None for _ in range(4)] == [False, True, True, False]
    assert faults.take("unauthorized", "/v1/ListDataFiles") is None


def test_several_faults_of_a_kind_take_turns_and_can_be_cleared() -> None:
    faults = Faults()
    faults.add("server_error", times=1, status=502)
    faults.add("server_error", status=503)
    taken = [faults.take("server_error", "/") or {} for _ in range(3)]
    assert [options["status"] for options in taken] == [502, 503, 503]
    faults.clear()
    assert faults.take("server_error", "/") is None


def test_unknown_faults_and_options_are_refused() -> None:
    with pytest.raises(ValueError, match="no fault is called 'earthquake'"):
        Faults().add("earthquake")
    with pytest.raises(ValueError, match="cut has no option seconds"):
        Faults().add("cut", seconds=1)


# ---------------------------------------------------------------- answers of the API


def test_rules_not_accepted_blocks_what_needs_a_participant(kaggle: PracticeKaggle) -> None:
    kaggle.faults.add("rules_not_accepted")
    statuses = {
        method: call(kaggle, method, competitionName=SLUG, fileName="train.csv", contentLength=1).status_code
        for method in (
            "GetCompetition",
            "ListDataFiles",
            "DownloadDataFile",
            "DownloadDataFiles",
            "StartSubmissionUpload",
            "CreateSubmission",
            "ListSubmissions",
        )
    }
    assert statuses == {name: 200 if name in ("GetCompetition", "ListDataFiles") else 403 for name in statuses}
    assert call(kaggle, "GetCompetition", competitionName=SLUG).json()["userHasEntered"] is False


@pytest.mark.parametrize(("kind", "status"), [("unauthorized", 401), ("not_found", 404), ("server_error", 500)])
def test_a_refusal_strikes_the_matching_calls_alone(kaggle: PracticeKaggle, kind: str, status: int) -> None:
    kaggle.faults.add(kind, match="GetCompetition")
    assert call(kaggle, "GetCompetition", competitionName=SLUG).status_code == status
    assert call(kaggle, "ListDataFiles", competitionName=SLUG).status_code == 200


def test_unauthorized_is_worded_in_the_envelope_of_the_api(kaggle: PracticeKaggle) -> None:
    kaggle.faults.add("unauthorized")
    kaggle.error_envelope = "flat"
    assert call(kaggle, "GetCompetition").json() == {"code": 401, "message": "Unauthenticated"}


def test_not_found_is_worded_in_xml_at_the_storage(kaggle: PracticeKaggle) -> None:
    address = link(kaggle, "train.csv")
    kaggle.faults.add("not_found")
    reply = get(address)
    assert (reply.status_code, reply.headers["Content-Type"][:15]) == (404, "application/xml")
    assert "<Code>NoSuchKey</Code>" in reply.text


def test_rate_limited_tells_when_to_come_back_or_does_not(kaggle: PracticeKaggle) -> None:
    kaggle.faults.add("rate_limited", times=1)
    kaggle.faults.add("rate_limited", times=1, retry_after_seconds=7)
    kaggle.faults.add("rate_limited", times=1, retry_after_seconds=30, as_date=True)
    silent, seconds, date, fine = (call(kaggle, "GetCompetition", competitionName=SLUG) for _ in range(4))
    assert [each.status_code for each in (silent, seconds, date, fine)] == [429, 429, 429, 200]
    assert "Retry-After" not in silent.headers
    assert seconds.headers["Retry-After"] == "7"
    moment = email.utils.parsedate_to_datetime(date.headers["Retry-After"])
    assert moment.timestamp() == pytest.approx(time.time() + 30, abs=10)


def test_server_error_comes_as_json_or_as_a_page(kaggle: PracticeKaggle) -> None:
    kaggle.faults.add("server_error", times=1, status=503)
    kaggle.faults.add("server_error", times=1, status=502, html=True)
    plain, page = (call(kaggle, "GetCompetition") for _ in range(2))
    assert (plain.status_code, plain.json()["error"]["status"]) == (503, "UNAVAILABLE")
    assert (page.status_code, page.headers["Content-Type"]) == (502, "text/html; charset=utf-8")
    assert page.text.startswith("<html>")


def test_delay_lets_the_client_wait(kaggle: PracticeKaggle) -> None:
    kaggle.faults.add("delay", times=1, seconds=0.5)
    started = time.monotonic()
    assert call(kaggle, "GetCompetition", competitionName=SLUG).status_code == 200
    assert time.monotonic() - started >= 0.5


def test_cut_can_hide_the_answer_to_a_submission_that_was_taken(kaggle: PracticeKaggle) -> None:
    kaggle.faults.add("cut", match="CreateSubmission", times=1)
    with pytest.raises(requests.RequestException):
        hand_in(kaggle, submission(TRUTH), "did it arrive?")
    listed = call(kaggle, "ListSubmissions", competitionName=SLUG).json()["submissions"]
    assert [row["description"] for row in listed] == ["did it arrive?"]


# ---------------------------------------------------------------- downloads


@pytest.mark.parametrize("after_bytes", [0, 1, 1000, 5_000_000])
def test_cut_breaks_the_download_after_so_many_bytes(tmp_path: Path, after_bytes: int) -> None:
    make_competition(tmp_path)
    content = big_file(tmp_path)
    with PracticeKaggle(tmp_path) as kaggle:
        address = link(kaggle, "big.bin")
        kaggle.faults.add("cut", times=1, after_bytes=after_bytes)
        first, broke = received(address)
        rest = get(address, {"Range": f"bytes={len(first)}-"})
    assert broke
    assert first == content[:after_bytes]
    assert rest.status_code == 206
    assert first + rest.content == content


def test_slow_takes_its_time(kaggle: PracticeKaggle) -> None:
    address = link(kaggle, "train.csv")
    kaggle.faults.add("slow", bytes_per_second=len(TRAIN) * 2)
    started = time.monotonic()
    assert get(address).content == TRAIN
    assert time.monotonic() - started > 0.3


def test_wrong_length_announces_more_than_comes(kaggle: PracticeKaggle) -> None:
    address = link(kaggle, "train.csv")
    kaggle.faults.add("wrong_length", times=1, delta=10)
    content, broke = received(address)
    assert (content, broke) == (TRAIN, True)


def test_wrong_length_announces_less_than_comes(kaggle: PracticeKaggle) -> None:
    address = link(kaggle, "train.csv")
    kaggle.faults.add("wrong_length", times=1, delta=-10)
    reply = get(address)
    assert (reply.status_code, reply.content) == (200, TRAIN[:-10])
    assert get(address).content == TRAIN


def test_expired_link_is_refused_once_and_a_fresh_one_works(kaggle: PracticeKaggle) -> None:
    kaggle.faults.add("expired_link", times=1)
    assert get(link(kaggle, "train.csv")).status_code == 400
    assert get(link(kaggle, "train.csv")).status_code == 200


@pytest.mark.parametrize("consistent_hash", [False, True])
def test_corrupt_zip_has_the_right_size_and_wrong_bytes(kaggle: PracticeKaggle, consistent_hash: bool) -> None:
    address = link(kaggle)
    intact = get(address)
    kaggle.faults.add("corrupt_zip", times=1, consistent_hash=consistent_hash)
    corrupt = get(address)
    assert len(corrupt.content) == len(intact.content)
    assert corrupt.content != intact.content
    assert (md5(corrupt.content).hexdigest() in corrupt.headers["ETag"]) is consistent_hash
    assert get(address).content == intact.content


def test_zip_slip_adds_entries_that_point_outside(kaggle: PracticeKaggle) -> None:
    address = link(kaggle)
    kaggle.faults.add("zip_slip", times=1)
    with zipfile.ZipFile(io.BytesIO(get(address).content)) as archive:
        names = archive.namelist()
        assert archive.read("train.csv") == TRAIN
    assert "../zip-slip.txt" in names
    assert str(kaggle.slip_target) in names
    assert kaggle.slip_target.is_absolute()
    with zipfile.ZipFile(io.BytesIO(get(address).content)) as archive:
        assert not any(".." in name for name in archive.namelist())


def test_no_ranges_sends_the_whole_object(kaggle: PracticeKaggle) -> None:
    address = link(kaggle, "train.csv")
    kaggle.faults.add("no_ranges", times=1)
    reply = get(address, {"Range": "bytes=10-"})
    assert (reply.status_code, reply.content) == (200, TRAIN)
    assert "Accept-Ranges" not in reply.headers


def test_no_validators_leaves_nothing_to_compare(kaggle: PracticeKaggle) -> None:
    address = link(kaggle, "train.csv")
    etag = get(address).headers["ETag"]
    kaggle.faults.add("no_validators")
    reply = get(address)
    assert not {"ETag", "Last-Modified", "x-goog-hash"} & set(reply.headers)
    assert get(address, {"Range": "bytes=10-"}).status_code == 206
    assert get(address, {"Range": "bytes=10-", "If-Range": etag}).status_code == 200


@pytest.mark.parametrize("name", [None, "train.csv"])
def test_changed_object_makes_a_resumed_download_start_over(kaggle: PracticeKaggle, name: str | None) -> None:
    address = link(kaggle, name)
    before = get(address)
    kaggle.faults.add("changed_object")
    after = get(address, {"Range": "bytes=10-", "If-Range": before.headers["ETag"]})
    assert after.status_code == 200
    assert after.content != before.content
    assert after.headers["ETag"] == f'"{md5(after.content).hexdigest()}"'
    assert after.headers["Last-Modified"] != before.headers["Last-Modified"]
    if name is None:
        with zipfile.ZipFile(io.BytesIO(after.content)) as archive:
            assert archive.testzip() is None


# ---------------------------------------------------------------- uploads and scores


def test_upload_interrupted_keeps_what_arrived(kaggle: PracticeKaggle) -> None:
    content = submission(TRUTH)
    token, address = open_slot(kaggle, content)
    kaggle.faults.add("upload_interrupted", times=1, after_bytes=20)
    with pytest.raises(requests.ConnectionError):
        requests.put(address, data=content, timeout=10)
    size = len(content)
    state = requests.put(address, headers={"Content-Range": f"bytes */{size}"}, timeout=10)
    rest = {"Content-Range": f"bytes 20-{size - 1}/{size}"}
    done = requests.put(address, data=content[20:], headers=rest, timeout=10)
    assert (state.status_code, state.headers["Range"], done.status_code) == (308, "bytes=0-19", 200)
    assert [each.status for each in kaggle.log.exchanges("submissions")] == [0, 308, 200]
    assert call(kaggle, "CreateSubmission", competitionName=SLUG, blobFileTokens=token).status_code == 200


def test_upload_interrupted_before_the_first_byte_keeps_nothing(kaggle: PracticeKaggle) -> None:
    content = submission(TRUTH)
    _, address = open_slot(kaggle, content)
    kaggle.faults.add("upload_interrupted", times=1)
    with pytest.raises(requests.ConnectionError):
        requests.put(address, data=content, timeout=10)
    state = requests.put(address, headers={"Content-Range": f"bytes */{len(content)}"}, timeout=10)
    assert (state.status_code, "Range" in state.headers) == (308, False)


def test_pending_forever_is_never_scored(kaggle: PracticeKaggle) -> None:
    kaggle.faults.add("pending_forever", times=1)
    stuck, scored = (hand_in(kaggle, submission(TRUTH)).json()["ref"] for _ in range(2))
    states = [call(kaggle, "GetSubmission", ref=reference).json()["status"] for reference in (stuck, scored)]
    assert states == ["PENDING", "COMPLETE"]


def test_scoring_error_says_why(kaggle: PracticeKaggle) -> None:
    kaggle.faults.add("scoring_error", times=1, message="The scorer ran out of memory.")
    state = call(kaggle, "GetSubmission", ref=hand_in(kaggle, submission(TRUTH)).json()["ref"]).json()
    assert (state["status"], state["errorDescription"]) == ("ERROR", "The scorer ran out of memory.")
    assert json.loads(kaggle.log.exchanges("CreateSubmission")[0].request.body)["competitionName"] == SLUG
