"""The record of a talk for people; this file keeps who said what, and writes it as Markdown that no text can break."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from autokaggle.records.competition import Competition
from autokaggle.records.data_profile import DataProfile
from autokaggle.records.plan import Decision
from autokaggle.skills.dialogue.answers import Quote
from autokaggle.skills.dialogue.materials import say_value

# What somebody said is quoted line by line, so that no text can look like the head of a turn.
TURN = re.compile(r"^\*\*.+\*\* \(\d\d:\d\d:\d\d UTC\)\n\n(?:>.*\n)+", re.MULTILINE)


@dataclass
class Transcript:
    """What was said, in order; ``lines`` are those that the person typed."""

    turns: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    def said_by_person(self, text: str) -> None:
        self.lines.append(_one_line(text))
        self._add("You", text)

    def said_by_program(self, text: str) -> None:
        self._add("AutoKaggle", text)

    def said_by_model(self, name: str, text: str, evidence: Sequence[Quote] = (), material: str = "") -> None:
        """Add a model's answer with its quotes; one that does not stand in the material is marked."""
        plain = _one_line(material)
        quotes = [
            f"- {one.source}: “{_one_line(one.quote)}”"
            + ("" if _one_line(one.quote) in plain else " (not found there)")
            for one in evidence
        ]
        self._add(name, "\n".join([text, *quotes]))

    def _add(self, who: str, text: str) -> None:
        moment = dt.datetime.now(dt.UTC).strftime("%H:%M:%S")
        quoted = "\n".join(f"> {line}" for line in text.splitlines() or [""])
        self.turns.append(f"**{_one_line(who)}** ({moment} UTC)\n\n{quoted}\n")


def read_turns(text: str) -> list[str]:
    """Return what was said in a transcript, turn by turn, as ``write_transcript`` takes it."""
    return TURN.findall(text)


def write_transcript(
    competition: Competition,
    profile: DataProfile,
    decisions: Sequence[Decision],
    introduction: str,
    turns: Sequence[str] = (),
) -> str:
    """Write all of it: who took part, the facts, what was said, and the decisions with who took them and why."""
    title = _one_line(competition.title or competition.slug)
    lines = [
        f"# {title}",
        "",
        introduction,
        "",
        f"- data: {profile.train_rows:,} train rows, {profile.test_rows:,} test rows, {len(profile.columns)} columns",
        f"- task: {profile.task_type.replace('_', ' ')} ({_one_line(profile.task_guess.evidence)})",
        *(f"- warning: {_one_line(warning)}" for warning in profile.warnings),
        "",
        *turns,
        "| decision | value | by | why |",
        "|---|---|---|---|",
        *(_row(decision) for decision in decisions),
        "",
    ]
    return "\n".join(lines)


def _row(decision: Decision) -> str:
    cells = (decision.key, say_value(decision.value), decision.by, decision.why)
    return "| " + " | ".join(_one_line(cell).replace("|", "\\|") for cell in cells) + " |"


def _one_line(text: str) -> str:
    # Text from pages and column names may hold line breaks that would end a table row or start a heading.
    return " ".join(text.split())
