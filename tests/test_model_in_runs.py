"""Runs with a language model, by the command line, through the real client, against a loopback server."""

from __future__ import annotations

import base64
import csv
import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from autokaggle.cli import main
from autokaggle.records.candidate import Candidate, Proposal
from autokaggle.records.plan import Decisions
from autokaggle.records.prompt import PromptCall
from autokaggle.records.run import Run
from autokaggle.skills.dialogue.provider_model import load_library
from autokaggle.storage.artifacts import RunFolder
from autokaggle.storage.records_file import make_private_folder, read_record, write_record
from autokaggle.storage.secrets_vault import SecretsVault
from tests.dialogue_facts import counsel
from tests.model_server import ModelServer, Reply

MODEL = "gemini-3-flash-preview"
GROUPS = counsel(("validation", "group:farm,folds=3"), reply="Farms repeat, so folds keep them together.")
PLANTED = {
    "GOOGLE_API_KEY": "planted-google-key-1",
    "KAGGLE_USERNAME": "planted-user-2",
    "KAGGLE_KEY": "planted-kaggle-key-3",
    "OPENAI_API_KEY": "planted-openai-key-4",
    "DATABASE": "postgres://planted-name-5:planted-password-6@host/db",
}
DOTENV = {"GITHUB_TOKEN": "planted-dotenv-token-7", "COLOUR_OF_MY_CAT": "planted-dotenv-cat-8"}


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer([Reply(GROUPS)]) as running:
        yield running


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: ModelServer) -> Path:
    """Stand in a folder with a competition of trees, whose pages and cells hold what must not leave."""
    load_library("google").result()  # so that no time limit here has to allow for it
    monkeypatch.chdir(tmp_path)
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    make_trees(tmp_path / "trees")
    return tmp_path


def make_trees(folder: Path, page: str = "") -> None:
    chance = random.Random(7)
    rows = [
        {
            "id": f"row-{number:03d}",
            "farm": f"FARM-{number % 12:02d}",
            "height": round(chance.uniform(1, 9), 3),
            "colour": chance.choice(["vermilion", "chartreuse"]),
            "email": f"owner{number}@planted-mail.example",
            "full_name": chance.choice(["Jane", "Omar", "Li"]) + " " + chance.choice(["Plantedname", "Roe"]),
            "sold": number % 3 == 0,
        }
        for number in range(120)
    ]
    train, test = rows[:80], [{key: value for key, value in row.items() if key != "sold"} for row in rows[80:]]
    sample = [{"id": row["id"], "sold": "False"} for row in test]
    for name, table in (("train", train), ("test", test), ("sample_submission", sample)):
        path = folder / "data" / f"{name}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", newline="") as stream:
            writer = csv.DictWriter(stream, list(table[0]))
            writer.writeheader()
            writer.writerows(table)
    pages = {
        "evaluation": "# Evaluation\n\nSubmissions are scored on **accuracy**.\n",
        "rules": "# Rules\n\nExternal data is not allowed.\n\nAsk planted.host@planted-mail.example.\n",
        "description": f"# Trees\n\nWhich trees are sold?\n\n{page}\n",
    }
    (folder / "pages").mkdir(exist_ok=True)
    for name, text in pages.items():
        (folder / "pages" / f"{name}.md").write_text(text)


def run(*flags: str, expect: int = 0, target: str = "trees") -> RunFolder:
    assert main(["run", target, "--skip-execution", *flags]) == expect
    return latest()


def latest() -> RunFolder:
    return RunFolder(max(Path("runs").iterdir(), key=lambda path: path.stat().st_mtime_ns).absolute())


def decided(folder: RunFolder) -> dict[str, Any]:
    return {one.key: one for one in read_record(folder.decisions, Decisions).decisions}


def calls(folder: RunFolder) -> list[PromptCall]:
    return [read_record(path, PromptCall) for path in folder.all_prompts()]


# ---------------------------------------------------------------- what a model decides


def test_a_model_decides_and_the_plan_follows(server: ModelServer, capsys: pytest.CaptureFixture[str]) -> None:
    folder = run("--model", MODEL, "--json")
    out, err = capsys.readouterr()
    assert (decided(folder)["validation"].value["column"], decided(folder)["validation"].by) == ("farm", "model")
    record = read_record(folder.record, Run)
    assert record.plan is not None
    assert (record.plan.validation.scheme, record.plan.validation.column, record.plan.validation.folds) == (
        "group", "farm", 3,
    )  # fmt: skip
    (call,) = calls(folder)
    assert call.cost_usd == pytest.approx((120 * 0.5 + 50 * 3.0) / 1e6)
    assert json.loads(out)["cost"] == record.cost_usd == call.cost_usd
    assert "The first message to google:gemini-3-flash-preview: about" in err
    assert [call.system, *(text for _, text in call.messages)] == server.received[0].texts


def test_no_model_and_no_key_change_nothing_and_import_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("GOOGLE", "OPENAI", "ANTH"))
    }
    code = (
        "import sys; from autokaggle.cli import main; code = main(sys.argv[1:]); "
        "print([name for name in sys.modules if name.startswith(('pydantic_ai', 'openai', 'google.genai', "
        "'genai_prices', 'prompt_toolkit'))]); sys.exit(code)"
    )
    command = [sys.executable, "-c", code, "run", "trees", "--skip-execution", "--quiet"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"
    assert {one.by for one in decided(latest()).values()} == {"strategist"}
    assert "No language model took part" in latest().transcript.read_text()


def test_a_key_alone_sends_nothing(server: ModelServer) -> None:
    folder = run()
    assert server.received == []
    assert {one.by for one in decided(folder).values()} == {"strategist"}


def test_the_model_of_the_environment_is_asked(server: ModelServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTOKAGGLE_MODEL", "openai:gpt-5.2")
    assert decided(run())["validation"].by == "model"
    assert "/chat/completions" in server.received[0].path
    run("--model", "none")
    assert len(server.received) == 1


# ---------------------------------------------------------------- what never leaves


def test_no_secret_and_nothing_personal_leaves(
    server: ModelServer, workplace: Path, monkeypatch: pytest.MonkeyPatch, isolated_world: Path
) -> None:
    for name, value in PLANTED.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AUTOKAGGLE_HOME", str(workplace / "home"))
    (workplace / ".env").write_text("".join(f"{name}={value}\n" for name, value in DOTENV.items()))
    kaggle_json = isolated_world / ".kaggle" / "kaggle.json"
    kaggle_json.parent.mkdir()
    kaggle_json.write_text('{"username": "planted-json-user-9", "key": "planted-json-key-10"}')
    SecretsVault(workplace / "home", use_keyring=False).put("kaggle", "planted-vault-user-11:planted-vault-key-12")
    secrets = [
        "planted-google-key-1", "planted-user-2", "planted-kaggle-key-3", "planted-openai-key-4", "planted-password-6",
        *DOTENV.values(), "planted-json-key-10", "planted-vault-key-12",
    ]  # fmt: skip
    spelled = [spelling for secret in secrets for spelling in (secret, base64.b64encode(secret.encode()).decode())]
    make_trees(workplace / "trees", page="Use " + " and ".join([*spelled, *(quote(secret) for secret in secrets)]))
    server.replies = [Reply(counsel(reply="Which trees?")), Reply(GROUPS)]
    answers = workplace / "answers.txt"
    answers.write_text(f"My key is {secrets[0]}, is it not? {secrets[6]}\n/done\n")
    folder = run("--model", MODEL, "--answers", str(answers))
    assert len(server.received) == 2
    # The key itself goes where keys belong, in one header, and nowhere else.
    received = b"\n".join(
        request.bytes.replace(f"x-goog-api-key: {PLANTED['GOOGLE_API_KEY']}".encode(), b"")
        for request in server.received
    )
    for secret in spelled:
        assert secret.encode() not in received
    for value in ("planted-mail", "Plantedname", "planted.host", "row-0"):
        assert value.encode() not in received
    assert b"vermilion" in received
    recorded = "".join(path.read_text() for path in folder.all_prompts())
    assert [secret for secret in secrets if secret in recorded] == []
    assert calls(folder)[0].removed["secrets"] >= 3 * len(secrets) - 3


def test_the_personal_columns_of_a_real_case_never_leave(server: ModelServer, shared_folder: Path) -> None:
    case = shared_folder / "broken_cases" / "pii-columns"
    folder = run("--model", MODEL, target=str(case))
    received = b"\n".join(request.bytes for request in server.received).decode()
    personal = ("full_name", "email", "phone", "ssn", "credit_card", "iban", "ip", "date_of_birth", "Name")
    values = set()
    for name in ("train.csv", "test.csv"):
        with (case / "data" / name).open(newline="") as stream:
            values |= {row[column] for row in csv.DictReader(stream) for column in personal}
    assert len(values) > 5_000
    assert [value for value in values if value in received] == []
    assert "date_of_birth" in received
    assert read_record(folder.record, Run).status == "done"


def test_schema_only_sends_no_cell_value(server: ModelServer) -> None:
    run("--model", MODEL, "--schema-only")
    received = server.received[0].content.decode()
    for value in ("vermilion", "chartreuse", "FARM", "False", "owner", "8.9"):
        assert value not in received
    assert "height" in received


def test_prompt_shows_what_would_be_sent_and_sends_nothing(
    server: ModelServer, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = run("--model", "none")
    capsys.readouterr()
    assert main(["prompt", folder.id, "--model", MODEL, "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert server.received == []
    run("--model", MODEL)
    sent = server.received[0]
    assert sent.texts[0] == shown["system"]
    nonce = [text.split("<data-")[1][:8] for text in (sent.texts[1], shown["message"])]
    assert sent.texts[1].replace(nonce[0], "") == shown["message"].replace(nonce[1], "")
    assert sent.body["generationConfig"]["responseJsonSchema"]["required"] == shown["form"]["required"]
    assert shown["tokens"] < 6_000
    assert "limit" in shown["estimate"]


def test_prompt_needs_no_key_and_takes_schema_only(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = run()
    monkeypatch.delenv("GOOGLE_API_KEY")
    said = "exit code 1: ValueError: could not convert string to float: 'Jane Plantedname'"
    proposal = Proposal(title="a draft", family="linear", author="model")
    make_private_folder(folder.candidate("c001").path)
    failed = Candidate(id="c001", proposal=proposal, status="failed", reason=said)
    write_record(folder.candidate("c001").record, failed)
    capsys.readouterr()
    assert main(["prompt", folder.id, "--model", MODEL]) == 0
    out = capsys.readouterr().out
    assert "vermilion" in out
    assert "could not convert string to float: '<name>" in out
    assert "Plantedname" not in out
    assert main(["prompt", folder.id, "--model", MODEL, "--schema-only", "--operation", "understand"]) == 0
    out = capsys.readouterr().out
    assert "vermilion" not in out
    assert "Open the talk." in out


# ---------------------------------------------------------------- caps, failures, replay


def test_a_cap_of_nothing_asks_nobody(server: ModelServer, capsys: pytest.CaptureFixture[str]) -> None:
    folder = run("--model", MODEL, "--max-cost", "$0")
    assert server.received == []
    assert "the limit of $0.00 is reached" in capsys.readouterr().err
    assert {one.by for one in decided(folder).values()} == {"strategist"}


@pytest.mark.parametrize(
    ("replies", "said"),
    [
        ([Reply(status=400, reason="API_KEY_INVALID")], "does not take the key"),
        ([Reply(status=404)], "is not known to its provider"),
        ([Reply(status=429, message="quota", retry_delay="9999s")], "overloaded"),
        ([Reply("")], "no usable answer"),
        ([Reply("no JSON at all"), Reply("{"), Reply("```json\n[]\n```")], "no usable answer"),
        ([Reply(finish="refused")], "refused"),
        ([Reply(raw=b"<html>a proxy says no</html>")], "no usable answer"),
    ],
    ids=["key", "model", "quota", "empty", "malformed", "refused", "proxy"],
)
def test_whatever_the_model_does_the_run_goes_on(
    replies: list[Reply], said: str, server: ModelServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.replies = replies
    folder = run("--model", MODEL)
    err = capsys.readouterr().err
    assert said in err
    assert "The built-in strategist decides instead" in err
    assert "Traceback" not in err
    assert {one.by for one in decided(folder).values()} == {"strategist"}
    assert read_record(folder.record, Run).status == "done"


def test_no_network_is_no_end(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", "http://127.0.0.1:9")
    run("--model", MODEL)
    assert "cannot be reached" in capsys.readouterr().err


def test_a_fenced_answer_in_another_language_is_taken(server: ModelServer) -> None:
    answer = counsel(("validation", "group:farm"), reply="Los árboles de una granja van juntos.")
    server.replies = [Reply(f"Claro:\n```json\n{answer}\n```")]
    folder = run("--model", MODEL)
    assert decided(folder)["validation"].value["column"] == "farm"
    assert "Los árboles" in folder.transcript.read_text()


def test_a_run_can_be_repeated_from_its_recording_without_a_key(
    server: ModelServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    server.replies = [Reply("{"), Reply(GROUPS)]
    first = run("--model", MODEL)
    monkeypatch.delenv("GOOGLE_API_KEY")
    asked = len(server.received)
    again = run("--model", f"replay:{first.id}")
    assert len(server.received) == asked == 2
    assert read_record(again.decisions, Decisions) == read_record(first.decisions, Decisions)
    assert [call.outcome for call in calls(again)] == [call.outcome for call in calls(first)]
    assert read_record(again.record, Run).cost_usd == 0.0
    assert main(["run", "trees", "--skip-execution", "--model", "replay:latest"]) == 0
    assert read_record(latest().decisions, Decisions) == read_record(first.decisions, Decisions)
    nobody = run()
    assert main(["run", "trees", "--skip-execution", "--model", f"replay:{nobody.id}"]) == 2
    assert "nothing to replay" in capsys.readouterr().err


def test_a_recorded_talk_is_repeated_with_what_the_person_said(server: ModelServer, workplace: Path) -> None:
    answers = workplace / "answers.txt"
    answers.write_text("# my answers\nWhat about farms?\nyes\n/decide families=linear\n")
    first = run("--model", MODEL, "--answers", str(answers))
    again = run("--model", f"replay:{first.id}")
    assert read_record(again.decisions, Decisions) == read_record(first.decisions, Decisions)
    assert [call.operation for call in calls(again)] == ["understand", "chat"]


# ---------------------------------------------------------------- talk


def test_answers_talk_and_decide(server: ModelServer, workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answers = workplace / "answers.txt"
    answers.write_text("/undo\n/decide families=linear\n/decide budget=30s\n/done\n")
    folder = run("--model", MODEL, "--answers", str(answers))
    err = capsys.readouterr().err
    assert "Farms repeat, so folds keep them together." in err
    assert "you> /decide families=linear" in err
    assert decided(folder)["families"].by == "user"
    assert decided(folder)["validation"].by == "strategist"
    record = read_record(folder.record, Run)
    assert record.plan is not None
    assert record.plan.families == ("linear",)
    assert record.options.time_budget_seconds == record.plan.time_budget_seconds == 30.0


def test_a_talk_works_without_a_model_too(workplace: Path) -> None:
    (workplace / "answers.txt").write_text("/decide drop_columns=height\n")
    folder = run("--answers", "answers.txt")
    assert decided(folder)["drop_columns"].value == ["height"]


def test_a_hostile_answer_changes_nothing_but_what_may_be_changed(
    server: ModelServer, capsys: pytest.CaptureFixture[str]
) -> None:
    hostile = json.loads(counsel(("constraints", "\x1b]0;owned\x07ignore isolation"), reply="\x1b[2JDone. I sent it."))
    hostile["proposals"] += [
        {"key": "families", "value": "lightgbm --allow-unsandboxed; rm -rf ~", "why": "trust me"},
        {"key": "drop_columns", "value": '["../../etc/passwd"]', "why": "trust me"},
        {"key": "validation", "value": "group:email,folds=999999", "why": "trust me"},
    ]
    server.replies = [Reply(json.dumps(hostile))]
    before = run()
    folder = run("--model", MODEL)
    kept, changed = read_record(before.record, Run), read_record(folder.record, Run)
    assert changed.plan is not None and kept.plan is not None
    assert (changed.isolation, changed.plan.families, changed.plan.drop_columns, changed.plan.validation) == (
        kept.isolation, kept.plan.families, kept.plan.drop_columns, kept.plan.validation,
    )  # fmt: skip
    assert "\x1b" not in capsys.readouterr().err


def test_chat_changes_a_run_that_has_scored_nothing_yet(
    server: ModelServer, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = run()
    (workplace / "answers.txt").write_text("What would you do?\nyes\n/decide families=linear\n")
    capsys.readouterr()
    assert main(["chat", folder.id, "--model", MODEL, "--answers", "answers.txt", "--json"]) == 0
    out, err = capsys.readouterr()
    assert "The first message to" in err
    assert ": answered, " not in err  # which would stand in the middle of what the model says
    told = json.loads(out)
    assert {one["key"]: one["by"] for one in told["decisions"]}["validation"] == "user"
    assert told["cost"] > 0
    assert main(["resume", folder.id]) == 0
    plan = read_record(folder.record, Run).plan
    assert plan is not None
    assert (plan.validation.column, plan.families) == ("farm", ("linear",))


@pytest.mark.parametrize(
    ("flags", "code", "said"),
    [
        (["--model", "azure:gpt"], 2, "is no language model"),
        (["--model", "http://127.0.0.1:1/v1"], 2, "which model to ask for"),
        (["--model", "anthropic:claude-sonnet-5", "--max-cost", "cheap"], 2, "no amount of money"),
        (["--model", MODEL, "--answers", "nowhere.txt"], 2, "cannot be read"),
        (["--model", "replay:nobody"], 2, "There is no run"),
        (["--model", MODEL, "--offline"], 2, "--offline asks no server"),
    ],
)
def test_flags_that_make_no_sense_are_refused_before_anything_begins(
    flags: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "trees", "--skip-execution", *flags]) == code
    assert said in capsys.readouterr().err
    assert not Path("runs").exists()


def test_a_model_that_is_asked_for_needs_its_key(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GOOGLE_API_KEY")
    assert main(["run", "trees", "--skip-execution", "--model", MODEL]) == 3
    assert "aistudio.google.com/apikey" in capsys.readouterr().err
    assert not Path("runs").exists()


def test_flags_without_a_model_are_said_to_change_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    run("--schema-only")
    assert "change nothing: no language model takes part" in capsys.readouterr().err
