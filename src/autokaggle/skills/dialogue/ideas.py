"""Where features may come from; this file gives each draft another direction, so that drafts differ."""

from __future__ import annotations

from collections.abc import Sequence

from autokaggle.records.plan import Decision

# What was agreed comes first, but not at the cost of every other direction.
MOST_AGREED = 4
GROUPS = (
    "Groups: rows that belong together (families, users, orders, places): how many there are of each, and how a row "
    "differs from the middle of its group, as learned in fit."
)
INTERACTIONS = (
    "Interactions: ratios, differences and products of numbers that belong together by meaning; sums of amounts and "
    "the share of each; two categories as one."
)
TEXTS = "Texts and codes: parts of codes, words and lengths of texts, prefixes and digits that mean something."
SPECIAL = "Missing and special values: what is missing together, what zero stands for, bins where an effect is uneven."
ORDER = "Order: calendar parts, ranks and distances against values learned in fit, neighbours in number or time."
DIRECTIONS = (GROUPS, INTERACTIONS, TEXTS, SPECIAL, ORDER)
PIPELINE = "A model of another kind than the trees in the ledger, with the features that suit it."


def ideas(decisions: Sequence[Decision]) -> tuple[str, ...]:
    """Return the directions of drafts in their order: features that were agreed, then ours."""
    agreed = [str(one) for decision in decisions if decision.key == "features_to_try" for one in decision.value or ()]
    return (*agreed[:MOST_AGREED], *DIRECTIONS)
