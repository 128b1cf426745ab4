"""A notebook as a submission, over loopback HTTP: pushed once, run by the server, handed in, scored."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from autokaggle.errors import ActionNeeded, CompetitionUnusable, NoValidSubmission, OutsideWorldError
from autokaggle.practice.accounts import DEMO_KEY, DEMO_USERNAME
from autokaggle.practice.kaggle_server import PracticeKaggle
from autokaggle.skills.competition import notebooks
from autokaggle.skills.competition.credentials import Credentials
from autokaggle.skills.competition.kaggle_client import KaggleClient
from autokaggle.skills.competition.notebooks import notebook_title
from tests.practice_world import SLUG, make_competition

TITLE = notebook_title("small-houses-20260801-101500-3f2a")
WRITES = """
import csv, sys
rows = list(csv.DictReader(open(sys.argv[1] + "/sample_submission.csv")))
with open("submission.csv", "w") as file:
    file.write("id,price\\n" + "".join(f"{row['id']},10\\n" for row in rows))
"""


def notebook(code: str) -> str:
    return json.dumps({"cells": [{"cell_type": "code", "source": code}], "nbformat": 4, "nbformat_minor": 5})


def run_plainly(source: str, data: Path) -> bytes:
    """Run the code cells as one script; these notebooks need no more."""
    code = "\n".join(cell["source"] for cell in json.loads(source)["cells"])
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run([sys.executable, "-c", code, str(data)], cwd=folder, capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(done.stderr.strip().splitlines()[-1])
        return Path(folder, "submission.csv").read_bytes()


@contextmanager
def kaggle(folder: Path, **settings: Any) -> Iterator[tuple[PracticeKaggle, KaggleClient]]:
    make_competition(folder, isKernelsSubmissionsOnly=True, **settings)
    credentials = Credentials(username=DEMO_USERNAME, secret=DEMO_KEY, source="test", form="legacy key")
    with PracticeKaggle(folder, run_notebook=run_plainly) as server:
        client = KaggleClient(server.url, credentials)
        try:
            yield server, client
        finally:
            client.close()


@pytest.fixture(autouse=True)
def quick_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notebooks, "FIRST_PAUSE_SECONDS", 0.05)


def test_a_notebook_is_run_handed_in_and_scored(tmp_path: Path) -> None:
    with kaggle(tmp_path) as (server, client):
        sent = client.submit_notebook(SLUG, TITLE, notebook(WRITES), description="mine [1]")
        scored = client.wait_for_score(SLUG, sent.ref, timeout_seconds=20)
        assert scored.status == "complete"
        assert scored.public_score is not None
        (pushed,) = server.log.exchanges("SaveKernel")
        fields = pushed.request.json()
        assert (fields["isPrivate"], fields["competitionDataSources"]) == (True, [SLUG])
        assert not fields.get("enableInternet")


def test_a_second_call_goes_on_with_the_notebook_that_was_pushed(tmp_path: Path) -> None:
    with kaggle(tmp_path) as (server, client):
        client.submit_notebook(SLUG, TITLE, notebook(WRITES), description="mine [1]")
        client.submit_notebook(SLUG, TITLE, notebook(WRITES), description="mine [2]")
        assert len(server.log.exchanges("SaveKernel")) == 1
        assert len(client.submissions(SLUG)) == 2


def test_a_notebook_that_fails_says_why_and_where_its_log_is(tmp_path: Path) -> None:
    with kaggle(tmp_path) as (_, client), pytest.raises(NoValidSubmission, match="no such model") as caught:
        client.submit_notebook(SLUG, TITLE, notebook("raise ValueError('no such model')"), description="mine [1]")
    assert "https://www.kaggle.com/code/" in caught.value.next_step


def test_a_notebook_that_takes_too_long_is_left_running(tmp_path: Path) -> None:
    slow = notebook("import time; time.sleep(3)\n" + WRITES)
    with kaggle(tmp_path) as (_, client), pytest.raises(OutsideWorldError, match="still runs"):
        client.submit_notebook(SLUG, TITLE, slow, description="mine [1]", timeout_seconds=0.2)


def test_a_notebook_that_kaggle_would_refuse_for_its_size_is_not_sent(tmp_path: Path) -> None:
    with kaggle(tmp_path) as (server, client), pytest.raises(CompetitionUnusable, match="1,000,000"):
        try:
            client.submit_notebook(SLUG, TITLE, notebook("#" * 1_000_001), description="mine [1]")
        finally:
            assert not server.log.exchanges("SaveKernel")


def test_nothing_is_pushed_when_no_submission_is_left(tmp_path: Path) -> None:
    with kaggle(tmp_path, maxDailySubmissions=0) as (server, client), pytest.raises(ActionNeeded):
        try:
            client.submit_notebook(SLUG, TITLE, notebook(WRITES), description="mine [1]")
        finally:
            assert not server.log.exchanges("SaveKernel")


def test_a_title_names_the_run_within_kaggles_length() -> None:
    long = notebook_title("house-prices-advanced-regression-techniques-20261125-221412-8ba2")
    assert len(long) <= 50
    assert long.startswith("autokaggle ")
    assert long.endswith("20261125 221412 8ba2")
