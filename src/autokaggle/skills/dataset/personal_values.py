"""Values of personal columns in free text; this file finds again what a program may have said of its data.

The shape of a name proves nothing, so the tables are asked which of their values stand in the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from autokaggle.skills.dataset.personal_data import mask
from autokaggle.storage.parquet_tables import column_types, open_reader, quote_identifier, quote_text

SHORTEST = 3
LETTER = r"[^\W\d_]"
BETWEEN_WORDS = r"[^\pL]+"  # as DuckDB writes it


def mask_values(text: str, tables: Iterable[Path], columns: Mapping[str, Sequence[str]]) -> str:
    """Replace what is personal in ``text`` by its kind: what looks it, and what stands in a personal column.

    ``columns`` maps their names to kinds (``ColumnProfile.personal``). A value counts in capital and small letters; of
    a person's name each word does.

    Raises:
        duckdb.Error: a table cannot be read.
    """
    text = mask(text)
    kinds: dict[str, str] = {}
    for table in tables if columns else ():
        present = column_types(table)
        for name in columns.keys() & present.keys():
            for value in _found(text.lower(), table, name, by_word="name" in columns[name]):
                kinds.setdefault(value, columns[name][0])
    if not kinds:
        return text
    longest_first = sorted(kinds, key=lambda value: (-len(value), value))
    known = re.compile(rf"(?<!{LETTER})(?:{'|'.join(map(re.escape, longest_first))})(?!{LETTER})", re.IGNORECASE)
    return known.sub(lambda match: f"<{kinds.get(match.group().lower(), 'personal')}>", text)


def _found(text: str, table: Path, column: str, *, by_word: bool) -> list[str]:
    """Return the column's values that stand in ``text``, and with ``by_word`` their words that do; in small letters."""
    source = f"read_parquet({quote_text(str(table))})"
    values = f"SELECT lower(CAST({quote_identifier(column)} AS VARCHAR)) AS value FROM {source}"
    whole = f"SELECT DISTINCT value FROM ({values}) WHERE length(value) >= {SHORTEST} AND contains($text, value)"
    words = f"SELECT DISTINCT unnest(regexp_split_to_array(value, {quote_text(BETWEEN_WORDS)})) AS word FROM ({values})"
    named = f"SELECT word FROM ({words}) WHERE length(word) >= {SHORTEST} AND contains($text, word)"
    with open_reader() as connection:
        found = connection.execute(f"{whole} UNION {named}" if by_word else whole, {"text": text}).fetchall()
    return [str(row[0]) for row in found]
