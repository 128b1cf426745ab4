"""Values of personal columns in free text; this file finds again what a program may have said of its data.

The shape of a name proves nothing, so the tables are asked which of their values stand in the text. A program spells a
value in its own way: with line breaks escaped, in small letters, a time as its day.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from autokaggle.records.data_profile import DataProfile
from autokaggle.skills.dataset.personal_data import Finding, find_personal, replace
from autokaggle.storage.parquet_tables import column_types, open_reader, quote_identifier, quote_text

# Of a longer line its beginning is read. A value that goes on behind it is not known: what may begin one is left out.
LONGEST_LINE = 1_000
LONGEST_VALUE = 500
SHORTEST = 3
# Such a word of a name is one of a language too ("to"): it counts as it is written in the table alone.
SHORTEST_WORD = 2
# Names of nobody's are so long; values may be printed with nothing between them.
STANDS_ALONE = 12
PIECE = 8
LETTER = r"[^\W\d_]"
EDGE, END = rf"(?:(?<!{LETTER})|(?<=\\[nrt]))", rf"(?!{LETTER})"
# Each repr escapes once more.
GAP = r"(?:\s|\\{1,4}(?:[nrt]|xa0))+"
SIGNS = {" ": GAP, "'": r"\\{0,4}'", '"': r'\\{0,4}"'}
# As DuckDB writes them.
SQL_GAP = r"(?:[\s\pZ]|\\{1,4}(?:[nrt]|xa0))+"
BETWEEN_WORDS = r"[^\pL]+"
ESCAPED_QUOTE = r"""\\{1,4}(['"])"""
DAYS = ("%Y-%m-%d", "%Y, %-m, %-d")


def personal_columns(profile: DataProfile) -> dict[str, tuple[str, ...]]:
    """Map the names of all columns that hold personal data, of whichever table, to its kinds."""
    found = {column.name: column.personal for column in profile.columns if column.personal}
    for file in profile.files:
        for name, kinds in file.personal.items():
            found[name] = tuple(dict.fromkeys((*found.get(name, ()), *kinds)))
    return found


def mask_values(texts: Sequence[str], tables: Iterable[Path], columns: Mapping[str, Sequence[str]]) -> list[str]:
    """Replace what is personal in ``texts`` by its kind: what looks it, and what stands in a personal column.

    ``columns`` maps their names to kinds. A value counts in capital and small letters,
    with any white space; of a person's name each word does. Each column is read once, however many the texts are.
    Of a line of 1,000 characters and more the first 500 are told.

    Raises:
        duckdb.Error: a table cannot be read.
    """
    texts = [re.sub(rf"(?m)^(.{{{LONGEST_LINE}}}).+", r"\1", text) for text in texts]
    said = _plain("\n".join(dict.fromkeys(texts)))
    kinds: dict[str, str] = {}
    for table in tables if columns and said else ():
        types = column_types(table)
        for name in columns.keys() & types.keys():
            for value in _found(said, table, name, types[name], by_word="name" in columns[name]):
                kinds.setdefault(value, columns[name][0])
    known = _pattern(kinds) if kinds else None
    masked: list[str] = []
    for text in texts:
        found = find_personal(text)
        for line in re.finditer(rf"(?m)^.{{{LONGEST_LINE}}}", text):
            found.append(Finding("left out", line.end() - LONGEST_VALUE, line.end()))
        for match in known.finditer(text) if known else ():
            value = _plain(match.group())
            kind = kinds.get(value) or kinds.get(value.lower(), "personal")
            found.append(Finding(kind, *match.span()))
        masked.append(replace(text, found))
    return masked


def _plain(text: str) -> str:
    """Return ``text`` with one blank for each gap between words, and quotes that are not escaped."""
    return re.sub(ESCAPED_QUOTE, r"\1", re.sub(GAP, " ", text))


def _pattern(values: Iterable[str]) -> re.Pattern[str]:
    """Return what finds plain values in text as it is; those of less than three letters in their own case alone."""
    short: list[str] = []
    words: list[str] = []
    whole: list[str] = []
    for value in sorted(values, key=lambda value: (-len(value), value)):
        some = short if len(value) < SHORTEST else whole if " " in value or len(value) >= STANDS_ALONE else words
        some.append("".join(SIGNS.get(sign) or re.escape(sign) for sign in value))
    never = "(?!)"
    edged = "|".join([rf"(?i:{'|'.join(words or [never])})", *short])
    return re.compile(rf"(?i:{'|'.join(whole or [never])})|{EDGE}(?:{edged}){END}")


def _found(said: str, table: Path, column: str, type_name: str, *, by_word: bool) -> list[str]:
    """Return the column's values that stand in the plain text, and with ``by_word`` their words that do.

    They come in small letters, but for words that are too short to be told from others so. A long text is not searched
    for every value, but for those alone whose beginning is a piece of it.
    """
    low = said.lower()
    pieces = {low[start : start + size] for size in range(SHORTEST, PIECE + 1) for start in range(len(low))}
    spoken = {word if len(word) < SHORTEST else word.lower() for word in re.findall(rf"{LETTER}+", said)}
    values = f"SELECT DISTINCT {_spelled(column, type_name)} AS value FROM read_parquet({quote_text(str(table))})"
    near = f"SELECT lower(value) AS value FROM spelled WHERE left(lower(value), {PIECE}) IN (SELECT unnest($pieces))"
    words = f"SELECT DISTINCT unnest(regexp_split_to_array(value, {quote_text(BETWEEN_WORDS)})) AS word FROM spelled"
    cased = f"SELECT if(length(word) < {SHORTEST}, word, lower(word)) AS word FROM words"
    asked = f"SELECT value FROM near WHERE length(value) >= {SHORTEST} AND contains($low, value)"
    sources = f"spelled AS MATERIALIZED ({values}), near AS MATERIALIZED ({near})"
    known: dict[str, object] = {"low": low, "pieces": list(pieces)}
    if by_word:
        sources += f", words AS ({words}), cased AS ({cased})"
        asked += f" UNION SELECT word FROM cased WHERE length(word) >= {SHORTEST_WORD}"
        asked += " AND word IN (SELECT unnest($spoken))"
        known["spoken"] = list(spoken)
    with open_reader() as connection:
        found = connection.execute(f"WITH {sources} {asked}", known).fetchall()
    return [str(row[0]) for row in found]


def _spelled(column: str, type_name: str) -> str:
    """Return the SQL of a value as plain text, of the shortest spelling: a time's day, a whole number without point."""
    cell = quote_identifier(column)
    if type_name.startswith(("DATE", "TIMESTAMP")):
        return f"unnest([{', '.join(f'strftime({cell}, {quote_text(day)})' for day in DAYS)}])"
    text = f"CAST({cell} AS VARCHAR)"
    if type_name != "VARCHAR":
        return f"regexp_replace({text}, '\\.0$', '')"
    # The last line that a program said may be that of a value.
    lines = f"unnest(list_prepend({text}, string_split({text}, chr(10))))"
    one_blank = f"regexp_replace({lines}, {quote_text(SQL_GAP)}, ' ', 'g')"
    return f"trim(regexp_replace({one_blank}, {quote_text(ESCAPED_QUOTE)}, '\\1', 'g'))"
