"""What calls cost, and where they end; this file keeps the account of one run.

Prices come from a table that ships with ``genai-prices``; nothing is fetched. A cap is kept before a call: what the
answer may cost at most must still fit, else the call is not made.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from concurrent.futures import wait
from dataclasses import dataclass

from autokaggle.skills.dialogue.background import in_background
from autokaggle.skills.dialogue.language_model import LanguageModel, ModelFailure, Usage

# Three times what a run with 25 candidates uses.
MOST_TOKENS = 1_000_000
# Assumed for the cap where the price is not known: no common model costs more.
DEAR_INPUT_USD, DEAR_OUTPUT_USD = 15.0, 75.0
# An answer shorter than this is of no use, thoughts included.
FEWEST_OUTPUT_TOKENS = 1_024
# Counting characters may be wrong by this much.
INPUT_MARGIN = 1.5
PRICED_PROVIDERS = ("google", "openai", "anthropic")


@dataclass(frozen=True)
class Price:
    """US dollars per million tokens."""

    input_usd: float
    output_usd: float
    is_known: bool = True

    def cost(self, input_tokens: float, output_tokens: float) -> float:
        return (input_tokens * self.input_usd + output_tokens * self.output_usd) / 1e6


@dataclass(frozen=True)
class Allowance:
    """What one call may use at most; set aside until it is booked, so that calls at one time keep the caps together."""

    input_tokens: int
    output_tokens: int
    usd: float


def price_of(model: LanguageModel) -> Price:
    """Look the model's price up; one that runs here costs nothing, one that is not listed is assumed to be dear."""
    if model.is_local:
        return Price(0.0, 0.0)
    provider, _, name = model.name.partition(":")
    if provider in PRICED_PROVIDERS:
        from genai_prices import Usage as PricedUsage
        from genai_prices import calc_price

        try:
            found = calc_price(PricedUsage(input_tokens=1000, output_tokens=1000), name, provider_id=provider)
        except LookupError:
            pass
        else:
            return Price(float(found.input_price) * 1000, float(found.output_price) * 1000)
    return Price(DEAR_INPUT_USD, DEAR_OUTPUT_USD, is_known=False)


def count_tokens(text: str) -> int:
    """Estimate tokens: four characters each in ASCII, one in any other script."""
    ascii_length = len(text.encode("ascii", "ignore"))
    return math.ceil(ascii_length / 4) + len(text) - ascii_length


class Spending:
    """The account of one run; ``spent_usd`` and ``used_tokens`` are what earlier processes of the run spent.

    ``find_price`` is called in the background: loading the table of prices takes its time.
    """

    def __init__(
        self,
        find_price: Callable[[], Price],
        max_cost_usd: float | None = None,
        max_tokens: int = MOST_TOKENS,
        spent_usd: float = 0.0,
        used_tokens: int = 0,
    ) -> None:
        self._price = in_background(find_price, "look up the price")
        self.max_cost_usd = max_cost_usd
        self.max_tokens = max_tokens
        self.spent_usd = spent_usd
        self.used_tokens = used_tokens
        self._aside_usd = 0.0
        self._aside_tokens = 0
        self._lock = threading.Lock()

    @property
    def price(self) -> Price:
        return self._price.result()

    def is_priced(self, seconds: float) -> bool:
        """Say whether the price is known by now, after this much waiting at most."""
        return not wait([self._price], seconds).not_done

    def allow(self, input_tokens: int, wanted_output_tokens: int) -> Allowance:
        """Set aside what a call may use at most: all that is wanted, or as much as the caps leave.

        Raises:
            ModelFailure: the caps leave too little for an answer.
        """
        expected = math.ceil(input_tokens * INPUT_MARGIN)
        with self._lock:
            allowed, limit = self._left(expected, wanted_output_tokens)
            if allowed < min(FEWEST_OUTPUT_TOKENS, wanted_output_tokens):
                raise ModelFailure("cap", f"The language model is not asked any more: {limit} is reached.")
            allowance = Allowance(expected, allowed, self.price.cost(expected, allowed))
            self._set_aside(allowance, 1)
        return allowance

    def book(self, allowance: Allowance, usage: Usage) -> float:
        """Put what a call cost in place of what was set aside, and return it in US dollars."""
        cost = self.price.cost(usage.input_tokens, usage.output_tokens)
        with self._lock:
            self._set_aside(allowance, -1)
            self.spent_usd += cost
            self.used_tokens += usage.input_tokens + usage.output_tokens
        return cost

    def _left(self, input_tokens: int, wanted: int) -> tuple[int, str]:
        by_tokens = self.max_tokens - self.used_tokens - self._aside_tokens - input_tokens
        allowed, limit = min(wanted, by_tokens), f"the limit of {self.max_tokens:,} tokens"
        if self.max_cost_usd is not None and self.price.output_usd > 0:
            left = self.max_cost_usd - self.spent_usd - self._aside_usd - self.price.cost(input_tokens, 0)
            affordable = math.floor(left / self.price.output_usd * 1e6)
            if affordable < allowed:
                return affordable, f"the limit of ${self.max_cost_usd:.2f}"
        return allowed, limit

    def _set_aside(self, allowance: Allowance, sign: int) -> None:
        self._aside_usd += sign * allowance.usd
        self._aside_tokens += sign * (allowance.input_tokens + allowance.output_tokens)

    def describe(self, input_tokens: int, output_tokens: int) -> str:
        """Say what a call of this size would cost, and where spending ends."""
        amount = f"about ${self.price.cost(input_tokens, output_tokens):.3f}"
        if not self.price.is_known:
            dear = f"${self.price.input_usd:.0f} and ${self.price.output_usd:.0f} per million tokens in and out"
            amount = f"its price is not known; {dear} are assumed"
        elif self.price.output_usd == 0:
            amount = "free of charge"
        cap = f"${self.max_cost_usd:.2f}" if self.max_cost_usd is not None else f"{self.max_tokens:,} tokens"
        return f"about {input_tokens:,} tokens, {amount}; limit {cap}"
