"""Prompts as files: one for each operation and kind of competition; users and plugins may replace each of them."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from pathlib import Path
from typing import get_args

import pytest

from autokaggle.errors import UsageError
from autokaggle.plugins.manager import Plugins
from autokaggle.records.data_profile import TaskType
from autokaggle.skills.dataset.personal_data import mask
from autokaggle.skills.dialogue.answers import MalformedAnswer, read_code_answer
from autokaggle.skills.dialogue.asking import ask_for
from autokaggle.skills.dialogue.payload import Section
from autokaggle.skills.dialogue.payload_gate import PayloadGate, Rules, make_payload
from autokaggle.skills.dialogue.prompt_files import OURS, read_wording
from autokaggle.skills.dialogue.prompting import make_prompt
from autokaggle.skills.dialogue.redaction import Redactor
from autokaggle.skills.dialogue.reviews import read_review
from autokaggle.skills.dialogue.scripted_model import ScriptedModel
from autokaggle.skills.dialogue.spending import Price, Spending, count_tokens
from autokaggle.storage.artifacts import RunFolder
from tests import dialogue_facts as facts

OPERATIONS = ("understand", "chat", "decide", "draft", "pipeline", "improve", "debug", "fuse", "review")


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("task", get_args(TaskType))
def test_every_operation_has_a_short_prompt_for_every_kind_of_competition(operation: str, task: TaskType) -> None:
    profile = facts.profile(task_type=task, modality="text")
    wording = read_wording(operation, profile)
    assert count_tokens(wording.system) <= 550
    assert count_tokens(wording.request) <= 250
    assert count_tokens(wording.advice) <= 150
    assert "Text:" in wording.advice
    assert len(wording.files) == 4
    assert len(wording.sha256) == 64


def test_prompts_say_what_is_quoted_and_shout_nowhere() -> None:
    for path in OURS.glob("*.md"):
        text = path.read_text()
        assert text.startswith("---\n"), path
        assert "version: " in text, path
        words = [word for word in text.split() if word.isalpha() and word.isupper() and len(word) > 4]
        assert words == [], path
    for name in ("system-decisions", "system-code", "system-review"):
        assert "<data-" in (OURS / f"{name}.md").read_text()


def test_a_folder_stands_before_ours_file_by_file(tmp_path: Path) -> None:
    ours = read_wording("decide", facts.profile())
    (tmp_path / "system-decisions.md").write_text("You advise in verse.")
    theirs = read_wording("decide", facts.profile(), [tmp_path / "nowhere", tmp_path])
    assert theirs.system == "You advise in verse."
    assert theirs.request == ours.request
    assert theirs.sha256 != ours.sha256
    assert f"({tmp_path / 'system-decisions.md'})" in theirs.files[0]
    assert read_wording("decide", facts.profile()).sha256 == ours.sha256


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("---\ncolour: red\n---\nDecide.", "unknown settings: colour"),
        ("---\nversion: [1\n---\nDecide.", "cannot be read"),
        ("---\nversion: 1\n---\n", "says nothing"),
        ("---\n- a list\n---\nDecide.", "unknown settings"),
    ],
)
def test_a_broken_file_is_named(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "decide.md").write_text(text)
    with pytest.raises(UsageError) as caught:
        read_wording("decide", facts.profile(), [tmp_path])
    assert said in str(caught.value)
    assert str(tmp_path / "decide.md") in str(caught.value)


def test_an_operation_of_a_plugins_own_says_everything_itself(tmp_path: Path) -> None:
    (tmp_path / "rhyme.md").write_text("---\nversion: 1\n---\nMake a rhyme.")
    with pytest.raises(UsageError, match="lacks answer"):
        read_wording("rhyme", facts.profile(), [tmp_path])
    with pytest.raises(UsageError, match="no prompt 'dance'"):
        read_wording("dance", facts.profile(), [tmp_path])


@pytest.mark.parametrize(
    ("setting", "said"), [("sections: [moon]", "unknown sections: moon"), ("answer: song", "asks for 'song'")]
)
def test_a_prompt_that_asks_for_what_nobody_makes_is_refused(setting: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "decide.md").write_text(f"---\n{setting}\n---\nDecide.")
    with pytest.raises(UsageError, match=said):
        make_prompt(read_wording("decide", facts.profile(), [tmp_path]), facts.brief())


def test_plugins_bring_prompts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "rhyming_plugin.py").write_text(
        "from pathlib import Path\n"
        "from autokaggle.plugins import hookimpl\n"
        "@hookimpl\n"
        "def autokaggle_prompts():\n"
        "    return [Path(__file__).parent / 'prompts']\n"
    )
    (tmp_path / "prompts").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    entry = EntryPoint(name="rhymes", value="rhyming_plugin", group="autokaggle")
    assert Plugins(found=[entry]).prompt_folders() == [tmp_path / "prompts"]
    assert Plugins(found=[]).prompt_folders() == []


# ---------------------------------------------------------------- what the search will ask


def test_code_is_asked_for_as_text_with_the_callers_sections_in_order(tmp_path: Path) -> None:
    model = ScriptedModel(
        ["```python\nx\n```", 'Plan.\n```json\n{"op": "improve"}\n```\n```python\ndef fit(train): ...\n```']
    )
    gate = PayloadGate(
        model,
        Rules(Redactor(), mask),
        Spending(lambda: Price(0, 0)),
        RunFolder.create(tmp_path, "a-20260801-101500-3f2a"),
    )
    more = {
        "parent": Section("parent", "def fit(train): return 1"),
        "idea": Section("idea", "add age"),
        "interface": Section("interface", "fit(train) -> state", voice="program"),
    }
    prompt = make_prompt(read_wording("improve", facts.profile()), facts.brief(), more=more)
    answer, _ = ask_for(gate, prompt, read_code_answer)
    assert answer.meta == {"op": "improve"}
    first, second = model.requests
    assert first.schema is None
    text = first.messages[0].text
    assert text.index("fit(train) -> state") < text.index("return 1") < text.index("add age") < text.index("Change one")
    assert "Found 0 json and 1 python blocks" in second.messages[0].text
    assert make_payload(prompt, gate.rules).tokens < 6_000


CODE = "def fit(train):\n    return train['sold'].mean()\n\n\ndef transform(table, state):\n    return table\n"


def review(*findings: tuple[int, str], verdict: str = "leak") -> str:
    import json

    listed = [{"line": line, "code": code, "rule": "other", "effect": "it knows"} for line, code in findings]
    return json.dumps({"findings": listed, "verdict": verdict})


def test_findings_that_the_code_does_not_bear_out_are_void() -> None:
    kept = read_review(review((2, "return  train['sold'].mean()"), (1, "train['sold']"), (99, "return")), CODE)
    assert [finding.line for finding in kept.findings] == [2]
    assert kept.verdict == "leak"
    assert read_review(review((1, "open('/etc/passwd')")), CODE).verdict == "cannot_tell"
    assert read_review(review(verdict="clean"), CODE).verdict == "clean"


def test_a_review_of_another_form_is_malformed() -> None:
    with pytest.raises(MalformedAnswer):
        read_review('{"verdict": "clean"}', CODE)
