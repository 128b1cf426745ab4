"""The client's calls against a loopback Kaggle: answers as records, refusals as errors that help."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from autokaggle.errors import ActionNeeded, CompetitionUnusable, OutsideWorldError, UsageError
from autokaggle.records import SubmissionLimits
from autokaggle.skills.competition.credentials import Credentials
from autokaggle.skills.competition.kaggle_client import KaggleClient, origin_of
from tests.kaggle_servers import BOTH_SERVERS, SLUG, KaggleServer, open_client, serve, write_competition


@pytest.fixture
def competition(tmp_path: Path) -> Path:
    return write_competition(tmp_path / "served")


@pytest.fixture(params=BOTH_SERVERS)
def server(request: pytest.FixtureRequest, competition: Path) -> Iterator[KaggleServer]:
    with serve(request.param, request, competition.parent) as running:
        yield running


@pytest.fixture
def client(server: KaggleServer) -> Iterator[KaggleClient]:
    with open_client(server) as opened:
        yield opened


def test_facts_of_a_competition(client: KaggleClient) -> None:
    facts = client.competition(SLUG)
    assert (facts.slug, facts.title, facts.category) == (SLUG, "Tiny Titanic", "Getting Started")
    assert facts.url == f"https://www.kaggle.com/competitions/{SLUG}"
    assert facts.deadline == "2030-01-01T23:59:00Z"
    assert facts.metric.wording == "Categorization Accuracy" and facts.metric.source == "field"
    assert facts.user_has_entered is True
    assert not facts.is_code_competition and not facts.submissions_disabled
    assert facts.limits == SubmissionLimits(daily=5)
    assert [(gate.name, gate.value) for gate in facts.gates] == [("team_size", 5), ("daily_submissions", 5)]


def test_pages_are_markdown_whatever_they_were(client: KaggleClient) -> None:
    pages = {page.file: page.text for page in client.pages(SLUG)}
    assert set(pages) == {"evaluation.md", "rules.md", "description.md"}
    assert pages["description.md"] == "## Who survived?\n\nPredict it **well**.\n"


@pytest.mark.parametrize("server", BOTH_SERVERS, indirect=True)
class TestManyFiles:
    @pytest.fixture
    def competition(self, tmp_path: Path) -> Path:
        folder = write_competition(tmp_path / "served")
        for number in range(450):
            (folder / "data" / "images" / f"{number:04}.txt").write_text("x")
        return folder

    def test_files_are_listed_over_all_pages(self, client: KaggleClient) -> None:
        files = client.files(SLUG)
        assert len(files) == 455
        assert len({file.name for file in files}) == 455
        sizes = {file.name: file.bytes for file in files}
        assert sizes["images/train/0.txt"] == 4
        assert len(client.files(SLUG, at_most=200)) == 200
        assert client.data_size(SLUG) == (455, sum(sizes.values()))


def test_limits_count_down(client: KaggleClient, competition: Path) -> None:
    assert client.limits(SLUG) == SubmissionLimits(daily=5, left_today=5)
    client.submit(SLUG, competition / "data" / "sample_submission.csv")
    assert client.limits(SLUG) == SubmissionLimits(daily=5, left_today=4)


def test_a_submission_is_scored(client: KaggleClient, competition: Path) -> None:
    sent = client.submit(SLUG, competition / "data" / "sample_submission.csv", "first try")
    scored = client.wait_for_score(SLUG, sent.ref)
    assert scored.status == "complete"
    assert scored.public_score is not None and 0 < scored.public_score < 1
    assert scored.private_score is None
    assert (scored.rank, scored.teams) == (1, 1)
    assert scored.description == sent.description and sent.description.startswith("first try [")
    assert [row.ref for row in client.submissions(SLUG)] == [sent.ref]


def test_a_misspelt_slug_is_named(client: KaggleClient) -> None:
    with pytest.raises(CompetitionUnusable, match=r"'titanik'.*private.*misspelt"):
        client.competition("titanik")


def test_refused_credentials_are_named_by_their_source_only(server: KaggleServer) -> None:
    wrong = Credentials("KAGGLE_API_TOKEN", "access token", "KGAT_wrongtoken")
    with open_client(server, wrong) as client, pytest.raises(ActionNeeded) as raised:
        client.competition(SLUG)
    assert "KAGGLE_API_TOKEN" in str(raised.value)
    assert "wrongtoken" not in str(raised.value)


def test_bearer_and_basic_are_both_accepted(server: KaggleServer) -> None:
    for credentials in (server.credentials, Credentials("file", "access token", server.token)):
        with open_client(server, credentials) as client:
            assert client.competition(SLUG).slug == SLUG


def test_an_account_is_tried_and_named(server: KaggleServer) -> None:
    for credentials in (server.credentials, Credentials("file", "access token", server.token)):
        with open_client(server, credentials) as client:
            assert client.account() == server.credentials.username
    with open_client(server, Credentials("file", "access token", "KGAT_wrong")) as client, pytest.raises(ActionNeeded):
        client.account()


def test_the_environment_of_the_process_does_not_count(server: KaggleServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAGGLE_API_TOKEN", "somebody:0123456789abcdef0123456789abcdef")
    monkeypatch.setenv("KAGGLE_USERNAME", "somebody")
    with open_client(server, Credentials("file", "access token", server.token)) as client:
        client.competition(SLUG)
    assert {each.authorization for each in server.seen()} == {f"Bearer {server.token}"}


def test_eight_threads_make_no_unsigned_call(client: KaggleClient, server: KaggleServer) -> None:
    with ThreadPoolExecutor(8) as pool:
        titles = list(pool.map(lambda _: client.competition(SLUG).title, range(80)))
    assert set(titles) == {"Tiny Titanic"}
    assert len(server.seen()) == 80
    assert {each.authorization for each in server.seen()} == {server.credentials.authorization}


def test_every_request_says_who_asks(client: KaggleClient, server: KaggleServer) -> None:
    client.competition(SLUG)
    assert all(each.headers["user-agent"].startswith("autokaggle/") for each in server.seen())


def test_calls_also_lie_under_api(server: KaggleServer) -> None:
    server.arm("not_found", match="^/v1/")
    with open_client(server) as client:
        assert client.competition(SLUG).slug == SLUG
        client.limits(SLUG)
    assert [each.path.split("/competitions")[0] for each in server.seen()] == ["/v1", "/api/v1", "/api/v1"]


def test_a_proxy_is_not_asked_the_way_to_this_machine(server: KaggleServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with open_client(server) as client:
        assert client.competition(SLUG).slug == SLUG


def test_an_address_that_cannot_be_reached(server: KaggleServer) -> None:
    gone = KaggleServer("http://127.0.0.1:9", server.credentials, server.token, server.arm, server.seen)
    with open_client(gone) as client, pytest.raises(OutsideWorldError, match=r"127\.0\.0\.1:9 cannot be reached"):
        client.competition(SLUG)


@pytest.mark.parametrize(
    "url", ["http://example.org", "ftp://127.0.0.1", "127.0.0.1:80", "https://me:pw@x.org", "http://["]
)
def test_credentials_are_not_sent_to_just_any_address(url: str) -> None:
    with pytest.raises(UsageError, match="AUTOKAGGLE_KAGGLE_URL"):
        KaggleClient(url, Credentials("test", "access token", "KGAT_x"))


@pytest.mark.parametrize(
    ("url", "origin"),
    [(None, "kaggle.com"), ("http://127.0.0.1:8765", "127.0.0.1"), ("http://[::1]:5", "--1")],
)
def test_the_origin_has_no_port(url: str | None, origin: str) -> None:
    assert origin_of(url) == origin
