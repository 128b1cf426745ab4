"""Which proposal is next, and for how long; this file learns in a run what each kind of candidate costs and gains.

A gain is the share by which a candidate lowered the loss of what would be handed in. The estimates of a kind begin with
a guess and give way to what was seen. Nothing here knows a clock: the same results give the same choice.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from autokaggle.records.candidate import Candidate, Proposal
from autokaggle.skills.pipeline.proposals import TIME_LIMIT, wants_gpu

# Less than this is not worth starting a candidate for: imports alone take two seconds.
SHORTEST_SECONDS = 4.0
# A portfolio's fits end by themselves; others may hang, and must leave time for something else.
LARGEST_SHARE_OF_OTHERS = 0.25
# Fits on a GPU end by themselves as well, unless its driver hangs: this is what they never come near.
HANGING, HANGING_SECONDS = 2.0, 20.0
GIBIBYTE = 1 << 30
MEMORY_OF_ONE = 2 * GIBIBYTE
THREADS_OF_ONE = 2

FIRST_GUESS = 0.005
GUESSES = 2.0
FADING = 0.9

Kind = tuple[str, str]


def candidates_at_once(cores: int, memory_bytes: int) -> int:
    """Return how many candidates share the machine: each gets two cores, and memory for tables and models."""
    return max(1, min(cores // THREADS_OF_ONE, memory_bytes // MEMORY_OF_ONE))


@dataclass
class Account:
    """What the candidates of one kind brought in: ``factor`` is seconds against what was expected.

    ``gain`` is the sum of gains and ``weight`` what it is out of; both fade, since early gains are the easy ones.
    """

    tries: int = 0
    gain: float = 0.0
    weight: float = 0.0
    seconds: float = 0.0
    factor: float = 1.0

    @property
    def expected_gain(self) -> float:
        return (GUESSES * FIRST_GUESS + self.gain) / (GUESSES + self.weight)


@dataclass
class Policy:
    """Costs and gains so far. With ``is_repeatable`` only what is the same in each run counts: no measured time."""

    is_repeatable: bool = False
    whole: Account = field(default_factory=Account)
    kinds: defaultdict[Kind, Account] = field(default_factory=lambda: defaultdict(Account))

    def learn(self, candidate: Candidate) -> None:
        """Take a finished candidate into account."""
        expected = candidate.proposal.expected_seconds
        for account in (self.whole, *(self.kinds[kind] for kind in _kinds(candidate.proposal))):
            if candidate.status == "scored":
                if expected:
                    account.factor = max(0.5, 0.5 * account.factor + 0.5 * candidate.seconds / expected)
                account.seconds += candidate.seconds
            account.gain = FADING * account.gain + (candidate.ensemble_gain or 0.0)
            account.weight = FADING * account.weight + 1
            account.tries += 1

    def expected_seconds(self, proposal: Proposal) -> float:
        """Return what a proposal should take here: by what was expected, else as long as others of its kind."""
        accounts = [self.kinds[kind] for kind in _kinds(proposal)]
        tried = max(accounts, key=lambda account: account.tries)
        if proposal.expected_seconds is not None:
            factor = 1.0 if self.is_repeatable else (tried if tried.seconds else self.whole).factor
            return proposal.expected_seconds * factor
        if self.is_repeatable or not tried.seconds:
            return SHORTEST_SECONDS
        return tried.seconds / tried.tries

    def choose(self, offers: Sequence[Proposal]) -> Proposal:
        """Return the offer with the largest expected gain per second, the first of equals."""
        return max(offers, key=self.worth)

    def worth(self, proposal: Proposal) -> float:
        """Return the expected gain per second."""
        accounts = [self.kinds[kind] for kind in _kinds(proposal)]
        gain = sum(account.expected_gain for account in accounts) / len(accounts)
        return gain / max(self.expected_seconds(proposal), 1.0)

    def most_seconds(self, proposal: Proposal, left: float, total: float) -> float:
        """Return after how many seconds a candidate is ended."""
        if wants_gpu(proposal):
            return min(left, HANGING * float(proposal.config.get(TIME_LIMIT, left)) + HANGING_SECONDS)
        if proposal.author == "portfolio" and not proposal.files:
            return left
        fair = max(LARGEST_SHARE_OF_OTHERS * total, 3 * self.expected_seconds(proposal))
        return min(left, max(fair, SHORTEST_SECONDS))


def _kinds(proposal: Proposal) -> tuple[Kind, ...]:
    return (proposal.author, proposal.operator), (proposal.author, proposal.family)
