"""Answers of language models: read in every sloppy form, refused when not whole, asked for again with reasons."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from autokaggle.skills.dataset.personal_data import mask
from autokaggle.skills.dialogue.answers import (
    LONGEST_REPLY,
    Counsel,
    MalformedAnswer,
    json_form,
    partial_reply,
    read_code_answer,
    read_counsel,
)
from autokaggle.skills.dialogue.asking import ask_for
from autokaggle.skills.dialogue.language_model import ModelFailure
from autokaggle.skills.dialogue.payload import Prompt, Section
from autokaggle.skills.dialogue.payload_gate import PayloadGate, Rules
from autokaggle.skills.dialogue.redaction import Redactor
from autokaggle.skills.dialogue.scripted_model import ScriptedModel
from autokaggle.skills.dialogue.spending import Price, Spending
from autokaggle.storage.artifacts import RunFolder
from tests.dialogue_facts import counsel

GOOD = counsel(("validation", "group:farm"), reply="Mind the farms.")


# ---------------------------------------------------------------- counsel


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        f"Here is my answer:\n\n```json\n{GOOD}\n```\nI hope it helps.",
        f"```\n{GOOD}\n```",
        f"```JSON\n{json.dumps(json.loads(GOOD), indent=2)}\n```",
        f"\ufeff  Sure! {GOOD} ",
    ],
)
def test_preamble_and_fences_are_forgiven(text: str) -> None:
    found = read_counsel(text)
    assert found.reply == "Mind the farms."
    assert [(one.key, one.value) for one in found.proposals] == [("validation", "group:farm")]


def test_a_list_in_place_of_its_text_is_forgiven() -> None:
    answer = json.loads(GOOD)
    answer["proposals"][0].update(key="families", value=["linear", "lightgbm"])
    assert read_counsel(json.dumps(answer)).proposals[0].value == '["linear", "lightgbm"]'


def test_an_answer_in_another_language_is_an_answer() -> None:
    found = read_counsel(counsel(reply="请注意每个农场。", question="¿Qué columna?"))
    assert (found.reply, found.question) == ("请注意每个农场。", "¿Qué columna?")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no JSON object"),
        ("I would use group folds.", "no JSON object"),
        (GOOD[:-20], "no JSON object"),
        (GOOD[:-2] + "}", "cannot be read"),
        (GOOD.replace('"question": ""}', '"question": "",}'), "cannot be read"),
        (json.dumps({"reply": "hello"}), "evidence"),
        (GOOD.replace('"question"', '"colour": 1, "question"'), "colour"),
        (GOOD.replace('"validation"', '"isolation"'), "isolation"),
        (GOOD.replace('"Mind the farms."', "7e999"), "reply"),
        (json.dumps([1, 2]), "no JSON object"),
        ("{" * 100_000 + "}", "cannot be read"),
    ],
)
def test_what_is_not_of_the_form_is_a_problem_in_words(text: str, said: str) -> None:
    with pytest.raises(MalformedAnswer) as caught:
        read_counsel(text)
    assert said in caught.value.problems[0]
    assert len(caught.value.problems[0]) < 300


def test_what_is_too_long_is_cut() -> None:
    assert len(read_counsel(counsel(reply="x" * 10_000)).reply) == LONGEST_REPLY
    assert len(read_counsel(counsel(*[("constraints", "y")] * 50)).proposals) == 12


def test_the_form_has_no_references_and_requires_everything() -> None:
    form = json_form(Counsel)
    assert "$" not in json.dumps(form)
    assert form["required"] == ["reply", "evidence", "proposals", "question"]
    assert form["additionalProperties"] is False


@pytest.mark.parametrize(
    ("text", "reply"),
    [
        ("", ""),
        ('{"rep', ""),
        ('{"reply": "Mind', "Mind"),
        ('{"reply": "Mind \\', "Mind "),
        ('{"reply": "caf\\u00', "caf"),
        ('{"reply": "caf\\u00e9 \\"x\\" \\n', 'café "x" \n'),
        ('{"reply": "done", "evidence": [{"quote": "\\"reply\\": \\"other', "done"),
    ],
)
def test_the_reply_can_be_shown_while_it_comes(text: str, reply: str) -> None:
    assert partial_reply(text) == reply


# ---------------------------------------------------------------- code


def test_code_comes_as_one_json_and_one_python_block() -> None:
    text = 'Plan first.\n```json\n{"plan": "titles"}\n```\n\n```Python\ndef fit(train):\n    return {}\n```\n'
    found = read_code_answer(text)
    assert found.meta == {"plan": "titles"}
    assert found.code == "def fit(train):\n    return {}\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def fit(train): ...", "Found 0 json and 0 python blocks"),
        ("```json\n{}\n```\n```python\na\n```\n```python\nb\n```", "Found 1 json and 2 python blocks"),
        ("```json\n{}\n```\n```python\ndef fit(tra", "Found 1 json and 0 python blocks"),
        ("```json\n[1]\n```\n```python\na\n```", "no JSON object"),
        ("```json\n{}\n```\n```python\n\n```", "empty"),
    ],
)
def test_other_code_is_a_problem_in_words(text: str, said: str) -> None:
    with pytest.raises(MalformedAnswer) as caught:
        read_code_answer(text)
    assert said in caught.value.problems[0]


# ---------------------------------------------------------------- asking again


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path, "orchard-20260801-101500-3f2a")


def gate(folder: RunFolder, *script: Any) -> tuple[PayloadGate, ScriptedModel]:
    model = ScriptedModel(script)
    return PayloadGate(model, Rules(Redactor(), mask), Spending(lambda: Price(0, 0)), folder), model


def prompt(**changes: Any) -> Prompt:
    fields: dict[str, Any] = {"operation": "decide", "system": "You advise.", "request": "Decide."}
    return Prompt(**{**fields, "levels": ((Section("pages", "material " * 50),),), **changes})


def test_a_bad_answer_is_asked_for_again_without_being_sent_back(folder: RunFolder) -> None:
    held, model = gate(folder, "I would rather WRITE PROSE than JSON.", GOOD)
    found, exchange = ask_for(held, prompt(), read_counsel)
    assert found.reply == "Mind the farms."
    first, second = (request.messages[-1].text for request in model.requests)
    assert "PROSE" not in second
    assert "no JSON object" in second
    assert len(second) < len(first) + 300
    assert [len(request.messages) for request in model.requests] == [1, 1]
    assert exchange.answer.text == GOOD


def test_three_bad_answers_are_a_failure(folder: RunFolder) -> None:
    held, model = gate(folder, "{", "[", "(", GOOD)
    with pytest.raises(ModelFailure) as caught:
        ask_for(held, prompt(), read_counsel)
    assert caught.value.kind == "malformed"
    assert len(model.requests) == 3
    assert len(folder.all_prompts()) == 3


def test_a_cut_answer_gets_more_room_and_less_thinking(folder: RunFolder) -> None:
    held, model = gate(folder, ModelFailure("truncated", "cut"), ModelFailure("empty", "nothing"), GOOD)
    ask_for(held, prompt(max_output_tokens=4_000, thinking="high"), read_counsel)
    assert [(request.max_output_tokens, request.thinking) for request in model.requests] == [
        (4_000, "high"), (8_000, "low"), (8_000, "low"),
    ]  # fmt: skip
    sizes = [len(request.messages[-1].text) for request in model.requests]
    assert max(sizes) - min(sizes) < 250


@pytest.mark.parametrize("kind", ["key", "quota", "refused", "network", "cap", "timeout"])
def test_what_asking_again_does_not_mend_is_told_at_once(folder: RunFolder, kind: Any) -> None:
    held, model = gate(folder, ModelFailure(kind, "No."), GOOD)
    with pytest.raises(ModelFailure) as caught:
        ask_for(held, prompt(), read_counsel)
    assert caught.value.kind == kind
    assert len(model.requests) == 1


def test_all_attempts_share_one_time_limit(folder: RunFolder) -> None:
    held, model = gate(folder, "{", GOOD)
    with pytest.raises(ModelFailure):
        ask_for(held, prompt(timeout_seconds=0.5), read_counsel)
    assert len(model.requests) == 1
    assert model.requests[0].timeout_seconds <= 0.5
