"""The client's calls against a loopback Kaggle: answers as records, refusals as errors that help."""

from __future__ import annotations

import json
import logging
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from autokaggle.config import load_settings
from autokaggle.errors import ActionNeeded, CompetitionUnusable, OutsideWorldError, UsageError
from autokaggle.practice.accounts import DEMO_REFRESH_TOKEN
from autokaggle.records.competition import SubmissionLimits
from autokaggle.records.event import Progress
from autokaggle.skills.competition.credentials import VAULT_ENTRY, Credentials, find_credentials
from autokaggle.skills.competition.fetcher import fetch_competition
from autokaggle.skills.competition.kaggle_client import KaggleClient, origin_of
from autokaggle.skills.competition.sending import unique_description
from autokaggle.storage.artifacts import RunFolder
from autokaggle.storage.dataset_cache import DatasetCache
from autokaggle.storage.records_file import write_record
from autokaggle.storage.secrets_vault import SecretsVault
from tests.kaggle_servers import (
    BOTH_SERVERS,
    QUICK,
    SLUG,
    KaggleServer,
    contents,
    data_of,
    open_client,
    write_competition,
)

TOKEN = "KGAT_a-token-of-this-test"


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


def test_a_submission_is_found_by_a_description_that_was_kept_before_it_was_sent(
    client: KaggleClient, competition: Path
) -> None:
    mine, other = unique_description("first\ntry"), unique_description("first\ntry")
    assert mine != other
    assert client.find_submission(SLUG, mine) is None
    sent = client.submit(SLUG, competition / "data" / "sample_submission.csv", description=mine)
    found = client.find_submission(SLUG, mine)
    assert found is not None
    assert (found.ref, sent.description) == (sent.ref, mine)
    assert client.find_submission(SLUG, other) is None


def test_a_misspelt_slug_is_named(client: KaggleClient) -> None:
    with pytest.raises(CompetitionUnusable, match=r"'titanik'.*private.*misspelt"):
        client.competition("titanik")


def test_submissions_to_a_misspelt_slug_are_no_matter_of_rules(client: KaggleClient) -> None:
    with pytest.raises(CompetitionUnusable, match=r"'titanik'.*private.*misspelt"):
        client.submissions("titanik")


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


def write(path: Path, content: str) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return str(path)


def forms(server: KaggleServer, home: Path) -> dict[str, tuple[dict[str, str], str]]:
    """Every form of credentials: what to set (files are written to ``home``), and the header it must give."""
    user, key = server.credentials.username, server.credentials.secret
    basic, bearer = server.credentials.authorization, f"Bearer {server.token}"
    kaggle_json = json.dumps({"username": user, "key": key})
    dotenv = write(home / "project" / ".env", f"KAGGLE_API_TOKEN={user}:{key}\n")
    elsewhere = write(home / "elsewhere" / "kaggle.json", kaggle_json)
    return {
        "token": ({"KAGGLE_API_TOKEN": server.token}, bearer),
        "username:key": ({"KAGGLE_API_TOKEN": f"{user}:{key}"}, basic),
        "JSON": ({"KAGGLE_API_TOKEN": kaggle_json}, basic),
        "path of a token": ({"KAGGLE_API_TOKEN": write(home / "token", server.token)}, bearer),
        "path of a JSON": ({"KAGGLE_API_TOKEN": write(home / "json", kaggle_json)}, basic),
        "username and key": ({"KAGGLE_USERNAME": user, "KAGGLE_KEY": key}, basic),
        "token as key": ({"KAGGLE_USERNAME": user, "KAGGLE_KEY": server.token}, bearer),
        ".env": (dict(load_settings({}, Path(dotenv).parent).environment), basic),
        "KAGGLE_CONFIG_DIR": ({"KAGGLE_CONFIG_DIR": str(Path(elsewhere).parent)}, basic),
    }


def test_each_form_of_credentials_arrives_as_it_should(server: KaggleServer, tmp_path: Path) -> None:
    for name, (environment, header) in forms(server, tmp_path).items():
        with open_client(server, find_credentials(environment, tmp_path / "nobody")) as client:
            client.competition(SLUG)
        assert server.seen()[-1].authorization == header, name


@pytest.mark.parametrize("name", ["access_token", "access_token.txt", "kaggle.json", "credentials.json", "vault"])
def test_each_file_of_credentials_arrives_as_it_should(name: str, server: KaggleServer, tmp_path: Path) -> None:
    user, key = server.credentials.username, server.credentials.secret
    vault = SecretsVault(tmp_path / "autokaggle", use_keyring=False)
    header = f"Bearer {server.token}"
    if name == "vault":
        vault.put(VAULT_ENTRY, server.token)
    elif name == "kaggle.json":
        write(tmp_path / ".kaggle" / name, json.dumps({"username": user, "key": key}))
        header = server.credentials.authorization
    elif name == "credentials.json":
        write(tmp_path / ".kaggle" / name, json.dumps({"refresh_token": DEMO_REFRESH_TOKEN, "username": user}))
    else:
        write(tmp_path / ".kaggle" / name, server.token + "\n")
    with open_client(server, find_credentials({}, tmp_path, vault)) as client:
        assert client.account() == user
    calls = server.seen()
    if name != "credentials.json":
        assert {each.authorization for each in calls} == {header}
        return
    assert calls[0].call == "GenerateAccessToken" and calls[0].authorization is None
    renewed = json.loads((tmp_path / ".kaggle" / name).read_text())["access_token"]
    assert {each.authorization for each in calls[1:]} == {f"Bearer {renewed}"}


def test_no_secret_is_left_anywhere(
    server: KaggleServer, competition: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    run = RunFolder.create(tmp_path / "runs", "one")
    said: list[Progress] = []
    for credentials in (server.credentials, Credentials("file", "access token", server.token)):
        with open_client(server, credentials) as client:
            found = fetch_competition(client, SLUG, run, DatasetCache(tmp_path / "cache"), said.append)
            write_record(run.competition, found)
            sent = client.submit(SLUG, competition / "data" / "sample_submission.csv", "try", said.append)
            client.wait_for_score(SLUG, sent.ref, on_progress=said.append)
    kept = b"".join(path.read_bytes() for folder in ("runs", "cache") for path in files_below(tmp_path / folder))
    for secret in (*server.credentials.secrets, server.token):
        assert secret.encode() not in kept
        assert secret not in caplog.text
        assert all(secret not in progress.text for progress in said)
    assert b"Signature=" not in kept and all("http" not in progress.text for progress in said)


def files_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


class TestRank:
    """The public leaderboard, by Kaggle's own word or by the team's name."""

    @pytest.fixture
    def competition(self, tmp_path: Path, request: pytest.FixtureRequest) -> Path:
        rows = [{"teamId": n, "teamName": f"team {n}", "score": f"{n / 300:.5f}"} for n in range(250)]
        folder = write_competition(tmp_path / "served", leaderboard=rows, teamCount=251, **request.param)
        for row in rows[::50]:
            share = float(str(row["score"]))
            guesses = "".join(f"{i},{i % 2 if i % 20 < 20 * share else 1 - i % 2}\n" for i in range(60, 80))
            write(folder / "private" / "baselines" / f"{row['teamName']}.csv", "id,survived\n" + guesses)
        return folder

    @pytest.mark.parametrize("competition", [{"userRank": 17}], indirect=True)
    def test_kaggle_says_the_rank(self, client: KaggleClient, competition: Path) -> None:
        sent = client.submit(SLUG, competition / "data" / "sample_submission.csv")
        scored = client.wait_for_score(SLUG, sent.ref)
        assert (scored.rank, scored.teams) == (17, 251)

    @pytest.mark.parametrize("competition", [{}], indirect=True)
    def test_the_rank_is_looked_up(self, client: KaggleClient, competition: Path) -> None:
        sent = client.submit(SLUG, competition / "data" / "sample_submission.csv")
        scored = client.wait_for_score(SLUG, sent.ref)
        board = client.leaderboard(SLUG)
        assert scored.rank is not None and board[scored.rank - 1].score == scored.public_score
        assert [row.rank for row in board] == list(range(1, len(board) + 1))
        scores = [row.score or 0.0 for row in board]
        assert scores == sorted(scores, reverse=True) and len(client.leaderboard(SLUG, at_most=2)) <= 200


def test_an_outage_only_delays_the_score(client: KaggleClient, server: KaggleServer, competition: Path) -> None:
    sent = client.submit(SLUG, competition / "data" / "sample_submission.csv")
    server.arm("server_error", match="GetSubmission$", times=5)
    assert client.wait_for_score(SLUG, sent.ref, timeout_seconds=20).status == "complete"
    server.arm("server_error", match="GetSubmission$")
    with pytest.raises(OutsideWorldError):
        client.wait_for_score(SLUG, sent.ref, timeout_seconds=0.1)


def test_kaggles_own_address_works_through_a_proxy_with_a_private_certificate(
    shared_folder: Path, competition: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The emulator stands in as a proxy that inspects TLS: https://api.kaggle.com never leaves this machine."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl to make a certificate with")
    credentials = Credentials("test", "access token", TOKEN)
    with emulator_process(shared_folder, competition.parent, tmp_path) as url:
        monkeypatch.setenv("https_proxy", url)
        client = KaggleClient(None, credentials, retry=QUICK)
        with closing(client), pytest.raises(OutsideWorldError, match=r"certificate of api\.kaggle\.com") as raised:
            client.competition(SLUG)
        assert "REQUESTS_CA_BUNDLE" in raised.value.next_step
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "tls" / "ca.pem"))
        client = KaggleClient(None, credentials, retry=QUICK)
        run = RunFolder.create(tmp_path / "runs", "one")
        with closing(client):
            fetch_competition(client, SLUG, run, DatasetCache(tmp_path / "cache"), lambda progress: None)
    assert contents(run.data) == data_of(competition)
    entries = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    origins = {entry["origin"]: entry["authorization"] for entry in entries}
    assert origins == {"https://api.kaggle.com": f"Bearer {TOKEN}", "https://storage.googleapis.com": None}


@contextmanager
def emulator_process(shared_folder: Path, root: Path, work: Path) -> Iterator[str]:
    """Run the emulator with TLS, in a process of its own because it leaves TLS sockets unclosed; yield its address."""
    command = [sys.executable, str(shared_folder / "tools" / "kaggle_emulator.py"), "--root", str(root)]
    command += ["--port", "0", "--tls", str(work / "tls"), "--log", str(work / "log.jsonl"), "--token", TOKEN]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield process.stdout.readline().split()[3]
    finally:
        process.kill()
        process.communicate(timeout=10)


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
