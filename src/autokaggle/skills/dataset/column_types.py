"""Text becomes typed columns; this file chooses one of four types from sample values and writes the SQL that casts.

The cast is strict: a value that does not fit makes the statement fail with ``MISFIT`` instead of being rounded or
lost, so that a type chosen from a sample never damages a row that the sample did not show.
"""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

TypeName = Literal["BIGINT", "DOUBLE", "TIMESTAMP", "VARCHAR"]

MISFIT = "a value does not fit its column"
MISSING_TEXTS = ("", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "NULL", "null", "?", "\\N")
# In a column of numbers or dates these cannot be values either.
MISSING_NUMBERS = (*MISSING_TEXTS, "NAN", "na", "None", "none", "Null", "NaT", "-", "--", ".", "inf", "-inf", "Inf")

INTEGER = "(?:0|-?[1-9][0-9]{0,17})"
DECIMAL = r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?"
ISO_TIME = r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[ T][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?Z?)?"
_INTEGER, _DECIMAL, _ISO_TIME = re.compile(INTEGER), re.compile(DECIMAL), re.compile(ISO_TIME)
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
    very text that it came from. ``odd`` are texts that stand for missing in this one column.
    """

    name: TypeName
    format: str | None = None
    decimal_comma: bool = False
    trim: bool = False
    exact: bool = False
    odd: tuple[str, ...] = ()

    def expression(self, raw: str) -> str:
        """Return the SQL that casts the VARCHAR expression ``raw``, failing with ``MISFIT``."""
        if self.name == "VARCHAR":
            return raw if self.exact else f"CASE WHEN {_is_one_of(raw, MISSING_TEXTS)} THEN NULL ELSE {raw} END"
        value, fits = self._value(raw)
        return (
            f"CASE WHEN {fits} THEN {value} WHEN {raw} IS NULL OR {self._is_missing(raw)} THEN NULL "
            f"ELSE error('{MISFIT}') END"
        )

    def misfits(self, raw: str) -> str:
        """Return the SQL aggregate that counts the values which ``expression`` would fail on."""
        if self.name == "VARCHAR":
            return "0"
        _, fits = self._value(raw)
        known = f"{raw} IS NOT NULL AND NOT {self._is_missing(raw)}"
        return f"count(*) FILTER (WHERE {known} AND NOT coalesce({fits}, false))"

    def _is_missing(self, raw: str) -> str:
        return _is_one_of(raw, ("",) if self.exact else (*MISSING_NUMBERS, *self.odd))

    def _value(self, raw: str) -> tuple[str, str]:
        text = f"trim({raw})" if self.trim else raw
        if self.name == "BIGINT":
            return f"TRY_CAST({text} AS BIGINT)", f"regexp_full_match({text}, '{INTEGER}')"
        if self.name == "DOUBLE":
            text = f"replace({text}, ',', '.')" if self.decimal_comma else text
            value = f"TRY_CAST({text} AS DOUBLE)"
            return value, f"{value} IS NOT NULL AND NOT contains({text}, '_')"
        value = f"try_strptime({text}, '{self.format}')" if self.format else f"TRY_CAST({text} AS TIMESTAMP)"
        return value, f"CAST({value} AS VARCHAR) = {raw}" if self.exact else f"{value} IS NOT NULL"


def infer(values: Iterable[str | None], *, exact: bool = False) -> ColumnType:
    """Choose the type that fits all sample values; VARCHAR when none does or nothing is there."""
    counts = Counter(value for value in values if value is not None)
    if exact:
        return _exact_type([value for value in counts if value])
    known = [value for value in counts if value not in MISSING_NUMBERS]
    if not known:
        return ColumnType("VARCHAR")
    trimmed = [value.strip() for value in known]
    chosen = _plain_type(trimmed)
    if chosen.name == "VARCHAR":
        chosen = _type_without_odd_texts(counts) or chosen
    return replace(chosen, trim=trimmed != known) if chosen.name != "VARCHAR" else chosen


def is_number(text: str) -> bool:
    """Tell whether a text is a finite number."""
    return bool(_DECIMAL.fullmatch(text.strip()))


def widen(kind: ColumnType) -> ColumnType:
    """Return the next wider type for a column whose values did not all fit."""
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
    words = [value for value in counts if value not in MISSING_NUMBERS and not re.search(r"[0-9]", value)]
    if not words or len(words) > ODD_TEXTS or sum(counts[word] for word in words) > ODD_SHARE * counts.total():
        return None
    rest = [value.strip() for value in counts if value not in MISSING_NUMBERS and value not in words]
    chosen = _plain_type(rest) if rest else ColumnType("VARCHAR")
    return replace(chosen, odd=tuple(words)) if chosen.name in ("BIGINT", "DOUBLE") else None


def _is_one_of(raw: str, texts: Iterable[str]) -> str:
    quoted = ", ".join("'" + text.replace("'", "''") + "'" for text in texts)
    return f"{raw} IN ({quoted})"
