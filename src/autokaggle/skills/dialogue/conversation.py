"""The talk with a person; this file takes turns, understands commands, and lets nothing change without agreement.

With no language model the commands work all the same: the built-in strategist's decisions are what is talked about.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal

from autokaggle.errors import UsageError
from autokaggle.records.plan import Decision
from autokaggle.skills.dialogue import materials
from autokaggle.skills.dialogue.agreement import Agreement, Doubt
from autokaggle.skills.dialogue.answers import Counsel, ProposedSetting, partial_reply, read_counsel
from autokaggle.skills.dialogue.asking import ask_for
from autokaggle.skills.dialogue.brief import Brief
from autokaggle.skills.dialogue.decision_keys import read_value, written
from autokaggle.skills.dialogue.language_model import LASTING, Message, ModelFailure
from autokaggle.skills.dialogue.payload import Payload
from autokaggle.skills.dialogue.payload_gate import PayloadGate, make_payload
from autokaggle.skills.dialogue.person import Person
from autokaggle.skills.dialogue.prompt_files import Wording
from autokaggle.skills.dialogue.prompting import make_prompt
from autokaggle.skills.dialogue.transcript import Transcript

HELP = """\
/decide KEY=VALUE  decide something: metric, target, validation, families, drop_columns, features_to_try,
                   features_to_avoid, constraints, budget, template, gpu
/show WHAT         profile, plan, payload (what the language model is sent) or cost
/undo              take the last decision back
yes                take what the language model proposes
/done              take what stands proposed, and end the talk"""
AGREED = ("yes", "y", "ok", "okay", "ja", "oui", "si", "sí")
ATTEMPTS = 2


@dataclass
class Conversation:
    """One talk; ``save`` is called whenever something changed, so that Ctrl-C loses nothing."""

    brief: Brief
    agreement: Agreement
    person: Person
    transcript: Transcript
    gate: PayloadGate | None
    wording: Callable[[str], Wording]
    save: Callable[[], object]
    history: tuple[Message, ...] = ()
    open_proposals: list[ProposedSetting] = field(default_factory=list)
    doubt: Doubt | None = None
    sent: Payload | None = None

    def hold(self) -> None:
        """Talk until the person is done; what then stands in the agreement counts."""
        with self.person:
            self._open()
            self.save()
            while (line := self.person.read()) is not None:
                if line := line.strip():
                    self.transcript.said_by_person(line)
                    is_done = self._answer(line)
                    self.save()
                    if is_done:
                        break
            self._take_open("model", "proposed, and nobody objected")

    def _open(self) -> None:
        if self.gate is not None:
            self._ask("understand", "")
        else:
            self._tell("No language model takes part. These decisions stand:")
            self._tell(self._plan())
        self._tell("Talk, or type /help. /done ends the talk.")

    def _answer(self, line: str) -> bool:
        """Answer one line; return whether the person is done."""
        if not line.startswith("/"):
            self._talk(line)
            return False
        word, _, rest = line.partition(" ")
        if word != "/decide":
            self.doubt = None
        commands: dict[str, Callable[[str], None]] = {
            "/show": self._show,
            "/decide": self._decide,
            "/undo": self._undo,
            "/help": lambda rest: self._tell(HELP),
        }
        if word == "/done":
            return True
        if word not in commands:
            self._tell(f"There is no command {word}.\n{HELP}")
        else:
            try:
                commands[word](rest.strip())
            except UsageError as error:
                self._tell(str(error))
        return False

    # ------------------------------------------------------------ with the language model

    def _talk(self, line: str) -> None:
        if line.lower().rstrip(".!") in AGREED:
            self._agree()
            return
        self.doubt = None
        if self.gate is None:
            self._tell("No language model takes part, so only commands are understood.\n" + HELP)
        else:
            self._ask("chat", line)

    def _ask(self, operation: str, line: str) -> None:
        assert self.gate is not None
        try:
            wording = self._wording(operation)
            prompt = make_prompt(wording, self.brief, self.agreement.decisions, said=line, history=self.history)
            self.sent = make_payload(prompt, self.gate.rules)
            self.person.stream("")
            counsel, exchange = ask_for(self.gate, prompt, read_counsel, self._stream, ATTEMPTS)
        except ModelFailure as failure:
            self._fail(failure)
            return
        except KeyboardInterrupt as interrupt:
            # With a number it is another signal: somebody wants the run to end, not the answer.
            if interrupt.args or not self.person.is_there:
                raise
            self._tell("Stopped. What the language model was about to say is left out.")
            return
        self.history = (*prompt.history, *exchange.turns)
        self._receive(counsel)

    def _wording(self, operation: str) -> Wording:
        """With no opening to look back on, the material goes along with whatever is asked."""
        wording = self.wording(operation)
        if self.history or operation == "understand":
            return wording
        opening = self.wording("understand")
        return replace(wording, sections=(*opening.sections, "person"), budget_tokens=opening.budget_tokens)

    def _stream(self, text: str) -> None:
        if reply := partial_reply(text):
            self.person.stream(reply)

    def _fail(self, failure: ModelFailure) -> None:
        self._tell(str(failure))
        if failure.kind in LASTING:
            self.gate = None
            self._tell("The talk goes on without it; /decide and /done work as before.")
        else:
            self._tell("Say something to ask it again; /decide and /done work without it.")

    def _receive(self, counsel: Counsel) -> None:
        """Show an answer; keep those of its proposals that can be, and say why not of the others."""
        assert self.gate is not None
        text = "\n".join(part for part in (counsel.reply, counsel.question) if part)
        self.person.finish(text)
        material = "\n".join(message.text for message in self.history if message.role == "user")
        self.transcript.said_by_model(self.gate.model.name, text, counsel.evidence, material)
        for proposal in counsel.proposals:
            if self.agreement.changes_nothing(proposal):
                continue
            if objection := self.agreement.objection(proposal):
                self._tell(f"Not taken: {proposal.key} = {proposal.value}. {objection}")
                continue
            self.open_proposals = [one for one in self.open_proposals if one.key != proposal.key] + [proposal]
        if self.open_proposals:
            lines = [f"  {one.key} = {self._said(one)}\n      {one.why}" for one in self.open_proposals]
            self._tell("\n".join(["Proposed; `yes` or /done takes it, /undo drops it:", *lines]))

    def _said(self, proposal: ProposedSetting) -> str:
        return materials.say_value(read_value(proposal.key, proposal.value, self.brief)[0])

    # ------------------------------------------------------------ commands

    def _agree(self) -> None:
        if self.doubt is not None:
            doubt, self.doubt = self.doubt, None
            self._taken(self.agreement.decide(doubt.key, written(doubt.value), "user", "said so", over=doubt))
        elif self.open_proposals:
            self._take_open("user", "agreed to the language model's proposal")
        else:
            self._tell("There is nothing to agree to.")

    def _take_open(self, by: Literal["user", "model"], how: str) -> None:
        proposals, self.open_proposals = self.open_proposals, []
        for proposal in proposals:
            # What was decided since may speak against it.
            if objection := self.agreement.objection(proposal):
                self._tell(f"Not taken: {proposal.key} = {proposal.value}. {objection}")
            else:
                self._taken(self.agreement.decide(proposal.key, proposal.value, by, f"{proposal.why} ({how})"))
        if proposals:
            self.save()

    def _decide(self, rest: str) -> None:
        key, equals, text = rest.partition("=")
        key = key.strip().lower().replace("-", "_")
        if not equals or not key:
            raise UsageError("/decide takes KEY=VALUE.", "For example: /decide validation=group:farm")
        heard, self.doubt = self.doubt, None
        taken = self.agreement.decide(key, text, "user", "said so", over=heard)
        if isinstance(taken, Doubt):
            self.doubt = taken
            self._tell(
                f"{key} = {materials.say_value(taken.value)} contradicts what is known: {taken.reason}.\n"
                "Type `yes`, or the same again, to decide it all the same."
            )
            return
        self.open_proposals = [one for one in self.open_proposals if one.key != key]
        self._taken(taken)

    def _taken(self, taken: Decision | Doubt) -> None:
        if isinstance(taken, Decision):
            # On disk before it is said: whoever reads that something is decided may pull the plug.
            self.save()
            self._tell(f"Decided: {taken.key} = {materials.say_value(taken.value)}")

    def _undo(self, rest: str) -> None:
        if self.open_proposals:
            self.open_proposals = []
            self._tell("The proposals are dropped.")
        elif (undone := self.agreement.undo()) is not None:
            self._tell(f"Taken back: {undone.key} = {materials.say_value(undone.value)}. {self._standing(undone.key)}")
        else:
            self._tell("There is nothing to take back.")

    def _standing(self, key: str) -> str:
        standing = next((one for one in self.agreement.decisions if one.key == key), None)
        return f"What stands: {materials.say_value(standing.value)} ({standing.by})." if standing else "Nothing stands."

    def _show(self, what: str) -> None:
        shown: dict[str, Callable[[], str]] = {
            "profile": lambda: "\n".join(
                [materials.competition_section(self.brief).text, "", materials.columns_section(self.brief, 0).text]
            ),
            "plan": self._plan,
            "payload": self._payload,
            "cost": self._cost,
        }
        if what not in shown:
            raise UsageError("/show takes one word.", f"Choose one of: {', '.join(shown)}.")
        self._tell(shown[what](), is_kept=False)

    def _plan(self) -> str:
        return "\n".join(
            f"{one.key} = {materials.say_value(one.value)}  ({one.by}: {one.why})" for one in self.agreement.decisions
        )

    def _payload(self) -> str:
        if self.gate is None or self.sent is None:
            return "Nothing was sent: no language model takes part."
        return f"{self.sent.system}\n\n{self.sent.text}\n\n(about {self.sent.tokens:,} tokens)"

    def _cost(self) -> str:
        if self.gate is None:
            return "No language model takes part: nothing is spent."
        spending = self.gate.spending
        limit = f", limit ${spending.max_cost_usd:.2f}" if spending.max_cost_usd is not None else ""
        note = "" if spending.price.is_known else " (its price is not known; a dear one is assumed)"
        return f"${spending.spent_usd:.4f}{note}, {spending.used_tokens:,} of {spending.max_tokens:,} tokens{limit}"

    def _tell(self, text: str, is_kept: bool = True) -> None:
        self.person.show(text)
        if is_kept:
            self.transcript.said_by_program(text)
