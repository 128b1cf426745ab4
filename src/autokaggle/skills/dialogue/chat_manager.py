"""The talk before the search; this file decides who is asked, and writes what was agreed.

Whoever decides, the same two files come out: ``chat_decisions.json`` and ``chat_transcript.md``. A language model that
fails costs a warning, never the run: the built-in strategist's decisions stand from the start.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from autokaggle.records.plan import Decision, Decisions
from autokaggle.skills.dialogue import strategist
from autokaggle.skills.dialogue.agreement import Agreement
from autokaggle.skills.dialogue.answers import read_counsel
from autokaggle.skills.dialogue.asking import ask_for
from autokaggle.skills.dialogue.brief import Brief
from autokaggle.skills.dialogue.conversation import Conversation
from autokaggle.skills.dialogue.language_model import ModelFailure
from autokaggle.skills.dialogue.payload_gate import PayloadGate
from autokaggle.skills.dialogue.person import Person, read_lines
from autokaggle.skills.dialogue.prompt_files import Wording, read_wording
from autokaggle.skills.dialogue.prompting import make_prompt
from autokaggle.skills.dialogue.transcript import Transcript, read_turns, write_transcript
from autokaggle.storage.artifacts import RunFolder
from autokaggle.storage.records_file import read_record, write_atomically, write_record

ALONE = "No language model took part: the built-in strategist decided, from pages and data alone."
# A run hands in something within its first minute, whatever a language model takes.
LONGEST_SECONDS, USUAL_SECONDS = 40.0, 12.0
USUAL_SHARE, LARGEST_SHARE = 0.2, 0.5


def hold_dialogue(
    brief: Brief,
    folder: RunFolder,
    *,
    gate: PayloadGate | None = None,
    person: Person | None = None,
    prompts: Sequence[Path] = (),
    warn: Callable[[str], None] = lambda message: None,
) -> Decisions:
    """Agree on what the plan needs, and write transcript and decisions into ``folder``.

    With a ``person`` there is a talk, with a ``gate`` a language model is asked, with neither the strategist decides.
    Folders in ``prompts`` stand before our own prompts. What a person decided in an earlier talk of this run stays,
    and so does what was said.
    """
    base = strategist.decide(brief.competition, brief.profile, brief.options, brief.default_metric, brief.gpu)
    agreement = Agreement(base, brief, _decided_before(folder))
    transcript = _talked_before(folder)
    introduction = ALONE if gate is None else f"A language model took part: {gate.model.name}."
    if person is not None:
        introduction = _with_person(gate)
    save = partial(_save, brief, agreement, transcript, introduction, folder)
    if person is not None:

        def wording(operation: str) -> Wording:
            return read_wording(operation, brief.profile, prompts)

        Conversation(brief, agreement, person, transcript, gate, wording, save).hold()
    elif gate is not None:
        _ask(brief, agreement, transcript, gate, prompts, warn)
    return save()


def _ask(
    brief: Brief,
    agreement: Agreement,
    transcript: Transcript,
    gate: PayloadGate,
    prompts: Sequence[Path],
    warn: Callable[[str], None],
) -> None:
    """Ask for decisions directly; what contradicts data or rules is not taken, and written down."""
    wording = read_wording("decide", brief.profile, prompts)
    seconds = patience_seconds(brief.options.time_budget_seconds)
    prompt = make_prompt(wording, brief, agreement.decisions, timeout_seconds=seconds)
    try:
        counsel, exchange = ask_for(gate, prompt, read_counsel)
    except ModelFailure as failure:
        transcript.said_by_program(f"{failure}\nThe built-in strategist decided instead.")
        warn(f"{failure.message} The built-in strategist decides instead. {failure.next_step}".strip())
        return
    said = "\n".join(part for part in (counsel.reply, counsel.question) if part)
    transcript.said_by_model(gate.model.name, said, counsel.evidence, exchange.question.text)
    for proposal in counsel.proposals:
        if agreement.changes_nothing(proposal):
            continue
        if objection := agreement.objection(proposal):
            refused = f"Not taken: {proposal.key} = {proposal.value}. {objection}"
            transcript.said_by_program(refused)
            warn(refused)
        else:
            agreement.decide(proposal.key, proposal.value, "model", proposal.why)


def patience_seconds(time_budget_seconds: float) -> float:
    """How long to wait for a language model's decisions: a fifth of the budget, more of a short one."""
    usual = max(USUAL_SHARE * time_budget_seconds, min(USUAL_SECONDS, LARGEST_SHARE * time_budget_seconds))
    return min(usual, LONGEST_SECONDS)


def _decided_before(folder: RunFolder) -> list[Decision]:
    if not folder.decisions.is_file():
        return []
    return [decision for decision in read_record(folder.decisions, Decisions).decisions if decision.by == "user"]


def _talked_before(folder: RunFolder) -> Transcript:
    """Begin with what was said in earlier talks of this run, whose ends are none any more."""
    turns = read_turns(folder.transcript.read_text("utf-8")) if folder.transcript.is_file() else []
    lines = read_lines(folder.chat_lines.read_text("utf-8")) if folder.chat_lines.is_file() else []
    return Transcript(turns, [line for line in lines if line != "/done"])


def _with_person(gate: PayloadGate | None) -> str:
    return "A talk with the person who ran it" + (f" and {gate.model.name}." if gate else ", without a language model.")


def _save(
    brief: Brief, agreement: Agreement, transcript: Transcript, introduction: str, folder: RunFolder
) -> Decisions:
    decisions = Decisions(decisions=agreement.decisions)
    text = write_transcript(brief.competition, brief.profile, decisions.decisions, introduction, transcript.turns)
    write_atomically(folder.transcript, text)
    if transcript.lines:
        write_atomically(folder.chat_lines, "\n".join(transcript.lines) + "\n")
    write_record(folder.decisions, decisions)
    return decisions
