"""The practice Kaggle, asked by Kaggle's own client and by plain HTTP."""

from __future__ import annotations

import datetime as dt
import io
import threading
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests
from kagglesdk.competitions.types import competition_api_service as api
from kagglesdk.security.services.oauth_service import OAuthClient
from kagglesdk.security.types.oauth_service import IntrospectTokenRequest
from kagglesdk.users.services.account_service import AccountClient
from kagglesdk.users.types.account_service import GenerateAccessTokenRequest

from autokaggle.practice.accounts import DEMO_KEY, DEMO_REFRESH_TOKEN, DEMO_TOKEN, DEMO_USERNAME
from autokaggle.practice.kaggle_server import PracticeKaggle
from tests.practice_world import (
    CREDENTIALS,
    SERVICE,
    SLUG,
    TRAIN_CSV,
    asked,
    call,
    make_competition,
    official_client,
)


@pytest.fixture
def kaggle(tmp_path: Path) -> Iterator[PracticeKaggle]:
    make_competition(tmp_path)
    with PracticeKaggle(tmp_path) as server:
        yield server


# ---------------------------------------------------------------- competitions, pages, files


def test_official_client_reads_the_metadata(kaggle: PracticeKaggle) -> None:
    with official_client(kaggle) as client:
        competition = client.get_competition(asked(api.ApiGetCompetitionRequest, competition_name=SLUG))
    assert competition.title == "Small houses"
    assert competition.ref == f"https://www.kaggle.com/competitions/{SLUG}"
    assert competition.deadline == dt.datetime(2099, 1, 2, 3, 4, 5)  # noqa: DTZ001 - what the client returns
    assert competition.evaluation_metric == "Mean Absolute Error"
    assert competition.user_has_entered is True
    assert competition.max_daily_submissions == 3


def test_official_client_reads_all_pages_and_one_by_name(kaggle: PracticeKaggle) -> None:
    with official_client(kaggle) as client:
        pages = client.list_competition_pages(asked(api.ApiListCompetitionPagesRequest, competition_name=SLUG)).pages
        rules = client.list_competition_pages(
            asked(api.ApiListCompetitionPagesRequest, competition_name=SLUG, page_name="rules")
        ).pages
    assert {page.name for page in pages} == {"Evaluation", "rules"}
    assert [page.content for page in rules] == ["You may submit 3 entries per day."]


def test_pages_can_be_renamed_and_written_in_html(tmp_path: Path) -> None:
    competition = make_competition(tmp_path, pageNames={"faq": "Frequently Asked Questions"})
    (competition / "pages" / "faq.html").write_text("<p>None.</p>")
    with PracticeKaggle(tmp_path) as kaggle:
        pages = call(kaggle, "ListCompetitionPages", competitionName=SLUG).json()["pages"]
    found = next(page for page in pages if page["name"] == "Frequently Asked Questions")
    assert (found["mimeType"], found["content"]) == ("text/html", "<p>None.</p>")


def test_both_forms_of_the_address_are_answered(kaggle: PracticeKaggle) -> None:
    for prefix in ("/v1", "/api/v1"):
        reply = requests.post(
            f"{kaggle.url}{prefix}/{SERVICE}/GetCompetition",
            json={"competitionName": SLUG},
            auth=CREDENTIALS,
            timeout=10,
        )
        assert reply.json()["title"] == "Small houses"


def test_a_client_may_use_the_server_as_its_proxy(kaggle: PracticeKaggle) -> None:
    reply = requests.post(
        f"http://api.kaggle.com/v1/{SERVICE}/GetCompetition",
        json={"competitionName": SLUG},
        auth=CREDENTIALS,
        proxies={"http": kaggle.url},
        timeout=10,
    )
    assert reply.json()["title"] == "Small houses"


def test_file_lists_come_in_pages(tmp_path: Path) -> None:
    competition = make_competition(tmp_path)
    for number in range(45):
        (competition / "data" / f"extra-{number:02}.txt").write_text("x")
    names: list[str] = []
    sizes: list[int] = []
    token = ""
    with PracticeKaggle(tmp_path) as kaggle, official_client(kaggle) as client:
        while token or not sizes:
            page = client.list_data_files(
                asked(api.ApiListDataFilesRequest, competition_name=SLUG, page_token=token or None)
            )
            names += [file.name for file in page.files]
            sizes.append(len(page.files))
            token = page.next_page_token
        wide = call(kaggle, "ListDataFiles", competitionName=SLUG, pageSize=1000).json()
    assert sizes == [20, 20, 9]
    assert len(set(names)) == 49
    assert {"images/first photo.txt", "train.csv"} < set(names)
    assert len(wide["files"]) == 49
    assert wide["nextPageToken"] == ""


def test_official_client_reads_how_many_bytes_the_data_have(kaggle: PracticeKaggle) -> None:
    with official_client(kaggle) as client:
        request = asked(api.ApiGetCompetitionDataFilesSummaryRequest, competition_name=SLUG)
        summary = client.get_competition_data_files_summary(request).file_summary_info
    assert summary.total_file_count == 4
    kinds = {kind.extension: (kind.file_count, kind.total_size) for kind in summary.file_types}
    assert set(kinds) == {".csv", ".txt"}
    assert kinds[".csv"][0] == 3
    assert kinds[".txt"] == (1, len("not really a photo"))


@pytest.mark.parametrize("fields", [{"pageToken": "x"}, {"pageToken": "from-x"}, {"pageSize": -1}, {"pageSize": "9"}])
def test_wrong_paging_is_refused(kaggle: PracticeKaggle, fields: dict[str, Any]) -> None:
    assert call(kaggle, "ListDataFiles", competitionName=SLUG, **fields).status_code == 400


def test_competitions_are_found_by_text(tmp_path: Path) -> None:
    make_competition(tmp_path)
    make_competition(tmp_path, "other-one", title="Boats")
    with PracticeKaggle(tmp_path) as kaggle, official_client(kaggle) as client:
        found = client.list_competitions(asked(api.ApiListCompetitionsRequest, search="boat")).competitions
        everything = client.list_competitions(api.ApiListCompetitionsRequest()).competitions
    assert [each.title for each in found] == ["Boats"]
    assert len(everything) == 2


def test_official_client_downloads_a_file_without_showing_its_key_to_the_storage(kaggle: PracticeKaggle) -> None:
    with official_client(kaggle) as client:
        reply = client.download_data_file(
            asked(api.ApiDownloadDataFileRequest, competition_name=SLUG, file_name="images/first photo.txt")
        )
    assert reply.content == b"not really a photo"
    [asked_for] = kaggle.log.exchanges("DownloadDataFile")
    [fetched] = [each for each in kaggle.log.exchanges() if each.request.path.startswith("/storage/")]
    assert asked_for.request.authorization.startswith("Basic ")
    assert (asked_for.status, fetched.status) == (302, 200)
    assert fetched.request.authorization == ""


def test_official_client_downloads_the_archive(kaggle: PracticeKaggle) -> None:
    with official_client(kaggle) as client:
        reply = client.download_data_files(asked(api.ApiDownloadDataFilesRequest, competition_name=SLUG))
    with zipfile.ZipFile(io.BytesIO(reply.content)) as archive:
        assert archive.read("train.csv").decode() == TRAIN_CSV
        assert set(archive.namelist()) == {
            "images/first photo.txt",
            "sample_submission.csv",
            "test.csv",
            "train.csv",
        }


# ---------------------------------------------------------------- who may ask


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "Bearer KGAT_unknown",
        f"Bearer {DEMO_USERNAME}:{DEMO_KEY}",
        "Basic not-base64",
        requests.auth._basic_auth_str(DEMO_USERNAME, "wrong"),
        requests.auth._basic_auth_str(DEMO_USERNAME, DEMO_TOKEN),
    ],
)
def test_missing_and_wrong_credentials_are_refused(kaggle: PracticeKaggle, authorization: str | None) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    reply = requests.post(
        f"{kaggle.url}/v1/{SERVICE}/GetCompetition", json={"competitionName": SLUG}, headers=headers, timeout=10
    )
    assert reply.status_code == 401
    assert kaggle.log.exchanges("GetCompetition")[0].request.authorization == (authorization or "")


def test_an_access_token_opens_the_same_account(kaggle: PracticeKaggle) -> None:
    with official_client(kaggle, token=DEMO_TOKEN) as client:
        client.get_competition(asked(api.ApiGetCompetitionRequest, competition_name=SLUG))
        known = OAuthClient(client._client).introspect_token(asked(IntrospectTokenRequest, token=DEMO_TOKEN))
        unknown = OAuthClient(client._client).introspect_token(asked(IntrospectTokenRequest, token="KGAT_other"))
    assert kaggle.log.exchanges("GetCompetition")[0].request.authorization == f"Bearer {DEMO_TOKEN}"
    assert (known.active, known.username) == (True, DEMO_USERNAME)
    assert unknown.active is False


def test_a_refresh_token_gives_a_new_access_token(kaggle: PracticeKaggle) -> None:
    with official_client(kaggle) as client:
        request = asked(
            GenerateAccessTokenRequest,
            refresh_token=DEMO_REFRESH_TOKEN,
            expiration_duration=dt.timedelta(seconds=60),
        )
        answer = AccountClient(client._client).generate_access_token(request)
    assert answer.expires_in == 60
    with official_client(kaggle, token=answer.token) as client:
        assert client.get_competition(asked(api.ApiGetCompetitionRequest, competition_name=SLUG)).title
        known = OAuthClient(client._client).introspect_token(asked(IntrospectTokenRequest, token=answer.token))
    assert known.exp == pytest.approx(time.time() + 60, abs=30)


@pytest.mark.parametrize("fields", [{"refreshToken": "other"}, {}])
def test_an_unknown_refresh_token_is_refused(kaggle: PracticeKaggle, fields: dict[str, str]) -> None:
    reply = requests.post(f"{kaggle.url}/v1/users.AccountService/GenerateAccessToken", json=fields, timeout=10)
    assert reply.status_code == 401


def test_an_access_token_ends(kaggle: PracticeKaggle) -> None:
    fields = {"refreshToken": DEMO_REFRESH_TOKEN, "expirationDuration": "0s"}
    answer = requests.post(f"{kaggle.url}/v1/users.AccountService/GenerateAccessToken", json=fields, timeout=10).json()
    headers = {"Authorization": f"Bearer {answer['token']}"}
    reply = requests.post(f"{kaggle.url}/v1/{SERVICE}/GetCompetition", json={}, headers=headers, timeout=10)
    assert reply.status_code == 401


# ---------------------------------------------------------------- refusals


def test_both_error_envelopes_are_spoken(kaggle: PracticeKaggle) -> None:
    request = asked(api.ApiGetCompetitionRequest, competition_name="no-such-thing")
    with official_client(kaggle) as client:
        with pytest.raises(requests.HTTPError, match="403 Client Error"):
            client.get_competition(request)
        kaggle.error_envelope = "flat"
        with pytest.raises(requests.HTTPError, match=r"Permission 'competitions\.get' was denied"):
            client.get_competition(request)
    kaggle.error_envelope = "nested"
    assert call(kaggle, "GetCompetition", competitionName="no-such-thing").json() == {
        "error": {"code": 403, "message": "Permission 'competitions.get' was denied", "status": "PERMISSION_DENIED"}
    }


def test_an_address_in_place_of_a_slug_is_refused(kaggle: PracticeKaggle) -> None:
    address = f"https://www.kaggle.com/competitions/{SLUG}"
    assert call(kaggle, "GetCompetition", competitionName=address).status_code == 403


def test_what_cannot_be_understood_is_refused(kaggle: PracticeKaggle) -> None:
    address = f"{kaggle.url}/v1/{SERVICE}/GetCompetition"
    assert call(kaggle, "LaunchCompetition", competitionName=SLUG).status_code == 404
    assert call(kaggle, "GetSubmission", ref="one").status_code == 400
    assert call(kaggle, "GetSubmission", ref=1).status_code == 404
    assert call(kaggle, "StartSubmissionUpload", competitionName=SLUG).status_code == 400
    assert requests.get(address, auth=CREDENTIALS, timeout=10).status_code == 404
    assert requests.get(f"{kaggle.url}/private/solution.csv", timeout=10).status_code == 404
    for body in (b"{", b"[]", b"\xff"):
        assert requests.post(address, data=body, auth=CREDENTIALS, timeout=10).status_code == 400
    for headers, status in (({"Content-Length": "-1"}, 400), ({"Content-Length": str(2**40)}, 413)):
        assert requests.post(address, headers=headers, auth=CREDENTIALS, timeout=10).status_code == status
    assert requests.post(address, data=iter([b"{}"]), auth=CREDENTIALS, timeout=10).status_code == 411


@pytest.mark.parametrize(
    "name", ["../private/solution.csv", "/etc/hostname", "images/../../private/solution.csv", "..", "", "images"]
)
def test_nothing_outside_of_the_data_can_be_downloaded(kaggle: PracticeKaggle, name: str) -> None:
    assert call(kaggle, "DownloadDataFile", competitionName=SLUG, fileName=name).status_code == 404


@pytest.mark.parametrize("slug", ["..", ".", "", f"../{SLUG}", f"{SLUG}/data"])
def test_a_slug_is_no_path(kaggle: PracticeKaggle, slug: str) -> None:
    assert call(kaggle, "GetCompetition", competitionName=slug).status_code == 403


# ---------------------------------------------------------------- the server itself


def test_only_loopback_is_listened_to(kaggle: PracticeKaggle) -> None:
    port = int(kaggle.url.rsplit(":", 1)[1])
    listening = [
        each.laddr.ip
        for each in psutil.Process().net_connections(kind="tcp")
        if each.status == psutil.CONN_LISTEN and each.laddr.port == port
    ]
    assert listening == ["127.0.0.1"]


def test_many_threads_are_served_at_once_and_each_is_logged(kaggle: PracticeKaggle) -> None:
    def ask(number: int) -> int:
        with official_client(kaggle) as client:
            for _ in range(5):
                client.list_data_files(asked(api.ApiListDataFilesRequest, competition_name=SLUG, page_size=number + 1))
        return number

    with ThreadPoolExecutor(16) as threads:
        assert sorted(threads.map(ask, range(32))) == list(range(32))
    exchanges = kaggle.log.exchanges("ListDataFiles")
    assert len(exchanges) == 160
    assert {each.status for each in exchanges} == {200}
    assert sum(each.request.json()["pageSize"] == 7 for each in exchanges) == 5
    assert all(each.request.authorization for each in exchanges)


def test_stopping_ends_idle_and_waiting_connections_at_once(tmp_path: Path) -> None:
    make_competition(tmp_path)
    before = set(threading.enumerate())
    with requests.Session() as session, PracticeKaggle(tmp_path) as kaggle:
        session.post(f"{kaggle.url}/v1/{SERVICE}/GetCompetition", json={}, auth=CREDENTIALS, timeout=10)
        kaggle.faults.add("delay", seconds=600)
        waiting = ThreadPoolExecutor(1)
        late = waiting.submit(call, kaggle, "GetCompetition", competitionName=SLUG)
        scratch = kaggle.slip_target.parent
        time.sleep(0.3)
        started = time.monotonic()
    assert time.monotonic() - started < 60
    late.exception(timeout=10)
    waiting.shutdown()
    assert set(threading.enumerate()) <= before
    assert not scratch.exists()
    with pytest.raises(requests.ConnectionError):
        requests.get(kaggle.url, timeout=5)


def test_a_server_that_never_started_can_be_left(tmp_path: Path) -> None:
    make_competition(tmp_path)
    before = set(threading.enumerate())
    server = PracticeKaggle(tmp_path)
    server.__exit__(None, None, None)
    assert set(threading.enumerate()) <= before


def test_a_folder_that_cannot_be_served_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no"):
        PracticeKaggle(tmp_path)
    competition = make_competition(tmp_path)
    (competition / "competition.json").write_text("{")
    with pytest.raises(ValueError, match="cannot be read"):
        PracticeKaggle(tmp_path)
    competition.rename(tmp_path / "no slug")
    with pytest.raises(ValueError, match="slug"):
        PracticeKaggle(tmp_path)


def test_the_log_can_be_emptied(kaggle: PracticeKaggle) -> None:
    call(kaggle, "GetCompetition", competitionName=SLUG)
    kaggle.log.clear()
    assert kaggle.log.exchanges() == ()
