"""Text as features; this file takes codes, names and tickets apart, and counts what recurs.

It works on the different values of a column rather than on its rows, so that long tables stay quick. Free text gets
lengths and counts only: its words need a model of their own.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

SEPARATOR = re.compile(r"[\W_]+")
LEADING_LETTERS = re.compile(r"[^\W\d_]+")
TRAILING_NUMBER = re.compile(r"(\d{1,15})\D*$")
# One number, with a unit or a currency: "-0.5 kg", "$1,234.00", "3,5 %". A dash behind a letter is no minus. What is
# read up to it is not given back ("*+"), which in long texts would take most of the time.
AMOUNT = re.compile(r"[^\d-]*+((?<![^\W\d_])-?)(?:(\d{1,3}(?:,\d{3})+)|(\d{1,15}))(?:[.,](\d{1,15}))?\D*+")
TITLE = re.compile(r"([^\W\d_]+)\.(?:\s|$)")
MOST_PARTS = 8
NEARLY_ALL = 0.98
MOSTLY = 0.8
# With more different values than this share of the rows, a part names a group (a family, an order) rather than a kind.
NEARLY_UNIQUE_SHARE = 0.2

Word = str | None


def _part(value: str, position: int) -> Word:
    words = SEPARATOR.split(value.strip())
    return words[position] if position < len(words) else None


def _leading_letters(value: str, _: int) -> Word:
    found = LEADING_LETTERS.match(value)
    return found.group() if found else None


def _trailing_number(value: str, _: int) -> Word:
    found = TRAILING_NUMBER.search(value)
    return found.group(1) if found else None


def _amount(value: str, _: int) -> Word:
    found = AMOUNT.fullmatch(value)
    if not found:
        return None
    sign, thousands, whole, decimals = found.groups(default="")
    return f"{sign}{thousands.replace(',', '') or whole}.{decimals or 0}"


def _title(value: str, _: int) -> Word:
    found = TITLE.search(value)
    return found.group(1) if found else None


def _surname(value: str, _: int) -> Word:
    before, comma, _after = value.partition(",")
    return before.strip() if comma else None


READERS: dict[str, Callable[[str, int], Word]] = {
    "part": _part,
    "leading letters": _leading_letters,
    "trailing number": _trailing_number,
    "amount": _amount,
    "title": _title,
    "surname": _surname,
    "length": lambda value, _: str(len(value)),
    "words": lambda value, _: str(len(value.split())),
    "whole": lambda value, _: value,
}


@dataclass(frozen=True)
class Piece:
    """One thing read from a value, used as number, category, key, or count (of rows that share it)."""

    reader: str
    use: str
    position: int = 0
    counts: dict[str, int] | None = None

    @property
    def label(self) -> str:
        what = f"{self.reader} {self.position + 1}" if self.reader == "part" else self.reader
        return f"rows with same {what}" if self.use == "count" else what

    def read(self, value: str) -> Word | float:
        """Read one value; a value never seen before occurs once."""
        word = READERS[self.reader](value, self.position)
        if self.use == "count":
            return float((self.counts or {}).get(word, 1)) if word is not None else np.nan
        return to_number(word) if self.use == "number" else word


@dataclass(frozen=True)
class TextParts:
    """One column of text and what is read from it, each under ``name: label``."""

    name: str
    pieces: tuple[Piece, ...]

    @classmethod
    def fit(cls, name: str, column: pd.Series, is_id: bool, most_levels: int) -> TextParts:
        """Choose what to read. Of an id only its parts say anything, never the whole."""
        codes, values = _factorize(column)
        weights = np.bincount(codes[codes >= 0], minlength=len(values))
        learn = _Choice(values, weights, len(column), most_levels)
        width = learn.constant_width()
        pieces = [piece for position in range(width) for piece in learn.part(position, is_id)]
        if not is_id:
            pieces += [] if width else learn.loose_pieces()
            pieces += learn.amount()
            pieces += [learn.count("whole"), Piece("whole", "key")]
        return cls(name, tuple(pieces))

    def __call__(self, column: pd.Series) -> dict[str, pd.Series]:
        codes, values = _factorize(column)
        found = {}
        for piece in self.pieces:
            told = [piece.read(value) for value in values]
            if piece.use in ("number", "count"):
                series = pd.Series(np.array([*told, np.nan], dtype=np.float64)[codes])
            else:
                series = pd.Series(np.array([*told, None], dtype=object)[codes], dtype="str")
            found[f"{self.name}: {piece.label}"] = series.astype("category") if piece.use == "category" else series
        return found


class _Choice:
    """Decides what to read from a column, from its different values and how often each occurs."""

    def __init__(self, values: Sequence[str], weights: np.ndarray, rows: int, most_levels: int) -> None:
        self.values, self.weights, self.rows, self.most_levels = values, weights, rows, most_levels

    def constant_width(self) -> int:
        """Return the number of parts that all values have, 0 when it varies or is one."""
        widths = Counter[int]()
        for value, weight in zip(self.values, self.weights, strict=True):
            widths[len(SEPARATOR.split(value.strip()))] += int(weight)
        width, rows = widths.most_common(1)[0] if widths else (0, 0)
        return width if 2 <= width <= MOST_PARTS and rows >= NEARLY_ALL * widths.total() else 0

    def part(self, position: int, is_id: bool) -> list[Piece]:
        words = self._words("part", position)
        levels = len(set(words))
        if levels < 2:
            return []
        grouping = levels > NEARLY_UNIQUE_SHARE * self.rows
        pieces = [self.count("part", position)] if grouping else []
        if not (grouping and is_id):
            pieces.append(Piece("part", self._use(words, levels), position))
        return pieces

    def loose_pieces(self) -> list[Piece]:
        """Return what can be read from values of no common form."""
        pieces = []
        for reader, use in (
            ("leading letters", "category"),
            ("title", "category"),
            ("trailing number", "number"),
            ("length", "number"),
            ("words", "number"),
        ):
            words = self._words(reader)
            told = [word for word in words if word is not None]
            levels = len(set(words))
            needed = MOSTLY * len(words) if reader == "title" else 1
            if levels > 1 and len(told) >= needed and (use == "number" or levels <= self.most_levels):
                pieces.append(Piece(reader, use))
        if sum(word is not None for word in self._words("surname")) >= MOSTLY * len(self.values):
            pieces += [self.count("surname"), Piece("surname", "key")]
        return pieces

    def amount(self) -> list[Piece]:
        """Return what reads the number of values with a unit, where their last digits do not say the same."""
        amounts = [to_number(word) for word in self._words("amount")]
        is_known = ~np.isnan(amounts)
        if not is_known.any() or is_known @ self.weights < NEARLY_ALL * self.weights.sum():
            return []
        last = [to_number(word) for word in self._words("trailing number")]
        return [] if np.array_equal(amounts, last, equal_nan=True) else [Piece("amount", "number")]

    def count(self, reader: str, position: int = 0) -> Piece:
        """Return a piece that counts the rows which share what ``reader`` reads."""
        tally = Counter[str]()
        for word, weight in zip(self._words(reader, position), self.weights, strict=True):
            if word is not None:
                tally[word] += int(weight)
        return Piece(reader, "count", position, {word: rows for word, rows in tally.items() if rows > 1})

    def _words(self, reader: str, position: int = 0) -> list[Word]:
        return [READERS[reader](value, position) for value in self.values]

    def _use(self, words: Sequence[Word], levels: int) -> str:
        told = [word for word in words if word]
        if sum(not np.isnan(to_number(word)) for word in told) >= NEARLY_ALL * len(told):
            return "number"
        return "category" if levels <= self.most_levels else "key"


def to_number(word: Word) -> float:
    """Return the number that a word spells, NaN when it spells none."""
    try:
        return float(word) if word is not None else np.nan
    except ValueError:
        return np.nan


def _factorize(column: pd.Series) -> tuple[np.ndarray, list[str]]:
    """Return for each row the position of its value among the different values (-1 when missing), and these."""
    codes, values = pd.factorize(column.astype("str"))
    return codes, np.asarray(values, dtype=object).tolist()
