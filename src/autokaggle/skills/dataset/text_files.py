"""Bytes become rows of text; this file finds encoding, delimiter and header, and rewrites what DuckDB cannot read.

It judges only the head of a file. A file that breaks its own head's rules later is read again through
``rewrite``, which pads short rows, cuts long ones and counts both.
"""

from __future__ import annotations

import bz2
import codecs
import csv
import gzip
import io
import lzma
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

HEAD_BYTES = 1 << 18
DELIMITERS = (",", "\t", ";", "|")
BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# A delimiter in the header is seldom part of a name: it wins although every fourth row alone agrees.
ONE_COLUMN = 0.25
LONGEST_FIELD = (1 << 31) - 1


class UnreadableText(ValueError):
    """The file holds no rows of text; the message says why, without the file's name."""


@dataclass(frozen=True)
class Dialect:
    """How a delimited file is written; ``header`` is its first row, () when the first row is data already."""

    encoding: str
    delimiter: str
    header: tuple[str, ...]
    width: int


def open_bytes(path: Path) -> BinaryIO:
    """Open ``path``, decompressed when its name ends in .gz, .bz2 or .xz."""
    match path.suffix.lower():
        case ".gz":
            return cast(BinaryIO, gzip.open(path, "rb"))
        case ".bz2":
            return cast(BinaryIO, bz2.open(path, "rb"))
        case ".xz":
            return cast(BinaryIO, lzma.open(path, "rb"))
    return path.open("rb")


def sniff(path: Path) -> Dialect:
    """Find the dialect from the head of the file.

    Raises:
        UnreadableText: the file is empty, binary, or a damaged archive.
    """
    try:
        with open_bytes(path) as stream:
            head = stream.read(HEAD_BYTES)
    except (OSError, EOFError, lzma.LZMAError) as error:
        raise UnreadableText(f"cannot be unpacked ({error})") from error
    if not head.strip():
        raise UnreadableText(f"holds nothing ({len(head)} bytes)")
    encoding = _encoding(head)
    text = codecs.getincrementaldecoder(encoding)(errors="replace").decode(head).lstrip("\ufeff")
    if "\0" in text:
        raise UnreadableText("is binary, not text")
    delimiter, rows = _best_parse(text, len(head) == HEAD_BYTES)
    first = rows[0]
    header = () if _is_data(first) else tuple(first)
    return Dialect(encoding=encoding, delimiter=delimiter, header=header, width=len(first))


def rewrite(path: Path, dialect: Dialect, target: Path) -> tuple[int, int | None]:
    """Write ``path`` as strict UTF-8 CSV with a header row; return ragged rows and the first one's line number.

    The header names columns by their place. Blank lines are left out. A long row whose surplus is empty is no ragged
    row.
    """
    csv.field_size_limit(LONGEST_FIELD)
    ragged, first_line = 0, None
    with _open_text(path, dialect) as stream, target.open("w", encoding="utf-8", newline="") as clean:
        reader = csv.reader(stream, delimiter=dialect.delimiter)
        writer = csv.writer(clean, lineterminator="\n")
        writer.writerow(f"c{position}" for position in range(dialect.width))
        rows = (row for row in reader if row)
        if dialect.header:
            next(rows, None)
        for row in rows:
            if len(row) < dialect.width or any(row[dialect.width :]):
                ragged += 1
                first_line = first_line or reader.line_num
            writer.writerow(row[: dialect.width] + [""] * (dialect.width - len(row)))
    return ragged, first_line


def _open_text(path: Path, dialect: Dialect) -> io.TextIOWrapper:
    """Open decoded; cp1252's five undefined bytes become replacement marks rather than a crash."""
    binary = io.BufferedReader(open_bytes(path))  # type: ignore[type-var]
    encoding = _whole_encoding(path) if dialect.encoding == "utf-8" else dialect.encoding
    return io.TextIOWrapper(binary, encoding=encoding, errors="replace", newline="")


def _encoding(head: bytes) -> str:
    for mark, name in BYTE_ORDER_MARKS:
        if head.startswith(mark):
            return name
    # UTF-16 without a mark: every other byte of Western text is zero.
    for name, zeros in (("utf-16-le", head[1::2]), ("utf-16-be", head[0::2])):
        if zeros.count(0) > 0.7 * len(zeros):
            return name
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8"


def _whole_encoding(path: Path) -> str:
    decoder = codecs.getincrementaldecoder("utf-8")()
    with open_bytes(path) as stream:
        try:
            while block := stream.read(1 << 20):
                decoder.decode(block)
        except UnicodeDecodeError:
            return "cp1252"
    return "utf-8"


def _best_parse(text: str, is_cut: bool) -> tuple[str, list[list[str]]]:
    """Try every delimiter by the strict rules of quoting; a file that breaks them all is read leniently."""
    csv.field_size_limit(LONGEST_FIELD)
    for is_strict in (True, False):
        parsed = {mark: _rows(text, is_cut, mark, is_strict) for mark in DELIMITERS}
        best = max(DELIMITERS, key=lambda mark: _fitness(parsed[mark]))
        if parsed[best]:
            return best, parsed[best]
    raise UnreadableText("holds no rows")


def _rows(text: str, is_cut: bool, delimiter: str, is_strict: bool) -> list[list[str]]:
    """Parse the head; no rows when its quotes do not fit this delimiter. A cut head ends inside a row."""
    rows: list[list[str]] = []
    try:
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=is_strict):
            if row:
                rows.append(row)
    except csv.Error as error:
        return rows if is_cut and "end of data" in str(error) else []
    return rows[:-1] if is_cut and len(rows) > 1 else rows


def _fitness(rows: list[list[str]]) -> tuple[float, int]:
    """Rank a delimiter: it must cut the header, and most rows as it cuts the header."""
    width = len(rows[0]) if rows else 0
    if not width:
        return (0.0, 0)
    if width < 2:
        return (ONE_COLUMN, 1)
    widths = Counter(len(row) for row in rows)
    return (round(widths[width] / len(rows), 1), width)


def _is_data(row: list[str]) -> bool:
    """Tell a headerless file: names of columns are hardly ever decimal fractions."""
    numbers = [cell for cell in row if _is_number(cell)]
    return len(numbers) * 2 >= len(row) and any("." in cell for cell in numbers)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
