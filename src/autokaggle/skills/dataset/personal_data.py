"""Personal data in text; this file finds and masks emails, phones, cards, accounts, national ids, addresses, names.

A shape alone proves little: where a number carries check digits they must be right, unless the column's own name
says what it holds. Invented data often fail their check digits, and must be masked all the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from autokaggle.skills.dataset.personal_rules import HINTS, RULES

MOST_VALUES = 1000
# Of a longer text its beginning and its end are looked at, where letters name whom they are from and to.
LONGEST_LOOKED_AT = 2000
# Share of a column's values that must hold personal data; in prose, a few rows are enough to be careful.
COLUMN_SHARE = 0.3
PROSE_SHARE, PROSE_VALUES = 0.005, 3
HINTED_SHARE = 0.5


_NAME_WORDS = re.compile(r"\b(name|full ?name|first ?name|last ?name|surname|family name|given name|maiden name)\b")
_PART_OF_NAME = re.compile(r"\b(first|last|sur|family|given|maiden) ?name\b|\bsurname\b")
_OTHER_NAME = re.compile(
    r"\b(file|product|item|brand|company|city|country|state|store|model|team|column|user|event|class) ?name\b"
)
_PERSON = re.compile(r"[A-ZÀ-Þ][^\W\d_]*(?:[ ,.'()\"/-]+[^\W\d_]+)*[.)\"]*")


@dataclass(frozen=True)
class Finding:
    """One piece of personal data: ``text[start:end]`` is of this kind."""

    kind: str
    start: int
    end: int


def find_personal(text: str) -> list[Finding]:
    """Find what is personal in one string, without overlaps, in order."""
    found: list[Finding] = []
    for kind, pattern, is_right in RULES:
        for match in pattern.finditer(text):
            start, end = match.span()
            if all(end <= other.start or start >= other.end for other in found) and is_right(match.group()):
                found.append(Finding(kind, start, end))
    return sorted(found, key=lambda finding: finding.start)


def mask(text: str) -> str:
    """Replace every piece of personal data by its kind: ``write to <email>``."""
    return replace(text, find_personal(text))


def replace(text: str, findings: Iterable[Finding]) -> str:
    """Replace what was found by its kind; where findings overlap, all of them by the kind of the longest."""
    joined: list[Finding] = []
    longest = 0
    for one in sorted(findings, key=lambda finding: (finding.start, -finding.end)):
        if joined and one.start < joined[-1].end:
            last = joined.pop()
            kind = one.kind if one.end - one.start > longest else last.kind
            joined.append(Finding(kind, last.start, max(last.end, one.end)))
            longest = max(longest, one.end - one.start)
        else:
            joined.append(one)
            longest = one.end - one.start
    for finding in reversed(joined):
        text = f"{text[: finding.start]}<{finding.kind}>{text[finding.end :]}"
    return text


def mask_value(text: str, kinds: Sequence[str]) -> str:
    """Mask a value of a column that holds these kinds: the pieces of prose, or all of it when no piece stands out."""
    found = find_personal(text)
    if not found or (found[0].start, found[-1].end) == (0, len(text)):
        return f"<{kinds[0]}>"
    return mask(text)


def scan_column(name: str, values: Sequence[str], is_prose: bool = False) -> tuple[str, ...]:
    """Return the kinds of personal data in a column, judged by its name and by up to 1000 of its distinct values."""
    step = max(1, len(values) // MOST_VALUES)
    sample = values[::step]
    if not sample:
        return ()
    kinds = [
        kind
        for kind, words, shape in HINTS
        if words.search(_spaced(name)) and sum(map(bool, map(shape.fullmatch, sample))) >= HINTED_SHARE * len(sample)
    ]
    counts: dict[str, int] = {}
    for value in sample:
        for kind in {finding.kind for part in _parts(value) for finding in find_personal(part)}:
            counts[kind] = counts.get(kind, 0) + 1
    for kind, count in counts.items():
        if count >= COLUMN_SHARE * len(sample) or (is_prose and count >= max(PROSE_VALUES, PROSE_SHARE * len(sample))):
            kinds.append(kind)
    if _is_name_column(name, sample):
        kinds.append("name")
    return tuple(dict.fromkeys(kinds))


def _parts(value: str) -> tuple[str, ...]:
    half = LONGEST_LOOKED_AT // 2
    return (value,) if len(value) <= LONGEST_LOOKED_AT else (value[:half], value[-half:])


def _spaced(name: str) -> str:
    """``DateOfBirth`` and ``date_of_birth`` read ``date of birth``."""
    return re.sub(r"[\W_]+", " ", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)).strip().lower()


def _is_name_column(name: str, sample: Sequence[str]) -> bool:
    words = _spaced(name)
    if not _NAME_WORDS.search(words) or _OTHER_NAME.search(words):
        return False
    fewest = 1 if _PART_OF_NAME.search(words) else 2
    people = sum(bool(_PERSON.fullmatch(value)) and len(value.split()) >= fewest for value in sample)
    return people >= 0.8 * len(sample) and len(sample) > 1
