"""What is told of a competition before a run: obstacles to a ranked submission, and rules with their sentences."""

from __future__ import annotations

import datetime as dt

import pytest

from autokaggle.records.competition import Competition, Gate
from autokaggle.skills.competition.notices import TOPICS, notices
from autokaggle.skills.competition.rules import READERS

NOW = dt.datetime(2026, 5, 1, tzinfo=dt.UTC)


def test_an_open_competition_without_rules_needs_no_words() -> None:
    open_one = Competition(slug="x", deadline="2026-05-01T00:00:01Z", user_has_entered=True)
    assert notices(open_one, NOW) == ()
    assert notices(Competition(slug="folder"), NOW) == ()


@pytest.mark.parametrize("deadline", ["2026-04-30T23:59:59Z", "2026-04-30T23:59:59", "2026-05-01T01:59:59+02:00"])
def test_a_deadline_that_has_passed_is_named_by_its_day_in_any_notation(deadline: str) -> None:
    (said,) = notices(Competition(slug="x", deadline=deadline), NOW)
    assert said.startswith("The deadline passed on 2026-0")
    assert "Late submissions are usually scored" in said


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"user_has_entered": False}, "accept its rules at https://www.kaggle.com/competitions/x/rules"),
        ({"is_code_competition": True, "submissions_disabled": True}, "only from notebooks"),
        ({"submissions_disabled": True}, "takes no submissions"),
    ],
)
def test_what_stands_against_a_hand_in_is_told(facts: dict[str, bool], said: str) -> None:
    (notice,) = notices(Competition(slug="x", **facts), NOW)  # type: ignore[arg-type]
    assert said in notice


def test_rules_are_told_with_their_sentences() -> None:
    gates = (
        Gate(name="external_data", value=False, sentence="No external data.", page="rules.md"),
        Gate(name="internet", value=True, sentence="Internet is on.", page="rules.md"),
        Gate(name="team_size", value=5, sentence="At most 5 members.", page="faq.md"),
    )
    assert notices(Competition(slug="x", gates=gates), NOW) == (
        "Rule on external data: not allowed (“No external data.”, rules.md)",
        "Rule on internet: allowed (“Internet is on.”, rules.md)",
        "Rule on team size: 5 (“At most 5 members.”, faq.md)",
    )


def test_every_rule_that_is_read_can_be_told() -> None:
    assert set(READERS) == set(TOPICS)
