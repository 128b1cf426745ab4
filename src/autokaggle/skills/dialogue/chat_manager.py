"""The talk before the search; this file decides who is asked and writes what was agreed.

Whoever decides, the same two files come out: ``chat_decisions.json`` and ``chat_transcript.md``.
"""

from __future__ import annotations

from autokaggle.records import Competition, DataProfile, Decision, Decisions, RunOptions
from autokaggle.skills.dialogue import strategist
from autokaggle.storage.artifacts import RunFolder
from autokaggle.storage.records_file import write_atomically, write_record


def hold_dialogue(
    competition: Competition, profile: DataProfile, options: RunOptions, default_metric: str, folder: RunFolder
) -> Decisions:
    """Agree on what the plan needs, and write transcript and decisions into ``folder``."""
    decisions = strategist.decide(competition, profile, options, default_metric)
    write_atomically(folder.transcript, _transcript(competition, profile, decisions))
    write_record(folder.decisions, decisions)
    return decisions


def _transcript(competition: Competition, profile: DataProfile, decisions: Decisions) -> str:
    title = _one_line(competition.title or competition.slug)
    lines = [
        f"# {title}",
        "",
        "No language model took part: the built-in strategist decided, from pages and data alone.",
        "",
        f"- data: {profile.train_rows:,} train rows, {profile.test_rows:,} test rows, {len(profile.columns)} columns",
        f"- task: {profile.task_type.replace('_', ' ')} ({_one_line(profile.task_guess.evidence)})",
        *(f"- warning: {_one_line(warning)}" for warning in profile.warnings),
        "",
        "| decision | value | by | why |",
        "|---|---|---|---|",
        *(_row(decision) for decision in decisions.decisions),
        "",
    ]
    return "\n".join(lines)


def _row(decision: Decision) -> str:
    cells = (decision.key, str(decision.value), decision.by, decision.why)
    return "| " + " | ".join(_one_line(cell).replace("|", "\\|") for cell in cells) + " |"


def _one_line(text: str) -> str:
    # Text from pages and column names may hold line breaks that would end a table row or start a heading.
    return " ".join(text.split())
