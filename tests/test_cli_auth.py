"""`auth`, and what commands say without credentials, against a loopback Kaggle."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from autokaggle.practice.accounts import DEMO_KEY, DEMO_TOKEN, DEMO_USERNAME
from autokaggle.practice.kaggle_server import PracticeKaggle
from tests.kaggle_servers import SAMPLE, SLUG
from tests.scripted_lifecycle import ScriptedLifecycle, call, one_object

pytestmark = pytest.mark.usefixtures("workplace")


def login(monkeypatch: pytest.MonkeyPatch, text: str, *flags: str) -> int:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    return call("auth", "login", *flags)


@pytest.mark.parametrize(
    ("given", "form"),
    [
        (DEMO_TOKEN, "access token"),
        (f"{DEMO_USERNAME}:{DEMO_KEY}\n", "legacy key"),
        (json.dumps({"username": DEMO_USERNAME, "key": DEMO_KEY}, indent=1), "legacy key"),
    ],
)
def test_credentials_are_kept_used_and_forgotten(
    given: str, form: str, kaggle: PracticeKaggle, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert login(monkeypatch, given) == 0
    assert call("auth", "status") == 0
    assert call("submissions", SLUG) == 0
    out, err = capsys.readouterr()
    assert f"used: vault: {form} of practice\n" in out
    assert "There is no submission to tiny-titanic yet." in out
    assert DEMO_KEY not in out + err
    assert DEMO_TOKEN not in out + err
    assert call("auth", "logout", "--json") == 0
    assert one_object(capsys.readouterr().out) == {"removed": True, "left": []}
    assert call("auth", "status") == 3


def test_credentials_that_kaggle_refuses_are_not_kept(
    kaggle: PracticeKaggle, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert login(monkeypatch, "ann:0123456789abcdef0123456789abcdef") == 3
    assert call("auth", "status") == 3
    assert "No Kaggle credentials were found" in capsys.readouterr().err


def test_status_says_which_credentials_win(
    account: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert login(monkeypatch, f"ann:{DEMO_KEY}", "--offline") == 0
    assert "KAGGLE_API_TOKEN come first" in capsys.readouterr().err
    assert call("auth", "status", "--offline", "--json") == 0
    assert one_object(capsys.readouterr().out)["credentials"] == [
        {"source": "KAGGLE_API_TOKEN", "form": "access token", "account": "", "problem": ""},
        {"source": "vault", "form": "legacy key", "account": "ann", "problem": ""},
    ]
    assert call("auth", "logout") == 0
    assert "Credentials elsewhere stay: KAGGLE_API_TOKEN" in capsys.readouterr().out


def test_status_names_malformed_credentials(
    account: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (Path.home() / ".kaggle").mkdir()
    (Path.home() / ".kaggle" / "kaggle.json").write_text("{broken")
    assert call("auth", "status", "--offline") == 0
    assert "not used: ~/.kaggle/kaggle.json holds JSON that cannot be read." in capsys.readouterr().out
    monkeypatch.delenv("KAGGLE_API_TOKEN")
    assert call("auth", "status") == 3
    assert "~/.kaggle/kaggle.json holds JSON" in capsys.readouterr().err


def test_status_goes_on_when_kaggle_cannot_be_asked(
    kaggle: PracticeKaggle, account: None, capsys: pytest.CaptureFixture[str]
) -> None:
    kaggle.faults.add("server_error", match="ListCompetitions", times=9, status=503)
    assert call("auth", "status") == 0
    out, err = capsys.readouterr()
    assert out == "used: KAGGLE_API_TOKEN: access token\n"
    assert "could not be tried" in err


@pytest.mark.parametrize("given", ["", "  \n", "two words", '{"username": "ann"}', "{broken"])
def test_what_are_no_credentials_is_refused(
    given: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert login(monkeypatch, given) == 3
    assert not (Path.home() / ".local/share/autokaggle/vault").exists()
    assert "kaggle.com/settings" in capsys.readouterr().err


@pytest.mark.parametrize("command", [("submissions", SLUG), ("submit",), ("auth", "status"), ("profile", SLUG)])
def test_without_credentials_a_person_is_told_how_to_get_them(
    command: tuple[str, ...], kaggle: PracticeKaggle, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("run", SLUG, lifecycle=ScriptedLifecycle(sample=SAMPLE)) == 0
    assert call(*command) == 3
    assert "https://www.kaggle.com/settings/api" in capsys.readouterr().err
