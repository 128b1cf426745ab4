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


def mask_values(texts: Sequence[str], tables: Iterable[Path], columns: Mapping[str, Sequence[str]]) -> list[str]:
    """Replace what is personal in ``texts`` by its kind: what looks it, and what stands in a personal column.

    ``columns`` maps their names to kinds (``ColumnProfile.personal``). A value counts in capital and small letters; of
    a person's name each word does. Each column is read once, however many the texts are.

    Raises:
        duckdb.Error: a table cannot be read.
    """
    texts = [mask(text) for text in texts]
    said = "\n".join(dict.fromkeys(texts)).lower()
    kinds: dict[str, str] = {}
    for table in tables if columns and said else ():
        present = column_types(table)
        for name in columns.keys() & present.keys():
            for value in _found(said, table, name, by_word="name" in columns[name]):
                kinds.setdefault(value, columns[name][0])
    if not kinds:
        return texts
    longest_first = sorted(kinds, key=lambda value: (-len(value), value))
    known = re.compile(rf"(?<!{LETTER})(?:{'|'.join(map(re.escape, longest_first))})(?!{LETTER})", re.IGNORECASE)
    return [known.sub(lambda match: f"<{kinds.get(match.group().lower(), 'personal')}>", text) for text in texts]


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
