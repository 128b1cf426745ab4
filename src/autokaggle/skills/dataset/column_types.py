"""Text becomes typed columns; this file chooses one of four types from sample values and writes the SQL that casts.

The cast is strict: a value that does not fit makes the statement fail instead of being rounded or lost, so that a
type chosen from a sample never damages a row that the sample did not show.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal, cast

TypeName = Literal["BIGINT", "DOUBLE", "TIMESTAMP", "VARCHAR"]

# Whole numbers beyond are rounded by a DOUBLE.
MOST_EXACT = 1 << 53
MISFIT = "a value does not fit its column"
_FAIL = f"error('{MISFIT}')"
MISSING_TEXTS = ("", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "NULL", "null", "?", "\\N")
# In a column of numbers or dates these cannot be values either; MISSING_TEXTS come first.
INFINITIES = ("inf", "-inf", "+inf", "Inf", "-Inf", "INF", "-INF", "Infinity", "-Infinity", "infinity", "-infinity")
MISSING_NUMBERS = (*MISSING_TEXTS, "NAN", "na", "None", "none", "Null", "NaT", "-", "--", ".", *INFINITIES)

_ALL_MISSING = frozenset(MISSING_NUMBERS)

_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,17}")
_DECIMAL = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
# DuckDB takes of a moment with an offset what the clock showed there: days and hours are those of the people at work.
_ISO_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"(?:[ T][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?(?:Z| ?[+-][0-9]{2}(?::?[0-9]{2})?)?)?"
)
_LIKE_TIME = re.compile(r"\d{1,4}[-./ ]\w{1,3}[-./ ]\d{2,4}")
_LEADING_ZERO = re.compile(r"[-+]?0[0-9]+")
_DECIMAL_COMMA = re.compile(r"[-+]?[0-9]+,[0-9]+|[-+]?[0-9]+")
DAYS = ("%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%Y/%m/%d", "%d-%m-%Y", "%m-%d-%Y", "%Y.%m.%d", "%d-%b-%Y", "%d %b %Y")
TIMES = ("", " %H:%M", " %H:%M:%S")
ODD_TEXTS = 3
ODD_SHARE = 0.05


@dataclass(frozen=True)
class ColumnType:
    """A column's type in the parquet table, and how its text is read.

    ``exact`` columns go back to Kaggle: no text of theirs counts as missing, and a typed value must print as the
    very text that it came from. ``missing`` are the texts that stand for missing, beside ``MISSING_TEXTS``; of
    ``numbers_only`` columns, which are DOUBLE, whatever is no finite number does.
    """

    name: TypeName
    format: str | None = None
    decimal_comma: bool = False
    trim: bool = False
    exact: bool = False
    missing: tuple[str, ...] = ()
    numbers_only: bool = False

    def expression(self, raw: str) -> str:
        """Return the SQL that casts the VARCHAR expression ``raw``; it fails on a value that does not fit.

        Kept short: DuckDB plans tables of thousands of columns in seconds only when each expression is small.
        """
        if self.name == "VARCHAR":
            return f"nullif({raw}, '')" if self.exact else raw
        text = self._text(raw)
        if self.numbers_only:
            number = f"TRY_CAST({text} AS {self.name})"
            return f"CASE WHEN isfinite({number}) THEN {number} END"
        if self.exact:
            fits = f"CAST(TRY_CAST({raw} AS {self.name}) AS VARCHAR) = {raw}"
            return (
                f"CASE WHEN {raw} IS NULL OR {raw} = '' THEN NULL WHEN {fits} THEN {self._cast(raw)} ELSE {_FAIL} END"
            )
        if self.name == "BIGINT":
            # A cast to BIGINT alone would round 5.5 and 5e-1 to whole numbers.
            decimal = " OR ".join(f"contains({text}, '{sign}')" for sign in ".eE")
            return f"CASE WHEN {decimal} THEN {_FAIL} ELSE {self._cast(text)} END"
        return self._cast(text)

    @property
    def read_as(self) -> TypeName | None:
        """Return the type as which DuckDB's CSV reader can read the column without loss; None where only text will do.

        The reader rounds 5.5 to a whole number: those are read as DOUBLE, and checked.
        """
        changes_text = self.trim or self.decimal_comma or self.format or self.missing
        if self.name == "VARCHAR" or self.exact or self.numbers_only or changes_text:
            return None
        return "DOUBLE" if self.name == "BIGINT" else self.name

    def expression_over_read(self, column: str) -> str:
        """Return the SQL that makes the value from a column that was read as ``read_as``; it fails on a misfit."""
        if self.read_as is None:
            return self.expression(column)
        if self.name != "BIGINT":
            return column
        loses = f"{column} <> trunc({column}) OR abs({column}) >= {MOST_EXACT}"
        return f"CASE WHEN {loses} THEN {_FAIL} ELSE CAST({column} AS BIGINT) END"

    def misfits(self, raw: str) -> str:
        """Return the SQL aggregate that counts the values which ``expression`` would fail on."""
        if self.name == "VARCHAR" or self.numbers_only:
            return "0"
        text = self._text(raw)
        value = f"try_strptime({text}, '{self.format}')" if self.format else f"TRY_CAST({text} AS {self.name})"
        fits = f"CAST({value} AS VARCHAR) = {text}" if self.exact else f"{value} IS NOT NULL"
        if self.name == "BIGINT" and not self.exact:
            fits = f"regexp_full_match({text}, '[-+]?[0-9]+') AND {fits}"
        return f"count(*) FILTER (WHERE {text} <> '' AND NOT coalesce({fits}, false))"

    def _text(self, raw: str) -> str:
        text = f"trim({raw})" if self.trim else raw
        text = f"replace({text}, ',', '.')" if self.decimal_comma else text
        if not self.missing or self.exact:
            return text
        return f"CASE WHEN {raw} IN ({_quoted(self.missing)}) THEN NULL ELSE {text} END"

    def _cast(self, text: str) -> str:
        return f"strptime({text}, '{self.format}')" if self.format else f"CAST({text} AS {self.name})"


def infer(values: Iterable[str | None], *, exact: bool = False) -> ColumnType:
    """Choose the type that fits all sample values; VARCHAR when none does or nothing is there."""
    found = Counter(values)
    del found[None]
    counts = cast("Counter[str]", found)
    if exact:
        return _exact_type([value for value in counts if value])
    known = [value for value in counts if value not in _ALL_MISSING]
    if not known:
        return ColumnType("VARCHAR")
    trimmed = [value.strip() for value in known]
    chosen = _plain_type(trimmed)
    if chosen.name == "VARCHAR":
        chosen = _type_without_odd_texts(counts) or chosen
    if chosen.name == "VARCHAR":
        return chosen
    seen = tuple(text for text in MISSING_NUMBERS if text in counts and text not in MISSING_TEXTS)
    return replace(chosen, trim=trimmed != known, missing=(*seen, *chosen.missing))


def is_time(text: str) -> bool:
    """Tell whether a text is an ISO date, or a moment with or without an offset."""
    return bool(_ISO_TIME.fullmatch(text))


def stands_for_missing(text: str) -> bool:
    """Tell whether a text among numbers says that there is none."""
    return text.strip() in _ALL_MISSING


def is_number(text: str) -> bool:
    """Tell whether a text is a finite number."""
    return bool(_DECIMAL.fullmatch(text.strip())) and math.isfinite(float(text))


def widen(kind: ColumnType) -> ColumnType:
    """Return the next wider type for a column whose values did not all fit: first more texts count as missing."""
    missing = tuple(dict.fromkeys((*kind.missing, *MISSING_NUMBERS[len(MISSING_TEXTS) :])))
    if kind.missing != missing and not kind.exact:
        return replace(kind, missing=missing)
    if kind.name == "BIGINT" and not kind.exact:
        return replace(kind, name="DOUBLE")
    return ColumnType("VARCHAR", exact=kind.exact)


def _exact_type(known: list[str]) -> ColumnType:
    if known and all(map(_INTEGER.fullmatch, known)):
        return ColumnType("BIGINT", exact=True)
    if known and all(_ISO_TIME.fullmatch(value) and len(value) == 19 and value[10] == " " for value in known):
        return ColumnType("TIMESTAMP", exact=True)
    return ColumnType("VARCHAR", exact=True)


def _plain_type(known: list[str]) -> ColumnType:
    if all(map(_INTEGER.fullmatch, known)):
        return ColumnType("BIGINT")
    if any(map(_LEADING_ZERO.fullmatch, known)):
        return ColumnType("VARCHAR")
    if all(map(_DECIMAL.fullmatch, known)):
        # Whole numbers beyond BIGINT are codes; as DOUBLE they would lose digits.
        return ColumnType("VARCHAR" if all(value.isdigit() for value in known) else "DOUBLE")
    if all(map(_DECIMAL_COMMA.fullmatch, known)):
        return ColumnType("DOUBLE", decimal_comma=True)
    return _time_type(known)


def _time_type(known: list[str]) -> ColumnType:
    if all(map(_ISO_TIME.fullmatch, known)):
        return ColumnType("TIMESTAMP")
    if not _LIKE_TIME.match(known[0]):
        return ColumnType("VARCHAR")
    for pattern in (day + time for day in DAYS for time in TIMES):
        if all(_parses(value, pattern) for value in known):
            return ColumnType("TIMESTAMP", format=pattern)
    return ColumnType("VARCHAR")


def _parses(value: str, pattern: str) -> bool:
    try:
        dt.datetime.strptime(value, pattern)  # noqa: DTZ007 - only the form matters here
    except ValueError:
        return False
    return True


def _type_without_odd_texts(counts: Counter[str]) -> ColumnType | None:
    """Numbers with a few words among them are numbers; the words stand for missing."""
    words = [value for value in counts if value not in _ALL_MISSING and not re.search(r"[0-9]", value)]
    if not words or len(words) > ODD_TEXTS or sum(counts[word] for word in words) > ODD_SHARE * counts.total():
        return None
    rest = [value.strip() for value in counts if value not in _ALL_MISSING and value not in words]
    chosen = _plain_type(rest) if rest else ColumnType("VARCHAR")
    return replace(chosen, missing=tuple(words)) if chosen.name in ("BIGINT", "DOUBLE") else None


def _quoted(texts: Iterable[str]) -> str:
    return ", ".join("'" + text.replace("'", "''") + "'" for text in texts)
