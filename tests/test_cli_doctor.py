"""`doctor`: what it looks at, of the machine and of a competition on a loopback Kaggle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from autokaggle.config import load_settings
from autokaggle.practice.accounts import DEMO_USERNAME
from autokaggle.practice.kaggle_server import PracticeKaggle
from autokaggle.skills.sandbox.limits import machine_memory_bytes
from tests.kaggle_servers import SLUG
from tests.scripted_lifecycle import call, one_object

pytestmark = pytest.mark.usefixtures("workplace")


@pytest.fixture
def no_index(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep uv from asking the package index, as on a machine without network."""
    monkeypatch.setenv("UV_OFFLINE", "1")


def findings(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, dict[str, Any]]]:
    code = call("doctor", *arguments, "--json")
    found = one_object(capsys.readouterr().out)
    assert found["ok"] == (code == 0)
    return code, {check["name"]: check for check in found["checks"]}


def test_doctor_looks_at_everything_a_run_needs(
    no_index: None, account: None, capsys: pytest.CaptureFixture[str]
) -> None:
    _, found = findings(capsys)
    expected = {"isolation", "self-test", "uv", "machine", "disk", "index of runs", "Kaggle account", "language model"}
    assert expected <= set(found)
    _, offline = findings(capsys, SLUG, "--offline")
    assert set(found) - set(offline) == {"package index"}
    assert offline["competition"]["detail"] == "not looked at"
    assert found["Kaggle account"]["detail"] == "access token from KAGGLE_API_TOKEN"
    assert found["index of runs"]["status"] == "ok"


def test_doctor_without_an_account_only_warns(no_index: None, capsys: pytest.CaptureFixture[str]) -> None:
    _, found = findings(capsys)
    assert found["Kaggle account"]["status"] == "warn"
    assert "settings/api" in found["Kaggle account"]["next_step"]


def test_doctor_checks_a_competition(
    no_index: None, kaggle: PracticeKaggle, account: None, capsys: pytest.CaptureFixture[str]
) -> None:
    _, found = findings(capsys, SLUG)
    assert [found[name]["status"] for name in ("competition", "rules", "deadline", "submissions", "data")] == ["ok"] * 5
    assert found["signed in"] == {"name": "signed in", "status": "ok", "detail": f"as {DEMO_USERNAME}", "next_step": ""}
    assert found["submissions"]["detail"] == "5 of 5 left today"
    assert "5 files" in found["data"]["detail"]
    assert "Use of external data is not permitted." in found["external data"]["detail"]
    assert "maximum of five (5) Submissions per day" in found["submissions a day"]["detail"]
    assert "Rule on team size: 5" in found["team size"]["detail"]
    assert found["memory"]["status"] == "ok"


def test_doctor_says_where_to_accept_rules(
    no_index: None, kaggle: PracticeKaggle, account: None, capsys: pytest.CaptureFixture[str]
) -> None:
    code, found = findings(capsys, "https://www.kaggle.com/competitions/not-joined")
    assert code == 3
    assert found["rules"]["status"] == "fail"
    assert "https://www.kaggle.com/competitions/not-joined/rules" in found["rules"]["next_step"]
    assert found["deadline"]["status"] == "warn"


@pytest.mark.parametrize("target", ["no-such-competition", "titanic"])
def test_doctor_of_a_competition_that_cannot_be_reached_fails(
    no_index: None, target: str, kaggle: PracticeKaggle, account: None, capsys: pytest.CaptureFixture[str]
) -> None:
    code, found = findings(capsys, target)
    assert (code, found["competition"]["status"]) == (3, "fail")


def test_doctor_goes_on_without_pages_that_cannot_be_read(
    no_index: None, kaggle: PracticeKaggle, account: None, capsys: pytest.CaptureFixture[str]
) -> None:
    kaggle.faults.add("not_found", match="ListCompetitionPages")
    code, found = findings(capsys, SLUG)
    assert (code, found["pages"]["status"], found["data"]["status"]) == (3, "fail", "ok")


@pytest.mark.parametrize(("name", "status"), [("train.csv", "warn"), ("photos.bin", "ok")])
def test_doctor_estimates_the_memory_that_tables_take(
    name: str,
    status: str,
    no_index: None,
    workplace: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("AUTOKAGGLE_MEMORY", "1.5G")
    (workplace / "huge").mkdir()
    with (workplace / "huge" / name).open("wb") as stream:
        stream.truncate(machine_memory_bytes() // 10)
    _, found = findings(capsys, "./huge", "--offline")
    assert found["memory"]["status"] == status
    assert "20 times the tables'" in found["memory"]["detail"]
    assert "it may take 1.6 GB here" in found["memory"]["detail"]


def test_doctor_shows_lines_with_what_to_do(
    no_index: None, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (workplace / "empty").mkdir()
    assert call("doctor", "./empty", "--offline") == 3
    out = capsys.readouterr().out
    assert "✓ machine: Python" in out
    assert "! Kaggle account: No Kaggle credentials were found.\n    Open https" in out
    assert "✗ data: " in out
    assert "Put train.csv and test.csv into it." in out


def test_doctor_reports_a_damaged_index(no_index: None, capsys: pytest.CaptureFixture[str]) -> None:
    settings = load_settings()
    settings.home.mkdir(parents=True)
    settings.state.write_bytes(b"damaged " * 1000)
    code, found = findings(capsys)
    assert (code, found["index of runs"]["status"]) == (3, "fail")
    assert "runs --rebuild" in found["index of runs"]["next_step"]
