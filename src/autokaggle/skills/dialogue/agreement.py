"""What stands agreed; this file holds the decisions of a talk, takes changes to them, and takes them back.

Whoever decides, a value is read against data and rules first. What contradicts them is not taken at once: a person may
insist, a language model may not.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from autokaggle.errors import UsageError
from autokaggle.records.plan import Decision, Decisions
from autokaggle.skills.dialogue.answers import ProposedSetting
from autokaggle.skills.dialogue.brief import Brief
from autokaggle.skills.dialogue.decision_keys import GROWING_KEYS, PERSONS_KEYS, Value, read_value


@dataclass(frozen=True)
class Doubt:
    """A value that can be read and contradicts what is known."""

    key: str
    value: Value
    reason: str


@dataclass
class Agreement:
    """Decisions as they stand: those of the strategist and of flags, and every change since."""

    base: Decisions
    brief: Brief
    changes: list[Decision] = field(default_factory=list)

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """One decision a key, in the order of the base, then of the changes."""
        standing = {decision.key: decision for decision in self.base.decisions}
        for change in self.changes:
            standing[change.key] = _grown(standing.get(change.key), change)
        return tuple(standing.values())

    def decide(
        self, key: str, text: str, by: Literal["user", "model"], why: str, over: Doubt | None = None
    ) -> Decision | Doubt:
        """Take a decision, or return the doubt that speaks against it; ``over`` is a doubt that a person heard already.

        Raises:
            UsageError: there is no such key, or the value cannot be.
        """
        if by == "model" and key in PERSONS_KEYS:
            raise UsageError(f"Only a person decides on {key}.")
        if by == "model" and self._is_fixed(key):
            raise UsageError(f"{key} was given as a flag, which counts.")
        value, reason = read_value(key, text, self.brief)
        if reason and (over is None or (over.key, over.value) != (key, value)):
            return Doubt(key, value, reason)
        decision = Decision(key=key, value=value, by=by, why=f"{why}; taken although {reason}" if reason else why)
        self.changes.append(decision)
        return decision

    def objection(self, proposal: ProposedSetting) -> str:
        """Say why a language model's proposal cannot be taken; "" when it can."""
        trial = Agreement(self.base, self.brief, list(self.changes))
        try:
            taken = trial.decide(proposal.key, proposal.value, "model", proposal.why)
        except UsageError as error:
            return str(error).replace("\n", " ")
        return f"It contradicts what is known: {taken.reason}." if isinstance(taken, Doubt) else ""

    def undo(self) -> Decision | None:
        """Take the last change back and return it; None when there is none."""
        return self.changes.pop() if self.changes else None

    def changes_nothing(self, proposal: ProposedSetting) -> bool:
        """Say whether a proposal is what stands already."""
        try:
            value, _ = read_value(proposal.key, proposal.value, self.brief)
        except UsageError:
            return False
        standing = next((one for one in self.decisions if one.key == proposal.key), None)
        if standing is None:
            return not value
        if proposal.key in GROWING_KEYS:
            return all(item in standing.value for item in value)
        return bool(standing.value == value)

    def _is_fixed(self, key: str) -> bool:
        if key == "validation":
            # A number of folds alone fixes no scheme; the plan keeps to it whatever is decided here.
            return self.brief.options.validation != "auto"
        return any(decision.key == key and decision.by == "flag" for decision in self.base.decisions)


def _grown(before: Decision | None, change: Decision) -> Decision:
    """Add a list to the list that stands; an empty one clears it."""
    if change.key not in GROWING_KEYS or before is None or not before.value or not change.value:
        return change
    value = list(dict.fromkeys([*before.value, *change.value]))
    return Decision(key=change.key, value=value, by=change.by, why=f"{before.why}; {change.why}")
