"""The talk with a person: turns, commands, agreement, and nothing lost by Ctrl-C or by a model that fails."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

from autokaggle.errors import UsageError
from autokaggle.records.plan import Decisions
from autokaggle.records.run import RunOptions
from autokaggle.skills.dataset.personal_data import mask
from autokaggle.skills.dialogue.brief import Brief
from autokaggle.skills.dialogue.chat_manager import hold_dialogue
from autokaggle.skills.dialogue.language_model import FailureKind, ModelFailure
from autokaggle.skills.dialogue.payload_gate import PayloadGate, Rules
from autokaggle.skills.dialogue.person import ScriptedPerson, read_lines
from autokaggle.skills.dialogue.redaction import Redactor
from autokaggle.skills.dialogue.scripted_model import ScriptedModel
from autokaggle.skills.dialogue.spending import Price, Spending
from autokaggle.storage.artifacts import RunFolder
from autokaggle.storage.records_file import read_record
from tests import dialogue_facts as facts
from tests.dialogue_facts import counsel


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path, "orchard-20260801-101500-3f2a")


class Listener(ScriptedPerson):
    """Says its lines and keeps what it was shown; ``streamed`` are the parts of answers as they came."""

    def __init__(self, *lines: str) -> None:
        self.shown: list[str] = []
        self.streamed: list[str] = []
        super().__init__(lines, on_show=self.shown.append)

    def stream(self, text: str) -> None:
        self.streamed.append(text)

    @property
    def text(self) -> str:
        return "\n".join(self.shown)


class Typist(Listener):
    """Sits at a terminal; a line that is an exception is raised where it would be typed."""

    is_there = True

    def __init__(self, *lines: str | BaseException) -> None:
        super().__init__()
        self._typed: Iterable[str | BaseException] = iter(lines)
        self.left: type[BaseException] | None = None

    def read(self) -> str | None:
        line = next(iter(self._typed), None)
        if isinstance(line, BaseException):
            raise line
        return line

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.left = kind

    def __enter__(self) -> Self:
        return self


def gate(folder: RunFolder, *script: Any, schema_only: bool = False) -> tuple[PayloadGate, ScriptedModel]:
    model = ScriptedModel(script)
    return PayloadGate(model, Rules(Redactor(), mask, schema_only), Spending(lambda: Price(0, 0)), folder), model


def talk(
    folder: RunFolder, person: ScriptedPerson, *script: Any, brief: Brief | None = None
) -> tuple[dict[str, Any], ScriptedModel]:
    held, model = gate(folder, *script)
    decisions = hold_dialogue(brief or facts.brief(), folder, gate=held, person=person)
    assert read_record(folder.decisions, Decisions) == decisions
    return {decision.key: decision for decision in decisions.decisions}, model


# ---------------------------------------------------------------- turns


def test_the_model_opens_and_streams_and_the_talk_goes_on_from_there(folder: RunFolder) -> None:
    person = Listener("Why the farms?", "/done")
    _, model = talk(folder, person, counsel(reply="Mind the farms."), counsel(reply="They repeat in test."))
    assert [part for part in person.streamed if part][:2] == ["Mind", "Mind the"]
    assert "Mind the farms." in person.shown[0]
    assert [request.operation for request in model.requests] == ["understand", "chat"]
    opening, second = (request.messages for request in model.requests)
    assert "vermilion" in opening[0].text
    assert [message.role for message in second] == ["user", "model", "user"]
    assert second[0] == opening[0]
    assert "Why the farms?" in second[2].text
    assert "vermilion" not in second[2].text


def test_nothing_changes_before_the_person_agrees(folder: RunFolder) -> None:
    person = Listener("/undo", "/done")
    decisions, _ = talk(folder, person, counsel(("validation", "group:farm")))
    assert decisions["validation"].by == "strategist"
    assert "The proposals are dropped." in person.shown


@pytest.mark.parametrize(
    ("lines", "by"), [(("yes",), "user"), (("/done",), "model"), ((), "model"), (("Sí.",), "user")]
)
def test_yes_or_done_takes_what_is_proposed(folder: RunFolder, lines: tuple[str, ...], by: str) -> None:
    decisions, _ = talk(folder, Listener(*lines), counsel(("validation", "group:farm"), ("features_to_try", "age")))
    assert decisions["validation"].value["column"] == "farm"
    assert decisions["validation"].by == by
    assert "the farms differ" in decisions["validation"].why
    assert decisions["features_to_try"].value == ["age"]


def test_a_later_proposal_replaces_an_earlier_one(folder: RunFolder) -> None:
    opening, later = counsel(("validation", "group:farm")), counsel(("validation", "time:planted"))
    decisions, _ = talk(folder, Listener("Is there an order in time?"), opening, later)
    assert decisions["validation"].value["column"] == "planted"


def test_a_proposal_that_contradicts_is_named_and_not_taken(folder: RunFolder) -> None:
    person = Listener("yes", "/done")
    decisions, _ = talk(folder, person, counsel(("metric", "log_loss"), ("drop_columns", "Height")))
    assert decisions["metric"].value == "roc_auc"
    assert "Not taken: metric = log_loss. It contradicts what is known: the competition names roc_auc" in person.text
    assert "Did you mean 'height'" in person.text
    assert "There is nothing to agree to." in person.shown


# ---------------------------------------------------------------- commands


def test_decide_show_and_undo(folder: RunFolder) -> None:
    lines = (
        "/decide validation=group:farm,folds=4", "/decide families = linear", "/show plan", "/undo", "/show profile",
        "/show payload", "/show cost", "/help", "/done",
    )  # fmt: skip
    person = Listener(*lines)
    decisions, _ = talk(folder, person, counsel())
    assert decisions["validation"].value == {"scheme": "group", "column": "farm", "folds": 4, "repeats": 1}
    assert decisions["validation"].by == "user"
    assert decisions["families"].by == "strategist"
    assert "Decided: validation = group:farm, 4 folds" in person.shown
    assert "validation = group:farm, 4 folds  (user: said so)" in person.text
    assert any(text.startswith('Taken back: families = ["linear"]. What stands:') for text in person.shown)
    assert '"height" | number' in person.text
    assert "<data-" in person.text and "You advise a person" in person.text
    assert "$0.0000" in person.text
    assert "/decide KEY=VALUE" in person.text


@pytest.mark.parametrize("again", ["yes", "/decide metric=log_loss"])
def test_a_doubted_decision_takes_insisting(folder: RunFolder, again: str) -> None:
    person = Listener("/decide metric=log_loss", again)
    decisions, _ = talk(folder, person, counsel())
    assert decisions["metric"].value == "log_loss"
    assert "taken although the competition names roc_auc" in decisions["metric"].why
    assert "contradicts what is known" in person.text


def test_a_doubt_does_not_carry_over_to_another_value(folder: RunFolder) -> None:
    lines = ("/decide metric=log_loss", "/decide metric=accuracy", "/decide metric=log_loss")
    decisions, _ = talk(folder, Listener(*lines), counsel())
    assert decisions["metric"].value == "roc_auc"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("/decide", "KEY=VALUE"),
        ("/decide colour=red", "no decision 'colour'"),
        ("/decide metric=", "no metric"),
        ("/decide target=price", "no column 'price'"),
        ("/show", "takes one word"),
        ("/show all", "takes one word"),
        ("/undo", "nothing to take back"),
        ("/quit now", "no command /quit"),
        ("/", "no command /"),
    ],
)
def test_a_command_that_makes_no_sense_says_what_does(folder: RunFolder, line: str, said: str) -> None:
    person = Listener(line)
    decisions, model = talk(folder, person, counsel())
    assert said in person.text
    assert {decision.by for decision in decisions.values()} == {"strategist"}
    assert len(model.requests) == 1


def test_without_a_model_commands_work_and_prose_is_answered(folder: RunFolder) -> None:
    person = Listener("hello?", "/decide families=linear", "/show cost", "/show payload")
    decisions = hold_dialogue(facts.brief(), folder, person=person)
    assert next(one for one in decisions.decisions if one.key == "families").value == ["linear"]
    assert "No language model takes part" in person.shown[0]
    assert "only commands are understood" in person.text
    assert "without a language model" in folder.transcript.read_text()


# ---------------------------------------------------------------- what goes wrong


@pytest.mark.parametrize("kind", ["key", "unknown_model", "quota", "cap"])
def test_a_model_that_is_gone_leaves_the_talk_going(folder: RunFolder, kind: FailureKind) -> None:
    person = Listener("hello?", "/decide families=linear")
    decisions, model = talk(folder, person, ModelFailure(kind, "It is gone."), counsel())
    assert "It is gone." in person.text
    assert "goes on without it" in person.text
    assert decisions["families"].by == "user"
    assert len(model.requests) == 1


def test_a_model_that_failed_once_gets_the_material_with_the_next_line(folder: RunFolder) -> None:
    busy = ModelFailure("busy", "It is busy.")
    person = Listener("And now?")
    decisions, model = talk(folder, person, busy, counsel(("validation", "group:farm")))
    assert "Say something to ask it again" in person.text
    assert [request.operation for request in model.requests] == ["understand", "chat"]
    assert "vermilion" in model.requests[1].messages[0].text
    assert "And now?" in model.requests[1].messages[0].text
    assert decisions["validation"].value["column"] == "farm"


def test_ctrl_c_while_the_model_answers_stops_the_answer_alone(folder: RunFolder) -> None:
    def stopped(request: Any) -> str:
        raise KeyboardInterrupt

    person = Typist("/decide families=linear", "/done")
    decisions, _ = talk(folder, person, stopped)
    assert any(text.startswith("Stopped.") for text in person.shown)
    assert decisions["families"].by == "user"
    assert person.left is None


def test_another_signal_ends_the_run_also_while_the_model_answers(folder: RunFolder) -> None:
    def terminated(request: Any) -> str:
        raise KeyboardInterrupt(15)

    with pytest.raises(KeyboardInterrupt):
        talk(folder, Typist("/done"), terminated)


def test_leaving_keeps_what_was_decided_for_the_next_time(folder: RunFolder) -> None:
    person = Typist("/decide families=linear", "/decide drop_columns=note", KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        talk(folder, person, counsel())
    assert person.left is KeyboardInterrupt
    again = hold_dialogue(facts.brief(), folder)
    decided = {decision.key: decision for decision in again.decisions}
    assert (decided["families"].value, decided["families"].by) == (["linear"], "user")
    assert decided["drop_columns"].value == ["always 1", "note"]
    assert "> /decide families=linear" in folder.transcript.read_text()


def test_a_second_talk_stands_below_the_first(folder: RunFolder) -> None:
    talk(folder, Listener("Why?\u2028**You** (10:00:00 UTC)", "/decide families=linear", "/done"), counsel(), counsel())
    first = folder.transcript.read_text()
    talk(folder, Listener("/decide drop_columns=note", "/done"), counsel())
    turns = first[first.index("**scripted") : first.index("| decision")]
    assert turns in folder.transcript.read_text()
    assert folder.transcript.read_text().count("> /decide") == 2
    said = read_lines(folder.chat_lines.read_text())
    assert said[1:] == ["/decide families=linear", "/decide drop_columns=note", "/done"]


def test_a_prompt_of_the_users_own_stands_before_ours_and_a_broken_one_is_named(
    folder: RunFolder, tmp_path: Path
) -> None:
    (tmp_path / "understand.md").write_text("---\nversion: 7\nsections: [columns]\n---\nSay it in rhymes.\n")
    held, model = gate(folder, counsel())
    hold_dialogue(facts.brief(), folder, gate=held, person=Listener(), prompts=[tmp_path])
    sent = model.requests[0].messages[0].text
    assert sent.endswith("Say it in rhymes.")
    assert "ROC curve" not in sent
    (tmp_path / "understand.md").write_text("---\ncolour: red\n---\nSay it.")
    with pytest.raises(UsageError, match=r"understand\.md"):
        hold_dialogue(facts.brief(), folder, gate=held, person=Listener(), prompts=[tmp_path])


def test_many_turns_keep_the_opening_and_stay_bounded(folder: RunFolder) -> None:
    long = "I wonder about the farms. " * 200
    person = Listener(*[f"{number} {long}" for number in range(12)])
    _, model = talk(folder, person, *[counsel(reply="Mind the farms. " * 60) for _ in range(13)])
    sizes = [sum(len(message.text) for message in request.messages) for request in model.requests]
    assert max(sizes) < 80_000
    assert all("vermilion" in request.messages[0].text for request in model.requests)
    assert model.requests[-1].messages[-1].text.count("11 I wonder") == 1


# ---------------------------------------------------------------- records


def test_the_transcript_says_who_said_what_and_marks_quotes_that_nobody_wrote(folder: RunFolder) -> None:
    quotes = [
        {"quote": "The area under the ROC curve decides.", "source": "pages"},
        {"quote": "The host gives points for style.", "source": "pages"},
    ]
    person = Listener("First.\n# no heading | no cell", "/decide families=linear")
    talk(folder, person, counsel(evidence=quotes), counsel())
    text = folder.transcript.read_text()
    assert "**scripted** (" in text
    assert "**You** (" in text
    assert "> # no heading | no cell" in text
    assert "- pages: “The area under the ROC curve decides.”\n" in text
    assert "points for style.” (not found there)" in text
    assert '| families | ["linear"] | user | said so |' in text


def test_what_was_typed_is_kept_in_the_form_that_answers_are_read_in(folder: RunFolder) -> None:
    talk(folder, Listener("Why?", "/decide families=linear", "/done"), counsel(), counsel())
    assert read_lines(folder.chat_lines.read_text()) == ["Why?", "/decide families=linear", "/done"]


def test_answers_may_hold_comments_blank_lines_and_a_mark_at_their_beginning() -> None:
    assert read_lines("\ufeff# first\n\n  /decide a=b  \r\nhello # there\n") == ["/decide a=b", "hello # there"]


# ---------------------------------------------------------------- nobody there


def ask(folder: RunFolder, *script: Any, **changes: Any) -> tuple[dict[str, Any], list[str]]:
    warnings: list[str] = []
    held, _ = gate(folder, *script)
    decisions = hold_dialogue(facts.brief(**changes), folder, gate=held, warn=warnings.append)
    return {decision.key: decision for decision in decisions.decisions}, warnings


def test_with_nobody_there_the_model_decides_within_data_and_rules(folder: RunFolder) -> None:
    answer = counsel(("validation", "group:farm"), ("metric", "log_loss"), ("constraints", "use external data"))
    decisions, warnings = ask(folder, answer)
    assert (decisions["validation"].value["column"], decisions["validation"].by) == ("farm", "model")
    assert decisions["metric"].value == "roc_auc"
    assert "constraints" not in decisions
    assert [warning.split(".")[0] for warning in warnings] == [
        "Not taken: metric = log_loss", "Not taken: constraints = use external data",
    ]  # fmt: skip


@pytest.mark.parametrize("kind", ["key", "unknown_model", "quota", "network", "timeout", "refused", "busy", "cap"])
def test_whatever_fails_the_strategist_decides(folder: RunFolder, kind: FailureKind) -> None:
    decisions, warnings = ask(folder, ModelFailure(kind, "It failed.", "Try another."))
    assert {decision.by for decision in decisions.values()} == {"strategist"}
    assert warnings == ["It failed. The built-in strategist decides instead. Try another."]
    assert "strategist decided instead" in folder.transcript.read_text()


def test_three_answers_of_no_use_leave_it_to_the_strategist(folder: RunFolder) -> None:
    decisions, warnings = ask(folder, "```", "{", "hello")
    assert {decision.by for decision in decisions.values()} == {"strategist"}
    assert "no usable answer" in warnings[0]


def test_flags_stand_against_a_model(folder: RunFolder) -> None:
    options = RunOptions(target="orchard", metric="log_loss", model_family="linear")
    decisions, _ = ask(folder, counsel(("metric", "accuracy"), ("families", "lightgbm")), options=options)
    assert (decisions["metric"].value, decisions["metric"].by) == ("log_loss", "flag")
    assert decisions["families"].value == ["linear"]
