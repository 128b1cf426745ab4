"""The client's calls against a loopback Kaggle: answers as records, refusals as errors that help."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from autokaggle.errors import ActionNeeded, CompetitionUnusable, OutsideWorldError, UsageError
from autokaggle.records import SubmissionLimits
from autokaggle.skills.competition.credentials import Credentials
from autokaggle.skills.competition.kaggle_client import KaggleClient, origin_of
from tests.kaggle_servers import KEY, LEGACY, TOKEN, USER, open_client, reference_emulator, write_competition

SLUG = "tiny-titanic"


@pytest.fixture
def competition(tmp_path: Path) -> Path:
    return write_competition(tmp_path / "served")


@pytest.fixture
def server(shared_folder: Path, competition: Path) -> Iterator[Any]:
    with reference_emulator(shared_folder, competition.parent) as emulator:
        yield emulator


@pytest.fixture
def client(server: Any) -> Iterator[KaggleClient]:
    with open_client(server.url) as opened:
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


def test_files_are_listed_over_all_pages(client: KaggleClient, competition: Path) -> None:
    for number in range(450):
        (competition / "data" / "images" / f"{number:04}.txt").write_text("x")
    files = client.files(SLUG)
    assert len(files) == 455
    assert len({file.name for file in files}) == 455
    assert {file.name: file.bytes for file in files}["images/train/0.txt"] == 4
    assert len(client.files(SLUG, at_most=200)) == 200
    assert client.data_size(SLUG) == (455, sum(file.bytes for file in files))


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


def test_refused_credentials_are_named_by_their_source_only(server: Any) -> None:
    wrong = Credentials("KAGGLE_API_TOKEN", "access token", "KGAT_wrongtoken")
    with open_client(server.url, wrong) as client, pytest.raises(ActionNeeded) as raised:
        client.competition(SLUG)
    assert "KAGGLE_API_TOKEN" in str(raised.value)
    assert "wrongtoken" not in str(raised.value)


def test_bearer_and_basic_are_both_accepted(server: Any) -> None:
    for credentials in (LEGACY, Credentials("file", "access token", TOKEN)):
        with open_client(server.url, credentials) as client:
            assert client.competition(SLUG).slug == SLUG


def test_the_environment_of_the_process_does_not_count(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAGGLE_API_TOKEN", f"{USER}:{KEY}")
    with open_client(server.url, Credentials("file", "access token", TOKEN)) as client:
        client.competition(SLUG)
    assert {entry["authorization"] for entry in server.log.entries} == {f"Bearer {TOKEN}"}


def test_eight_threads_make_no_unsigned_call(client: KaggleClient, server: Any) -> None:
    with ThreadPoolExecutor(8) as pool:
        titles = list(pool.map(lambda _: client.competition(SLUG).title, range(80)))
    assert set(titles) == {"Tiny Titanic"}
    assert len(server.log.entries) == 80
    assert all(entry["authorization"] == LEGACY.authorization for entry in server.log.entries)


def test_calls_also_lie_under_api(server: Any, tmp_path: Path) -> None:
    """The emulator answers under both; a base with a path that only /api/v1 continues shows the second try."""
    server.faults.add("not_found", match="^/v1/")
    with open_client(server.url) as client:
        assert client.competition(SLUG).slug == SLUG
        client.limits(SLUG)
    paths = [entry["path"].split("/competitions")[0] for entry in server.log.entries]
    assert paths == ["/v1", "/api/v1", "/api/v1"]


def test_an_address_that_cannot_be_reached() -> None:
    with open_client("http://127.0.0.1:9") as client, pytest.raises(OutsideWorldError, match="cannot be reached"):
        client.competition(SLUG)


@pytest.mark.parametrize(
    "url", ["http://example.org", "ftp://127.0.0.1", "127.0.0.1:80", "https://me:pw@x.org", "http://["]
)
def test_credentials_are_not_sent_to_just_any_address(url: str) -> None:
    with pytest.raises(UsageError, match="AUTOKAGGLE_KAGGLE_URL"):
        KaggleClient(url, LEGACY)


@pytest.mark.parametrize(
    ("url", "origin"),
    [(None, "kaggle.com"), ("http://127.0.0.1:8765", "127.0.0.1"), ("http://[::1]:5", "--1")],
)
def test_the_origin_has_no_port(url: str | None, origin: str) -> None:
    assert origin_of(url) == origin
