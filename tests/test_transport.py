"""The transport under the SDK's client: the bodies of the SDK's own, other habits with redirects and errors."""

from __future__ import annotations

import datetime as dt
import http.server
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kagglesdk.competitions.services.competition_api_service import CompetitionApiClient
from kagglesdk.competitions.types import competition_api_service as sdk
from kagglesdk.kaggle_env import KaggleEnv
from kagglesdk.kaggle_http_client import KaggleHttpClient

from autokaggle.errors import ActionNeeded, AutoKaggleError, CompetitionUnusable, OutsideWorldError
from autokaggle.skills.competition.credentials import Credentials
from autokaggle.skills.competition.retries import RetryPolicy
from autokaggle.skills.competition.transport import KaggleTransport, decode
from tests.kaggle_servers import QUICK

SECRET = "KGAT_very-secret-token"
TOKEN = Credentials("KAGGLE_API_TOKEN", "access token", SECRET)


class Scripted:
    """A loopback server that answers by script: each answer is (status, headers, body), or None to hang up."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, dict[str, str], str] | None] = []
        self.received: list[tuple[str, dict[str, str], bytes]] = []
        script = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: Any) -> None:
                pass

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                script.received.append((self.path, headers, body))
                answer = script.answers.pop(0) if script.answers else (200, {}, "{}")
                if answer is None:
                    self.close_connection = True
                    return
                status, extra, text = answer
                content = text.encode()
                self.send_response(status)
                for name, value in {"Content-Type": "application/json", **extra}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def do_GET(self) -> None:
                self.do_POST()

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def kaggle() -> Iterator[Scripted]:
    scripted = Scripted()
    yield scripted
    scripted.close()


@pytest.fixture
def transport(kaggle: Scripted) -> Iterator[KaggleTransport]:
    opened = KaggleTransport(kaggle.url, TOKEN, QUICK)
    yield opened
    opened.close()


def get_competition(transport: KaggleTransport, slug: str = "titanic") -> Any:
    request = sdk.ApiGetCompetitionRequest()
    request.competition_name = slug
    return CompetitionApiClient(transport).get_competition(request)


def create_submission(transport: KaggleTransport) -> Any:
    request = sdk.ApiCreateSubmissionRequest()
    request.competition_name, request.blob_file_tokens, request.submission_description = "titanic", "t", "first"
    return CompetitionApiClient(transport).create_submission(request)


def listing(api: CompetitionApiClient) -> None:
    request = sdk.ApiListDataFilesRequest()
    request.competition_name, request.page_size, request.page_token = "titanic", 200, "next"
    api.list_data_files(request)


def upload(api: CompetitionApiClient) -> None:
    request = sdk.ApiStartSubmissionUploadRequest()
    request.competition_name, request.file_name = "titanic", "Überblick.csv"
    request.content_length, request.last_modified_epoch_seconds = 722, 1795382188
    api.start_submission_upload(request)


def submissions(api: CompetitionApiClient) -> None:
    request = sdk.ApiListSubmissionsRequest()
    request.competition_name, request.page_size = "titanic", 100
    api.list_submissions(request)


@pytest.mark.parametrize("call", [listing, upload, submissions])
def test_bodies_and_paths_are_those_of_the_sdks_own_transport(
    call: Callable[[CompetitionApiClient], None], kaggle: Scripted, transport: KaggleTransport, isolated_world: Path
) -> None:
    call(CompetitionApiClient(transport))
    own = KaggleHttpClient(env=KaggleEnv.PROD, api_token=SECRET)
    own._endpoint = kaggle.url
    with own:
        call(CompetitionApiClient(own))
    (our_path, our_headers, our_body), (their_path, their_headers, their_body) = kaggle.received
    assert our_path == their_path
    assert json.loads(our_body) == json.loads(their_body)
    assert our_headers["content-type"] == their_headers["content-type"] == "application/json"
    assert our_headers["authorization"] == their_headers["authorization"] == f"Bearer {SECRET}"


@pytest.mark.parametrize("status", [408, 429, 500, 501, 502, 503, 504, 520, 529])
def test_passing_trouble_is_sat_out(status: int, kaggle: Scripted, transport: KaggleTransport) -> None:
    kaggle.answers = [(status, {}, "{}"), None, (200, {}, '{"title": "Titanic"}')]
    assert get_competition(transport).title == "Titanic"
    assert len(kaggle.received) == 3


@pytest.mark.parametrize("status", [429, 500, 503, 522])
def test_lasting_trouble_is_the_outside_worlds(status: int, kaggle: Scripted, transport: KaggleTransport) -> None:
    kaggle.answers = [(status, {}, '{"error": {"code": 1, "message": "come back later"}}')] * 9
    with pytest.raises(OutsideWorldError, match="come back later"):
        get_competition(transport)
    assert len(kaggle.received) == QUICK.attempts


def test_a_wait_that_nobody_would_sit_through_is_not_kept(kaggle: Scripted, transport: KaggleTransport) -> None:
    kaggle.answers = [(429, {"Retry-After": "3600"}, "{}")]
    with pytest.raises(OutsideWorldError, match="asks to wait for 3600 s"):
        get_competition(transport)
    assert len(kaggle.received) == 1


@pytest.mark.parametrize("answer", [None, (429, {}, "{}"), (500, {}, "{}"), (503, {"Retry-After": "0"}, "{}")])
def test_handing_in_is_never_repeated_by_the_transport(
    answer: Any, kaggle: Scripted, transport: KaggleTransport
) -> None:
    kaggle.answers = [answer]
    with pytest.raises(OutsideWorldError):
        create_submission(transport)
    assert len(kaggle.received) == 1


@pytest.mark.parametrize(
    "body",
    [
        '{"code": 403, "message": "The reason"}',
        '{"error": {"code": 403, "message": "The reason", "status": "PERMISSION_DENIED"}}',
        "<?xml version='1.0'?><Error><Code>AccessDenied</Code><Message>The reason</Message></Error>",
        "<html><head><title>The reason</title></head><body><h1>Sorry</h1></body></html>",
        "The reason",
        '"The reason"',
        '{"error": "The reason"}',
    ],
)
def test_the_reason_is_found_in_every_envelope(body: str, kaggle: Scripted, transport: KaggleTransport) -> None:
    kaggle.answers = [(403, {}, body)]
    with pytest.raises(CompetitionUnusable, match=r"The reason|AccessDenied"):
        get_competition(transport)


@pytest.mark.parametrize("body", ["", "[]", "null", '{"error": null}', '{"error": {"message": null}}', "\x00\xff"])
def test_a_refusal_without_a_reason_is_still_explained(body: str, kaggle: Scripted, transport: KaggleTransport) -> None:
    kaggle.answers = [(403, {}, body)]
    with pytest.raises(CompetitionUnusable, match="private, or the name is misspelt") as raised:
        get_competition(transport)
    assert "None" not in str(raised.value)


def test_texts_from_outside_are_tamed_and_never_show_the_token(kaggle: Scripted, transport: KaggleTransport) -> None:
    text = f"\x1b[31mBad token {SECRET}\r\n" + "x" * 5000
    kaggle.answers = [(401, {}, json.dumps({"message": text}))]
    with pytest.raises(ActionNeeded) as raised:
        get_competition(transport)
    shown = raised.value.message
    assert SECRET not in shown and "[secret]" in shown
    assert "\x1b" not in shown and "\n" not in shown and len(shown) < 600


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_credentials_do_not_follow_a_redirect(status: int, kaggle: Scripted, transport: KaggleTransport) -> None:
    elsewhere = Scripted()
    try:
        kaggle.answers = [(status, {"Location": elsewhere.url + "/catch"}, "")]
        with pytest.raises(AutoKaggleError):
            get_competition(transport)
        assert elsewhere.received == []
    finally:
        elsewhere.close()


def test_a_signed_address_is_asked_without_credentials(
    kaggle: Scripted, transport: KaggleTransport, isolated_world: Path
) -> None:
    netrc = isolated_world / ".netrc"
    netrc.write_text("machine 127.0.0.1 login me password netrc-secret\n")
    netrc.chmod(0o600)
    transport.send("GET", kaggle.url + "/object?Signature=1").close()
    _, headers, _ = kaggle.received[0]
    assert "authorization" not in headers
    assert headers["accept-encoding"] == "identity"


def test_cookies_are_not_kept(kaggle: Scripted, transport: KaggleTransport) -> None:
    kaggle.answers = [(200, {"Set-Cookie": "session=1; Path=/"}, "{}")]
    get_competition(transport)
    get_competition(transport)
    assert "cookie" not in kaggle.received[1][1]


@pytest.mark.parametrize("body", ["<html>Sign in to the hotel's network</html>", "[1]", "", "{"])
def test_an_answer_that_is_not_kaggles_is_said_so(body: str, kaggle: Scripted, transport: KaggleTransport) -> None:
    kaggle.answers = [(200, {}, body)]
    with pytest.raises(OutsideWorldError, match="is not Kaggle's"):
        get_competition(transport)


def test_null_and_news_in_an_answer_are_passed_over() -> None:
    row = {"ref": 7, "status": "RESCORING", "publicScore": None, "brandNewField": {"a": [None]}}
    answer = decode(sdk.ApiListSubmissionsResponse, {"submissions": [row], "nextPageToken": None})
    assert answer.submissions[0].ref == 7
    assert answer.submissions[0].status.name == "PENDING"
    assert decode(sdk.ApiListDataFilesResponse, {"files": None}).files == []
    competition = decode(sdk.ApiCompetition, {"id": 1, "teamCount": 0, "deadline": "2026-01-02T03:04:05.1234567Z"})
    assert competition.deadline == dt.datetime(2026, 1, 2, 3, 4, 5, 123000)  # noqa: DTZ001 - the SDK's are naive
    assert competition.id == 1


def test_an_answer_of_another_shape_is_refused() -> None:
    with pytest.raises(OutsideWorldError, match="cannot be read as ApiListDataFilesResponse"):
        decode(sdk.ApiListDataFilesResponse, {"files": 7})


def test_a_time_out_is_told_from_a_refusal(kaggle: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autokaggle.skills.competition.transport.TIMEOUT_SECONDS", (0.5, 0.05))
    silent = KaggleTransport("http://127.0.0.1:9", TOKEN, RetryPolicy(attempts=1))
    with pytest.raises(OutsideWorldError, match="cannot be reached") as raised:
        get_competition(silent)
    assert SECRET not in str(raised.value) + repr(raised.value)
    silent.close()


class TestOAuth:
    """An access token that has run out is renewed with the refresh token, once for all threads."""

    @pytest.fixture
    def file(self, tmp_path: Path) -> Path:
        path = tmp_path / "credentials.json"
        path.write_text(json.dumps({"refresh_token": "refresh-secret", "access_token": "old", "scopes": ["x"]}))
        return path

    def signed_in(self, file: Path, expires: dt.datetime | None) -> Credentials:
        return Credentials(
            "~/.kaggle/credentials.json",
            "oauth",
            "old",
            "tester",
            refresh_token="refresh-secret",
            expires=expires,
            file=file,
        )

    def test_it_is_renewed_before_the_call_and_kept(self, kaggle: Scripted, file: Path) -> None:
        transport = KaggleTransport(kaggle.url, self.signed_in(file, None), QUICK)
        kaggle.answers = [(200, {}, '{"token": "new", "expiresIn": 43200}')]
        get_competition(transport)
        get_competition(transport)
        transport.close()
        paths = [path.rsplit("/", 1)[1] for path, _, _ in kaggle.received]
        assert paths == ["GenerateAccessToken", "GetCompetition", "GetCompetition"]
        _, headers, body = kaggle.received[0]
        assert "authorization" not in headers
        assert json.loads(body) == {
            "refreshToken": "refresh-secret",
            "apiVersion": "API_VERSION_V1",
            "expirationDuration": "43200s",
        }
        assert {headers["authorization"] for _, headers, _ in kaggle.received[1:]} == {"Bearer new"}
        kept = json.loads(file.read_text())
        assert (kept["access_token"], kept["refresh_token"], kept["scopes"]) == ("new", "refresh-secret", ["x"])
        assert dt.datetime.fromisoformat(kept["access_token_expiration"]) > dt.datetime.now(dt.UTC)
        assert file.stat().st_mode & 0o777 == 0o600

    def test_a_token_that_kaggle_ended_early_is_renewed_once(self, kaggle: Scripted, file: Path) -> None:
        later = dt.datetime.now(dt.UTC) + dt.timedelta(hours=5)
        transport = KaggleTransport(kaggle.url, self.signed_in(file, later), QUICK)
        kaggle.answers = [(401, {}, "{}"), (200, {}, '{"token": "new"}'), (401, {}, "{}")]
        with pytest.raises(ActionNeeded, match=r"credentials from ~/.kaggle/credentials.json"):
            get_competition(transport)
        transport.close()
        assert len(kaggle.received) == 3

    @pytest.mark.parametrize("status", [400, 401, 403, 404])
    def test_an_ended_sign_in_is_said_so(self, status: int, kaggle: Scripted, file: Path) -> None:
        transport = KaggleTransport(kaggle.url, self.signed_in(file, None), QUICK)
        kaggle.answers = [(status, {}, '{"message": "no"}')] * 2
        with pytest.raises(ActionNeeded, match="has ended") as raised:
            get_competition(transport)
        transport.close()
        assert "kaggle auth login" in raised.value.next_step
        assert "refresh-secret" not in str(raised.value)
