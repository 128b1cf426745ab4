"""`demo`: a run against a Kaggle of its own, which ends with it."""

from __future__ import annotations

import threading
from contextlib import closing
from pathlib import Path

import pytest

from autokaggle.config import Settings
from autokaggle.errors import RunInterrupted
from autokaggle.orchestrator.kaggle_account import open_kaggle
from autokaggle.practice.accounts import DEMO_USERNAME
from autokaggle.storage.artifacts import RunFolder
from tests.scripted_lifecycle import ScriptedLifecycle, call, one_object

pytestmark = pytest.mark.usefixtures("workplace")


def test_the_demo_runs_against_its_own_kaggle_as_its_own_account(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAGGLE_API_TOKEN", "KGAT_of_the_user_0123456789")
    seen: list[Settings] = []
    before = set(threading.enumerate())

    def look(folder: RunFolder, settings: Settings) -> None:
        seen.append(settings)
        with closing(open_kaggle(settings)) as client:
            assert client.credentials.username == DEMO_USERNAME
            assert client.competition("practice-airport-codes").user_has_entered

    lifecycle = ScriptedLifecycle(before_end=look)
    assert call("demo", "--time-budget", "10s", "--json", lifecycle=lifecycle) == 0
    assert one_object(capsys.readouterr().out)["status"] == "done"
    (options,) = lifecycle.options
    assert (options.target, options.time_budget_seconds, options.submit) == ("practice-airport-codes", 10.0, True)
    assert not any("of_the_user" in value for value in seen[0].environment.values())
    assert set(threading.enumerate()) <= before


@pytest.mark.parametrize("trouble", [RunInterrupted("Run x was interrupted.", "resume x"), KeyboardInterrupt()])
def test_a_demo_that_was_interrupted_starts_over_and_cannot_go_on(
    trouble: BaseException, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("demo", lifecycle=ScriptedLifecycle(trouble=trouble)) == 130
    err = capsys.readouterr().err
    assert "autokaggle demo" in err
    assert "resume" not in err
    for command in ("resume", "submit"):
        assert call(command) == 2
        err = capsys.readouterr().err
        assert "is of the demo" in err
        assert "autokaggle demo" in err


def test_a_run_of_the_practice_competition_goes_on_where_a_server_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("demo", lifecycle=ScriptedLifecycle(trouble=KeyboardInterrupt())) == 130
    monkeypatch.setenv("AUTOKAGGLE_KAGGLE_URL", "http://127.0.0.1:9")
    assert call("resume") == 0
