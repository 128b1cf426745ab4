"""Rules in prose become gates with the sentence they came from; what is unclear becomes none."""

from __future__ import annotations

from typing import Any

import pytest

from autokaggle.skills.competition.rules import compile_rules, gates_from_fields, merge_gates


@pytest.mark.parametrize(
    ("sentence", "gates"),
    [
        ("The maximum Team size is five (5).", {"team_size": 5}),
        ("Team size is limited to 4 members.", {"team_size": 4}),
        ("The maximum size of a team is 8.", {"team_size": 8}),
        ("Teams may have up to five members.", {"team_size": 5}),
        ("You may form teams of at most 3 people.", {"team_size": 3}),
        (
            "Team mergers are allowed while the merged team stays below the submission limit of all teams.",
            {},
        ),
        ("There is no maximum team size.", {}),
        ("Max team size: 5", {"team_size": 5}),
        (
            "You may submit a maximum of five (5) entries per day and select up to two (2) as final.",
            {"daily_submissions": 5},
        ),
        ("You may submit up to 10 submissions per day.", {"daily_submissions": 10}),
        ("Maximum daily submissions: 20", {"daily_submissions": 20}),
        ("At most 3 submissions each day.", {"daily_submissions": 3}),
        ("You can make 5 submissions daily.", {"daily_submissions": 5}),
        ("You may select up to two (2) final submissions for judging.", {}),
        (
            "You may use data other than the competition data if it is public and has no cost for anyone.",
            {"external_data": True},
        ),
        ("External data is not allowed.", {"external_data": False}),
        ("Use of external data is prohibited.", {"external_data": False}),
        ("You may not use any external data.", {"external_data": False}),
        (
            "External Data: Freely & publicly available external data is allowed, including pre-trained models.",
            {"external_data": True},
        ),
        (
            "External data is allowed as long as it does not cost more than other participants can pay.",
            {"external_data": True},
        ),
        ("No external data is permitted.", {"external_data": False}),
        ("External data may be used.", {"external_data": True}),
        ("Pre-trained models are welcome, but external data are forbidden.", {"external_data": False}),
        ("Internet access disabled", {"internet": False}),
        ("Your notebook must have internet access turned off.", {"internet": False}),
        ("Internet access enabled", {"internet": True}),
        ("Internet must be disabled for submission.", {"internet": False}),
        ("Winner License Type: CC BY 4.0", {"winner_licence": "CC BY 4.0"}),
        ("Winning submissions must be released under the Apache 2.0 license.", {"winner_licence": "Apache 2.0"}),
        (
            "As a winner you license your code under an Open Source Initiative-approved license.",
            {"winner_licence": "Open Source Initiative-approved"},
        ),
        ("Winners must publish their solution under the MIT license.", {"winner_licence": "MIT"}),
        ("The winners' licence is non-exclusive.", {"winner_licence": "non-exclusive"}),
        ("The data is licensed under CC BY 4.0.", {}),
        ("Hand labelling is not permitted.", {"hand_labelling": False}),
        (
            "Submissions must not use information from hand labeling or human prediction of the test set.",
            {"hand_labelling": False},
        ),
        ("Manually labeling test data is forbidden.", {"hand_labelling": False}),
        ("Hand labeling is allowed.", {"hand_labelling": True}),
        ("The data came from the internet.", {}),
        ("You may not share code privately outside of your team.", {}),
        ("CPU Notebook <= 9 hours run-time", {}),
        ("One account per participant", {}),
        ("We like external data.", {}),
        ("External data is allowed without restriction.", {"external_data": True}),
        ("Run your notebook without internet access.", {"internet": False}),
    ],
)
def test_a_sentence_gives_its_gate_or_none(sentence: str, gates: dict[str, Any]) -> None:
    found = compile_rules({"rules.md": sentence})
    assert {gate.name: gate.value for gate in found} == gates
    assert all(gate.sentence in sentence and gate.page == "rules.md" for gate in found)


def test_the_rules_page_is_read_before_others() -> None:
    pages = {
        "a-data-description.md": "External data is allowed. You may submit 99 entries per day.",
        "competition-rules.md": "# Rules\n\n- External data is prohibited.\n- Be kind.",
        "code-requirements.md": "- Internet access disabled\n- CPU notebook",
    }
    found = {gate.name: gate for gate in compile_rules(pages)}
    assert (found["external_data"].value, found["external_data"].page) == (False, "competition-rules.md")
    assert found["external_data"].sentence == "External data is prohibited."
    assert (found["internet"].value, found["internet"].page) == (False, "code-requirements.md")
    assert (found["daily_submissions"].value, found["daily_submissions"].page) == (99, "a-data-description.md")


def test_sentences_are_found_across_lines_and_lists() -> None:
    text = "## 3. TEAMS\nThe maximum team\nsize is three (3).\n\n1. External data\n   is not allowed.\n2. Other."
    found = {gate.name: gate.value for gate in compile_rules({"rules.md": text})}
    assert found == {"external_data": False, "team_size": 3}


def test_a_long_sentence_is_cut() -> None:
    (gate,) = compile_rules({"rules.md": "External data is allowed " + "and so on " * 500})
    assert len(gate.sentence) <= 500


def test_no_pages_no_gates() -> None:
    assert compile_rules({}) == () and compile_rules({"rules.md": ""}) == ()


def test_numbers_that_kaggle_states_win_over_prose() -> None:
    exact = gates_from_fields(10, None)
    read = compile_rules({"rules.md": "You may submit 5 entries per day. The maximum team size is 4."})
    merged = {gate.name: gate for gate in merge_gates(exact, read)}
    assert (merged["daily_submissions"].value, merged["daily_submissions"].page) == (10, "Kaggle's competition facts")
    assert merged["team_size"].value == 4
    agreeing = {gate.name: gate for gate in merge_gates(gates_from_fields(5, 4), read)}
    assert agreeing["daily_submissions"].sentence == "You may submit 5 entries per day."


def test_unset_numbers_give_no_gate() -> None:
    assert gates_from_fields(0, 0) == () and gates_from_fields(None, None) == ()
