"""Commands that deal with Kaggle: `auth`, `submit`, `submissions`, `doctor` and `demo`, against a loopback Kaggle."""

from __future__ import annotations

import io
import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from autokaggle.config import Settings, load_settings
from autokaggle.errors import RunInterrupted
from autokaggle.orchestrator.kaggle_account import open_kaggle
from autokaggle.practice.accounts import DEMO_KEY, DEMO_TOKEN, DEMO_USERNAME
from autokaggle.practice.kaggle_server import PracticeKaggle
from autokaggle.records.outcome import SentSubmission
from autokaggle.records.run import Run
from autokaggle.skills.sandbox.limits import machine_memory_bytes
from autokaggle.storage.artifacts import RunFolder
from autokaggle.storage.records_file import read_record
from tests.kaggle_servers import SLUG, write_competition
from tests.scripted_lifecycle import ScriptedLifecycle, call, one_object

SAMPLE = "id,survived\n" + "".join(f"{number},0\n" for number in range(60, 80))


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def kaggle(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[PracticeKaggle]:
    root = tmp_path_factory.mktemp("kaggle")
    write_competition(root)
    write_competition(root, "not-joined", userHasEntered=False, deadline="2020-01-01T00:00:00Z")
    with PracticeKaggle(root) as server:
        monkeypatch.setenv("AUTOKAGGLE_KAGGLE_URL", server.url)
        yield server


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAGGLE_API_TOKEN", DEMO_TOKEN)


@pytest.fixture
def finished(kaggle: PracticeKaggle, account: None, workplace: Path, capsys: pytest.CaptureFixture[str]) -> RunFolder:
    assert call("run", SLUG, lifecycle=ScriptedLifecycle(sample=SAMPLE)) == 0
    capsys.readouterr()
    (folder,) = (workplace / "runs").iterdir()
    return RunFolder(folder)


def login(monkeypatch: pytest.MonkeyPatch, text: str, *flags: str) -> int:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    return call("auth", "login", *flags)


# ---------------------------------------------------------------- auth


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


# ---------------------------------------------------------------- submit and submissions


def test_a_submission_is_handed_in_scored_and_listed_beside_what_was_expected(
    finished: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("submit", "--wait", "--message", "first try", "--json") == 0
    sent = one_object(capsys.readouterr().out)
    assert (sent["run_id"], sent["status"], sent["public_score"]) == (finished.id, "complete", 0.46154)
    assert "first try" in sent["description"]
    (known,) = read_record(finished.record, Run).sent
    assert (known.ref, known.public_score) == (sent["ref"], sent["public_score"])
    assert call("submissions", SLUG, "--json") == 0
    (row,) = one_object(capsys.readouterr().out)["submissions"]
    assert (row["ref"], row["run_id"], row["cv"]) == (
        sent["ref"],
        finished.id,
        {"mean": 0.8371, "low": 0.79, "high": 0.88},
    )
    assert call("submissions", SLUG) == 0
    out = capsys.readouterr().out
    assert "public 0.46154, expected 0.83710 (0.79000 to 0.88000), outside of what was expected" in out
    assert f"Pick {sent['ref']} as final: the best expected score, 0.8371." in out


def test_submissions_are_judged_together(
    finished: RunFolder, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = [f"{number},{int(number % 2 == 0)}" for number in range(60, 80)]
    assert call("submit", "--wait") == 0
    finished.submission.write_text("id,survived\n" + "\n".join(answers) + "\n")
    assert call("submit", "--wait") == 0
    own = workplace / "own.csv"
    own.write_text("id,survived\n" + "".join(f"{number},{number % 2}\n" for number in range(60, 80)))
    with closing(open_kaggle(load_settings())) as client:
        by_hand = client.submit(SLUG, own, "by hand").ref
        client.wait_for_score(SLUG, by_hand)
    capsys.readouterr()
    assert call("submissions", SLUG, "--json") == 0
    found = one_object(capsys.readouterr().out)
    rows = found["submissions"]
    assert [row["public_score"] for row in rows] == [1.0, 0.46154, 0.0]
    assert [row["is_better_than_next"] for row in rows] == [True, True, None]
    assert (rows[0]["ref"], rows[0]["run_id"], rows[0]["cv"]) == (by_hand, None, None)
    assert (found["metric"], found["greater_is_better"], found["correlation"]) == ("accuracy", True, None)
    assert [pick["ref"] for pick in found["final_picks"]] == [rows[1]["ref"], by_hand]
    assert call("submissions", SLUG) == 0
    out = capsys.readouterr().out
    assert "No correlation yet: 3 scored submissions of runs are needed." in out
    assert f"Pick {by_hand} as final: the best public score of the rest, 1." in out


def test_submissions_without_any_run_stay_as_kaggle_lists_them(
    kaggle: PracticeKaggle, account: None, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (workplace / "own.csv").write_text(SAMPLE)
    with closing(open_kaggle(load_settings())) as client:
        refs = [client.submit(SLUG, workplace / "own.csv", f"try {number}").ref for number in range(2)]
    assert call("submissions", SLUG, "--json") == 0
    found = one_object(capsys.readouterr().out)
    assert [row["ref"] for row in found["submissions"]] == refs[::-1]
    assert (found["greater_is_better"], found["final_picks"]) == (None, [])


def test_run_submit_shows_the_score(capsys: pytest.CaptureFixture[str]) -> None:
    scored = SentSubmission(ref=7, description="x", status="complete", public_score=0.75, rank=3, teams=90)
    lifecycle = ScriptedLifecycle(sent=(scored,))
    assert call("run", SLUG, "--submit", lifecycle=lifecycle) == 0
    assert lifecycle.options[0].submit
    out = capsys.readouterr().out
    assert out.index("Submission: ") < out.index("Submission 7: public score 0.75000, rank 3 of 90")
    assert call("run", SLUG, "--submit", "--json", lifecycle=lifecycle) == 0
    assert one_object(capsys.readouterr().out)["sent"]["public_score"] == 0.75


def test_a_refused_submission_does_not_hide_the_result(capsys: pytest.CaptureFixture[str]) -> None:
    lifecycle = ScriptedLifecycle(sent=(SentSubmission(ref=7, description="x", status="error", error="Bad ids."),))
    assert call("run", SLUG, "--submit", lifecycle=lifecycle) == 6
    out, err = capsys.readouterr()
    assert "accuracy 0.83710" in out
    assert "Kaggle could not score submission 7: Bad ids.\n" in err
    assert call("run", SLUG, "--submit", "--json", lifecycle=lifecycle) == 6
    found = one_object(capsys.readouterr().out)
    assert (found["status"], found["cv"]["mean"], found["error"]["exit_code"]) == ("done", 0.8371, 6)


def test_submit_says_why_kaggle_could_not_score(
    finished: RunFolder, kaggle: PracticeKaggle, capsys: pytest.CaptureFixture[str]
) -> None:
    kaggle.faults.add("scoring_error", times=1)
    assert call("submit", "--wait") == 6
    assert "Kaggle could not score submission" in capsys.readouterr().err
    assert [sent.status for sent in read_record(finished.record, Run).sent] == ["error"]


@pytest.mark.parametrize("text", ["id,survived\n", SAMPLE.replace("79", "7"), SAMPLE.replace("survived", "died"), ""])
def test_a_file_that_kaggle_would_refuse_is_not_handed_in(
    text: str, finished: RunFolder, kaggle: PracticeKaggle, capsys: pytest.CaptureFixture[str]
) -> None:
    finished.submission.write_text(text)
    assert call("submit") == 6
    assert "Nothing was handed in" in capsys.readouterr().err
    assert kaggle.log.exchanges("CreateSubmission") == ()


def test_a_run_at_work_or_without_submission_is_not_handed_in(
    finished: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    with FileLock(finished.lock):
        assert call("submit") == 2
    assert "still at work" in capsys.readouterr().err
    finished.submission.unlink()
    assert call("submit") == 2
    assert f"autokaggle resume {finished.id}" in capsys.readouterr().err


def test_nothing_is_handed_in_by_a_run_that_asks_no_server(capsys: pytest.CaptureFixture[str]) -> None:
    lifecycle = ScriptedLifecycle()
    assert call("run", SLUG, "--offline", "--submit", lifecycle=lifecycle) == 2
    assert "--offline asks no server, and --submit asks one" in capsys.readouterr().err
    assert lifecycle.options == []


def test_nobody_takes_submissions_for_a_local_folder(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (workplace / "mine").mkdir()
    (workplace / "mine" / "train.csv").write_text("a\n1\n")
    lifecycle = ScriptedLifecycle()
    assert call("run", "./mine", "--submit", lifecycle=lifecycle) == 2
    assert lifecycle.options == []
    assert call("submissions", "./mine") == 2
    assert call("run", "./mine", lifecycle=lifecycle) == 0
    shutil.rmtree(workplace / "mine")
    capsys.readouterr()
    assert call("submit") == 2
    assert "./mine is a local folder" in capsys.readouterr().err


# ---------------------------------------------------------------- doctor


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


# ---------------------------------------------------------------- demo


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
