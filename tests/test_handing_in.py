"""Handing in: once, whatever happens to the process or to Kaggle's answer in between."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from autokaggle.orchestrator.handing_in import UNCONFIRMED, send, wait_for_score, with_sent
from autokaggle.practice.accounts import DEMO_KEY, DEMO_USERNAME
from autokaggle.practice.kaggle_server import PracticeKaggle
from autokaggle.records.event import Progress
from autokaggle.records.outcome import SentSubmission
from autokaggle.records.run import Run, RunOptions
from autokaggle.skills.competition.credentials import find_credentials
from autokaggle.skills.competition.kaggle_client import KaggleClient
from tests.practice_world import SLUG, TRUTH, make_competition, submission


class Killed(BaseException):
    """Stands for kill -9 between two lines."""


@pytest.fixture
def kaggle(tmp_path: Path) -> Iterator[PracticeKaggle]:
    make_competition(tmp_path / "competitions")
    with PracticeKaggle(tmp_path / "competitions") as server:
        yield server


@pytest.fixture
def client(kaggle: PracticeKaggle, tmp_path: Path) -> Iterator[KaggleClient]:
    credentials = find_credentials({"KAGGLE_USERNAME": DEMO_USERNAME, "KAGGLE_KEY": DEMO_KEY}, tmp_path)
    opened = KaggleClient(kaggle.url, credentials)
    yield opened
    opened.close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "submission.csv"
    path.write_bytes(submission(TRUTH))
    return path


@pytest.fixture
def run() -> Run:
    return Run(
        id=f"{SLUG}-20260801-101500-3f2a",
        slug=SLUG,
        target=SLUG,
        options=RunOptions(target=SLUG),
        status="running",
        created="2026-08-01T10:15:00Z",
    )


def quiet(progress: Progress) -> None:
    pass


def test_a_submission_is_kept_before_it_is_sent_and_when_it_is_scored(
    client: KaggleClient, file: Path, run: Run
) -> None:
    kept: list[SentSubmission] = []
    sent = send(client, run, file, "", kept.append, quiet)
    assert [one.ref for one in kept] == [UNCONFIRMED, sent.ref]
    assert kept[0].description == sent.description
    assert run.id in sent.description
    scored = wait_for_score(client, run, sent, kept.append, quiet)
    assert scored.status == "complete"
    assert kept[-1] == scored


def test_a_process_killed_after_the_sending_finds_its_submission_again(
    client: KaggleClient, file: Path, run: Run
) -> None:
    records = [run]

    def keep(sent: SentSubmission) -> None:
        if sent.ref != UNCONFIRMED:
            raise Killed
        records.append(with_sent(records[-1], sent))

    with pytest.raises(Killed):
        send(client, run, file, "first try", keep, quiet)
    found = send(client, records[-1], file, "first try", lambda sent: None, quiet)
    assert found.ref != UNCONFIRMED
    assert [one.ref for one in client.submissions(SLUG)] == [found.ref]


def test_a_process_killed_before_the_sending_sends_once(client: KaggleClient, file: Path, run: Run) -> None:
    known = with_sent(run, SentSubmission(ref=UNCONFIRMED, description="was about to be sent [0123456789]"))
    sent = send(client, known, file, "", lambda one: None, quiet)
    assert sent.description == "was about to be sent [0123456789]"
    assert len(client.submissions(SLUG)) == 1


def test_what_is_confirmed_replaces_what_was_not(run: Run) -> None:
    known = with_sent(run, SentSubmission(ref=UNCONFIRMED, description="a"))
    known = with_sent(known, SentSubmission(ref=7, description="a"))
    known = with_sent(known, SentSubmission(ref=7, description="a", status="complete", public_score=0.5))
    assert [(one.ref, one.status) for one in known.sent] == [(7, "complete")]
