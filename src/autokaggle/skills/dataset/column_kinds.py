"""What each column means; this file names the kind of every column and sums up its values.

Kinds are guesses about meaning, types are facts about storage: the whole number 3 may be an amount, a grade or a code.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from autokaggle.records.data_profile import ColumnKind, ColumnProfile
from autokaggle.skills.dataset.column_facts import NUMBERS, Facts
from autokaggle.skills.dataset.column_types import TypeName
from autokaggle.skills.dataset.drift import column_drift
from autokaggle.skills.dataset.personal_data import mask_value, scan_column

MOST_GRADES = 20
TOP_VALUES = 10
LONGEST_TOP_VALUE = 80
NEAR_UNIQUE = 0.5
FEWEST_DIGITS = 8
WORDS_OF_TEXT = 5
SIGNS_OF_TEXT = 50
FILE_NAME = re.compile(
    r"[^\n]*\.(jpe?g|png|tiff?|bmp|gif|webp|dcm|wav|mp3|flac|ogg|txt|csv|parquet|json|npy|pdf)", re.I
)
CODE_NAME = re.compile(r"(^|[_\W])(id|code|zip|zipcode|postcode|key)$|(Id|ID|Code)$")
SENTINELS = (-9999.0, -999.0, -99.0, -1.0, 999.0, 9999.0, 99999.0, 999999.0)
SENTINEL_SHARE = 0.005
SCALES = (
    ("none", "low", "medium", "moderate", "high", "very high", "extreme"),
    ("very low", "low", "medium", "high", "very high"),
    ("po", "fa", "ta", "gd", "ex"),
    ("poor", "fair", "average", "good", "very good", "excellent"),
    ("bad", "ok", "good", "great"),
    ("never", "rarely", "sometimes", "often", "frequently", "usually", "always"),
    ("no", "sometimes", "frequently", "always"),
    ("small", "medium", "large", "extra large", "xlarge"),
    ("xs", "s", "m", "l", "xl", "xxl", "xxxl"),
    ("primary school", "high school", "graduate", "masters", "phd"),
    ("strongly disagree", "disagree", "neutral", "agree", "strongly agree"),
    ("cold", "cool", "warm", "hot"),
)


@dataclass(frozen=True)
class Guessed:
    """A column's kind, how surely, and why."""

    kind: ColumnKind
    confidence: float
    evidence: str


def profile_columns(
    train: Mapping[str, Facts],
    test: Mapping[str, Facts],
    *,
    ids: Collection[str],
    targets: Mapping[str, ColumnKind],
    duplicates: Mapping[str, str],
    disguised: Mapping[str, Sequence[str]],
    personal: Mapping[str, tuple[str, ...]],
) -> list[ColumnProfile]:
    """Profile every column of train and test, train's order first.

    ``targets`` gives the kind of each target, ``duplicates`` maps a column to the one that it copies, ``disguised``
    the texts that were read as missing, and ``personal`` the kinds of personal data in a column, whose values are
    masked or left out.
    """
    names = [*train, *(name for name in test if name not in train)]
    profiles: list[ColumnProfile] = []
    for name in names:
        facts, other = train.get(name), test.get(name)
        known = facts or other
        assert known is not None
        guessed = _fixed_kind(name, known, ids, targets, duplicates) or guess_kind(name, known)
        profile = ColumnProfile(
            name=name,
            kind=guessed.kind,
            type=known.type,
            confidence=guessed.confidence,
            evidence=guessed.evidence,
            missing=_share(facts.missing) if facts else None,
            missing_test=_share(other.missing) if other else None,
            distinct=known.distinct,
            distinct_is_exact=known.distinct_is_exact,
            low=known.low,
            high=known.high,
            mean=known.mean,
            deviation=known.deviation,
            top=top_values(known),
            disguised_missing=(*disguised.get(name, ()), *_sentinels(known)),
            duplicate_of=duplicates.get(name),
            in_train=facts is not None,
            in_test=other is not None,
            drift=column_drift(facts, other) if facts and other and name not in (*ids, *targets) else None,
        )
        profiles.append(_without_values(profile, kinds) if (kinds := personal.get(name)) else profile)
    return profiles


def _without_values(profile: ColumnProfile, kinds: tuple[str, ...]) -> ColumnProfile:
    """Return the profile of a column with personal data of these kinds, whose values nobody is told."""
    is_counted = profile.kind in ("number", "ordinal")
    return msgspec.structs.replace(
        profile,
        kind="code" if is_counted else profile.kind,
        confidence=0.9 if is_counted else profile.confidence,
        evidence=f"personal data: {', '.join(kinds)}",
        low=None,
        high=None,
        mean=None,
        deviation=None,
        top=_masked(profile.top, kinds),
        personal=kinds,
    )


def find_personal_columns(train: Mapping[str, Facts], test: Mapping[str, Facts]) -> dict[str, tuple[str, ...]]:
    """Map the columns that hold personal data to its kinds."""
    found: dict[str, tuple[str, ...]] = {}
    for name in (*train, *test):
        if name not in found and (kinds := scan_column(name, *_as_text(train.get(name) or test[name]))):
            found[name] = kinds
    return found


def find_personal_cells(
    sample: Mapping[str, Sequence[str | None]], types: Mapping[str, TypeName]
) -> dict[str, tuple[str, ...]]:
    """Map the columns that hold personal data to its kinds, by the first rows of a table as they are written."""
    found: dict[str, tuple[str, ...]] = {}
    for name, cells in sample.items():
        values = [cell for cell in dict.fromkeys(cells) if cell]
        if types[name] in NUMBERS:
            values = [value.removesuffix(".0") for value in values]
            is_long = any(value.isdecimal() and len(value) > FEWEST_DIGITS for value in values)
            values = values if is_long else []
        if kinds := scan_column(name, values, types[name] == "VARCHAR" and _is_prose(values)):
            found[name] = kinds
    return found


def guess_kind(name: str, facts: Facts) -> Guessed:
    """Name the kind of an ordinary column from its values; its name only helps where values leave it open."""
    if not facts.known:
        return Guessed("constant", 1.0, "no value in any row")
    if facts.distinct == 1 and facts.known == facts.rows:
        return Guessed("constant", 1.0, "one value in all rows")
    if facts.type == "TIMESTAMP":
        return Guessed("datetime", 0.99, f"dates from {facts.low} to {facts.high}")
    if facts.distinct == 1:
        return Guessed("category", 0.8, "one value, or none")
    return _of_text(facts) if facts.type == "VARCHAR" else _of_numbers(name, facts)


def top_values(facts: Facts) -> tuple[tuple[str, float], ...]:
    """Return the commonest values with their share of the sampled rows; nothing when no value repeats."""
    if facts.type == "TIMESTAMP":
        return ()
    repeated = [item for item in facts.counts.items() if item[1] > 1]
    commonest = heapq.nsmallest(TOP_VALUES, repeated, key=lambda item: (-item[1], item[0]))
    return tuple((_shown(value), _share(count / facts.sampled)) for value, count in commonest)


def _as_text(facts: Facts) -> tuple[list[str], bool]:
    """Return the column's different values as they are written, and whether they are prose."""
    if facts.type == "VARCHAR":
        values = list(facts.counts)
        return values, _is_prose(values)
    if facts.type == "TIMESTAMP":
        return [text for text in (facts.low, facts.high) if text], False
    # Shorter numbers are no cards, phones or accounts.
    is_long = facts.type == "BIGINT" and (facts.largest or 0) >= 10**FEWEST_DIGITS
    return [str(int(value)) for value in facts.counts] if is_long else [], False


def _is_prose(values: Sequence[str]) -> bool:
    return sum(map(len, values[:100])) > SIGNS_OF_TEXT * len(values[:100])


def _fixed_kind(
    name: str,
    facts: Facts,
    ids: Collection[str],
    targets: Mapping[str, ColumnKind],
    duplicates: Mapping[str, str],
) -> Guessed | None:
    if name in targets:
        return Guessed(targets[name], 1.0, "a target")
    if name in ids:
        if facts.type == "TIMESTAMP":
            return Guessed("datetime", 0.99, "names the row, and is a time")
        if FILE_NAME.fullmatch(next(iter(facts.texts), None) or ""):
            return Guessed("path", 0.95, "names the row, and is a file's name")
        return Guessed("id", 0.99, "names the row")
    if name in duplicates and facts.distinct > 1:
        return Guessed("duplicate", 1.0, f"equals {duplicates[name]!r} in every row")
    return None


def _of_numbers(name: str, facts: Facts) -> Guessed:
    values = facts.numbers[np.isfinite(facts.numbers)]
    whole = bool(np.all(values == np.round(values)))
    if facts.distinct == 2:
        return Guessed("category", 0.8, f"two values, {facts.low} and {facts.high}")
    if whole and facts.distinct_is_exact and facts.distinct == facts.rows and _is_steady(values):
        return Guessed("id", 0.7, "whole numbers, each once, in order")
    if whole and facts.distinct <= MOST_GRADES and values.size and np.ptp(values) <= 2 * MOST_GRADES:
        return Guessed("ordinal", 0.6, f"{facts.distinct} whole numbers from {facts.low} to {facts.high}")
    if whole and CODE_NAME.search(name):
        return Guessed("category", 0.5, "whole numbers under the name of a code")
    return Guessed("number", 0.9 if facts.distinct > 2 * MOST_GRADES else 0.7, f"{facts.distinct} numbers")


def _is_steady(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> bool:
    steps = np.diff(values)
    return bool(values.size > MOST_GRADES and np.all(steps == 1))


def _of_text(facts: Facts) -> Guessed:
    values = list(facts.counts)[:2000]
    uniqueness = len(facts.counts) / facts.counts.total()
    if sum(bool(FILE_NAME.fullmatch(value)) for value in values) > 0.95 * len(values):
        return Guessed("path", 0.95, "names of files")
    words = sum(len(value.split()) for value in values) / len(values)
    signs = sum(map(len, values)) / len(values)
    is_prose = words >= WORDS_OF_TEXT or (signs >= SIGNS_OF_TEXT and words >= 3)
    if is_prose and len(facts.counts) > MOST_GRADES:
        return Guessed("text", min(0.95, 0.5 + words / 30), f"{words:.0f} words on average")
    if uniqueness > NEAR_UNIQUE and len(facts.counts) > MOST_GRADES:
        return Guessed("code", 0.5 + uniqueness / 2.5, f"{uniqueness:.0%} of its values differ")
    if _is_scale(values):
        return Guessed("ordinal", 0.8, "its values are the steps of a scale")
    return Guessed("category", 0.9, f"{facts.distinct} values that repeat")


def _is_scale(values: Sequence[str]) -> bool:
    folded = {value.strip().casefold().replace("_", " ") for value in values}
    return len(folded) > 2 and any(folded <= set(scale) for scale in SCALES)


def _sentinels(facts: Facts) -> tuple[str, ...]:
    """Find numbers that stand for missing: well-known, repeated, and far from all other values."""
    if facts.type not in ("BIGINT", "DOUBLE") or facts.distinct <= MOST_GRADES:
        return ()
    found = []
    for sentinel in SENTINELS:
        share = facts.counts.get(sentinel, 0) / max(1, facts.counts.total())
        if share < SENTINEL_SHARE:
            continue
        rest = np.array([value for value in facts.counts if value != sentinel and np.isfinite(value)])
        low, high = float(rest.min()), float(rest.max())
        gap = low - sentinel if sentinel < low else sentinel - high
        if (sentinel < 0 <= low) or (abs(sentinel) > 1 and gap > 0.5 * (high - low)):
            found.append(f"{sentinel:.0f}")
    return tuple(found)


def _masked(top: tuple[tuple[str, float], ...], kinds: tuple[str, ...]) -> tuple[tuple[str, float], ...]:
    """Values that look alike when masked count together."""
    shares: dict[str, float] = {}
    for text, share in top:
        masked = mask_value(text, kinds)
        shares[masked] = shares.get(masked, 0.0) + share
    return tuple((text, _share(share)) for text, share in shares.items())


def _share(value: float) -> float:
    return round(value, 6)


def _shown(value: object) -> str:
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    text = str(value)
    return text if len(text) <= LONGEST_TOP_VALUE else text[: LONGEST_TOP_VALUE - 1] + "…"
