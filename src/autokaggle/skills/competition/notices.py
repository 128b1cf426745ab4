"""What a person should know of a competition before the work begins; this file says it, and refuses nothing.

Sentences of rules are untrusted text: whoever shows a notice makes it harmless first.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from autokaggle.records.competition import Competition, Gate
from autokaggle.skills.competition.refusals import rules_page

# A rule in one or two words, and what its values mean where they are no numbers or names.
TOPICS = {
    "external_data": "external data",
    "internet": "internet",
    "team_size": "team size",
    "daily_submissions": "submissions a day",
    "winner_licence": "licence of a winner's code",
    "hand_labelling": "labelling by hand",
}


@dataclass(frozen=True)
class Notice:
    """One thing to know: what it is about, what is so, and what that means or asks for."""

    topic: str
    text: str
    next_step: str = ""


def notices(competition: Competition, now: dt.datetime) -> tuple[str, ...]:
    """Return what stands in the way of a hand-in, then every rule with the sentence that it was read from.

    ``now`` has a time zone.
    """
    found = (*obstacles(competition, now), *rules(competition))
    return tuple(f"{notice.text} {notice.next_step}".strip() for notice in found)


def obstacles(competition: Competition, now: dt.datetime) -> tuple[Notice, ...]:
    """Return what stands in the way of a ranked submission; topics are "rules", "deadline" and "submissions"."""
    found = []
    if competition.user_has_entered is False:
        step = f"Join it and accept its rules at {rules_page(competition.slug)}"
        found.append(Notice("rules", "You have not joined this competition.", step))
    end = deadline(competition)
    if end is not None and end < now:
        text = f"The deadline passed on {end:%Y-%m-%d}."
        found.append(Notice("deadline", text, "Late submissions are usually scored, not ranked."))
    if competition.is_code_competition:
        text = "Submissions are made only from notebooks on Kaggle."
        found.append(Notice("submissions", text, "A run makes the code, not the hand-in."))
    elif competition.submissions_disabled:
        text = "This competition takes no submissions."
        found.append(Notice("submissions", text, "A run can still be made and scored here."))
    return tuple(found)


def rules(competition: Competition) -> tuple[Notice, ...]:
    """Return the rules that were understood, each with its sentence and the page that holds it."""
    return tuple(Notice(TOPICS[gate.name], _in_words(gate)) for gate in competition.gates)


def deadline(competition: Competition) -> dt.datetime | None:
    """Return the end of the competition with its time zone, None where none is stated."""
    if competition.deadline is None:
        return None
    moment = dt.datetime.fromisoformat(competition.deadline)
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)


def _in_words(gate: Gate) -> str:
    value = {True: "allowed", False: "not allowed"}[gate.value] if isinstance(gate.value, bool) else gate.value
    return f"Rule on {TOPICS[gate.name]}: {value} (“{gate.sentence}”, {gate.page})"
