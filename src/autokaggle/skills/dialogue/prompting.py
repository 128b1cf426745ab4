"""From a wording and the facts to a prompt; this file puts the sections together in the order of the wording."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from autokaggle.errors import UsageError
from autokaggle.records.plan import Decision
from autokaggle.skills.dialogue import materials
from autokaggle.skills.dialogue.answers import Counsel, json_form
from autokaggle.skills.dialogue.brief import Brief
from autokaggle.skills.dialogue.language_model import Message
from autokaggle.skills.dialogue.payload import Prompt, Section
from autokaggle.skills.dialogue.prompt_files import Wording
from autokaggle.skills.dialogue.reviews import REVIEW_FORM
from autokaggle.skills.dialogue.spending import count_tokens

# Earlier turns of a talk beyond this are left out, the oldest first, but for the opening.
MOST_HISTORY_TOKENS = 12_000
# Sections that depend on the moment; they are left out when the caller gives none.
CALLERS_SECTIONS = ("person", "interface", "parent", "other", "ablation", "ledger", "idea", "error")
# Code is answered as text: models write worse code inside JSON.
FORMS: dict[str, Mapping[str, Any] | None] = {"counsel": json_form(Counsel), "review": REVIEW_FORM, "code": None}


def make_prompt(
    wording: Wording,
    brief: Brief,
    decisions: Sequence[Decision] = (),
    *,
    said: str = "",
    history: Sequence[Message] = (),
    more: Mapping[str, Section] | None = None,
    timeout_seconds: float = 120.0,
) -> Prompt:
    """Make the prompt of one call. ``said`` is what the person said; ``more`` holds what only the caller knows.

    Raises:
        UsageError: the wording names a section that nobody makes.
    """
    given = dict(more or {})
    if said:
        given["person"] = Section("message", said, voice="person")
    makers = _makers(wording, brief, decisions)
    makers |= {name: _always(section) for name, section in given.items()}
    if unknown := [name for name in wording.sections if name not in makers and name not in CALLERS_SECTIONS]:
        raise UsageError(f"The prompt {wording.operation!r} names unknown sections: {', '.join(unknown)}.")
    if wording.answer not in FORMS:
        raise UsageError(
            f"The prompt {wording.operation!r} asks for {wording.answer!r}.", f"Known: {', '.join(FORMS)}."
        )
    used = [makers[name] for name in wording.sections if name in makers]
    return Prompt(
        operation=wording.operation,
        system=wording.system,
        levels=tuple(tuple(maker(level) for maker in used) for level in range(materials.LEVELS)),
        request=wording.request,
        files=wording.files,
        sha256=wording.sha256,
        form=FORMS[wording.answer],
        history=_recent(history),
        budget_tokens=wording.budget_tokens,
        max_output_tokens=wording.max_output_tokens,
        thinking=wording.thinking,
        timeout_seconds=timeout_seconds,
    )


def _makers(wording: Wording, brief: Brief, decisions: Sequence[Decision]) -> dict[str, Callable[[int], Section]]:
    return {
        "advice": lambda level: Section("advice", wording.advice, voice="program"),
        "competition": lambda level: materials.competition_section(brief),
        "columns": lambda level: materials.columns_section(brief, level),
        "pages": lambda level: materials.pages_section(brief, level),
        "decisions": lambda level: materials.decisions_section(decisions),
        "results": lambda level: materials.results_section(brief),
        "host": lambda level: materials.host_section(brief),
        "menu": lambda level: materials.menu_section(brief),
    }


def _always(section: Section) -> Callable[[int], Section]:
    return lambda level: section


def _recent(history: Sequence[Message]) -> tuple[Message, ...]:
    """Keep the opening, question and answer, and as many of the last turns as fit."""
    opening, later = list(history[:2]), list(history[2:])
    while later and sum(count_tokens(message.text) for message in (*opening, *later)) > MOST_HISTORY_TOKENS:
        later = later[2:]
    return (*opening, *later)
