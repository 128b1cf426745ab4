"""`submit`, `submissions` and `run --submit`, against a loopback Kaggle."""

from __future__ import annotations

import shutil
from contextlib import closing
from pathlib import Path

import pytest
from filelock import FileLock

from autokaggle.config import load_settings
from autokaggle.orchestrator.kaggle_account import open_kaggle
from autokaggle.practice.kaggle_server import PracticeKaggle
from autokaggle.records.outcome import SentSubmission
from autokaggle.records.run import Run
from autokaggle.storage.artifacts import RunFolder
from autokaggle.storage.records_file import read_record
from tests.kaggle_servers import SAMPLE, SLUG
from tests.scripted_lifecycle import ScriptedLifecycle, call, one_object

pytestmark = pytest.mark.usefixtures("workplace")


@pytest.fixture
def finished(kaggle: PracticeKaggle, account: None, workplace: Path, capsys: pytest.CaptureFixture[str]) -> RunFolder:
    assert call("run", SLUG, lifecycle=ScriptedLifecycle(sample=SAMPLE)) == 0
    capsys.readouterr()
    (folder,) = (workplace / "runs").iterdir()
    return RunFolder(folder)


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


@pytest.mark.parametrize(("score", "is_expected"), [(0.78, False), (0.8, True), (0.89, False)])
def test_a_public_score_outside_of_the_range_is_told_to_be_of_a_part(
    score: float, is_expected: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    scored = SentSubmission(ref=7, description="x", status="complete", public_score=score)
    assert call("run", SLUG, "--submit", lifecycle=ScriptedLifecycle(sent=(scored,))) == 0
    assert ("outside of the expected range" in capsys.readouterr().out) != is_expected


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
