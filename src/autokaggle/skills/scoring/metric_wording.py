"""Which metric a text means; this file matches the phrases of the known metrics with what a competition says.

Of several phrases in one sentence the longest counts, as it is the most specific. It understands no formula.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

SCORING_WORDS = re.compile(r"\b(evaluat\w*|scor(?:ed|ing)|metric|measured|graded|judged|ranked)\b", re.IGNORECASE)
# A word elsewhere in the sentence that makes another metric of the one that was named.
REFINEMENTS: Mapping[tuple[str, str], str] = {
    ("rmse", "logarithm"): "rmsle",
    ("rmse", "logarithms"): "rmsle",
    ("rmse", "log"): "rmsle",
    ("mse", "logarithm"): "msle",
    ("rmse", "columnwise"): "mcrmse",
    ("f1", "macro"): "f1_macro",
    ("f1", "micro"): "f1_micro",
    ("f1", "weighted"): "f1_weighted",
    ("log_loss", "multiclass"): "mlogloss",
    ("log_loss", "multi class"): "mlogloss",
    ("jaccard", "macro"): "jaccard_macro",
}
ANYTHING = ("custom metric", "custom", "metric", "other", "")
LONGEST_EVIDENCE = 300


@dataclass(frozen=True)
class Match:
    """A metric that a text names; ``evidence`` is the sentence, ``wording`` what to show as the competition's words."""

    metric: str
    wording: str
    source: Literal["field", "page"]
    confidence: float
    evidence: str


def match_metric(field: str, page: str, title: str, aliases: Mapping[str, Sequence[str]]) -> Match | None:
    """Return the metric that the field names, else the page, else the title; None when none of them names one."""
    field = " ".join(field.split())
    if found := _named(field, aliases) or _named(_split_camel_case(field), aliases):
        metric, phrase = found
        confidence = 0.99 if normalise(field) == phrase else 0.95
        return Match(metric, field, "field", confidence, field)
    # A field that says something unknown speaks against whatever the page mentions.
    trust = 1.0 if normalise(field) in ANYTHING else 0.6
    if match := _in_page(page, aliases, trust):
        return match
    if found := _named(title, aliases):
        return Match(found[0], title, "page", round(0.3 * trust, 2), title)
    return None


def normalise(text: str) -> str:
    """Return the words of a text in lower case, without markup and punctuation."""
    text = re.sub(r"\]\([^)]*\)", " ", text).replace("@", " at ").replace("²", "2").replace("^2", "2")
    return " ".join(re.findall(r"[a-z0-9]+", text.lower()))


def _in_page(page: str, aliases: Mapping[str, Sequence[str]], trust: float) -> Match | None:
    """Prefer the first sentence that speaks of scoring; a second, different metric there makes it less sure."""
    sentences = [(sentence, found) for sentence in _sentences(page) if (found := _named(sentence, aliases))]
    scoring = [pair for pair in sentences if SCORING_WORDS.search(pair[0])]
    for pairs, confidence in ((scoring, 0.9), (sentences, 0.6)):
        if pairs:
            sentence, (metric, _) = pairs[0]
            certainty = confidence if len({found[0] for _, found in pairs}) == 1 else confidence - 0.15
            return Match(metric, sentence, "page", round(certainty * trust, 2), sentence)
    return None


def _named(text: str, aliases: Mapping[str, Sequence[str]]) -> tuple[str, str] | None:
    """Return the metric with the longest phrase in the text, and that phrase."""
    words = f" {normalise(text)} "
    found = [
        (len(phrase), metric, phrase)
        for metric, phrases in aliases.items()
        for phrase in phrases
        if f" {phrase} " in words
    ]
    if not found:
        return None
    longest = max(length for length, _, _ in found)
    metric, phrase = next((metric, phrase) for length, metric, phrase in found if length == longest)
    refined = [to for (base, word), to in REFINEMENTS.items() if base == metric and f" {word} " in words]
    return (refined[0] if refined else metric), phrase


def _sentences(page: str) -> Iterator[str]:
    without_code = re.sub(r"```.*?```", " ", page, flags=re.DOTALL)
    for sentence in re.split(r"(?<=[.!?:])\s+|\n\s*\n|\n(?=[#*-])", without_code):
        text = " ".join(re.sub(r"[*_`#]+", " ", sentence).split())
        if text:
            yield text[:LONGEST_EVIDENCE]


def _split_camel_case(text: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text)
