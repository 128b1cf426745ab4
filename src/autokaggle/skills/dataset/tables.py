"""Files become parquet tables; this file opens any tabular file through DuckDB and writes it with typed columns.

What each file is for is decided elsewhere (``file_roles``). Rows keep the order of the file. Column names are kept
exactly, except for those that SQL cannot name: an empty name becomes ``unnamed``, and a name that differs from
an earlier one only in letter case gets a number.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import duckdb

from autokaggle.errors import OutsideWorldError
from autokaggle.skills.dataset import text_files
from autokaggle.skills.dataset.column_types import MISSING_TEXTS, ColumnType, widen
from autokaggle.skills.dataset.text_files import Dialect
from autokaggle.storage.parquet_tables import quote_identifier, quote_text
from autokaggle.storage.records_file import PRIVATE_FILE

TEXT_SUFFIXES = (".csv", ".tsv", ".psv", ".tab", ".txt", ".dat", ".data")
JSON_SUFFIXES = (".jsonl", ".ndjson", ".json")
PARQUET_SUFFIXES = (".parquet", ".pq")
TABLE_SUFFIXES = (*TEXT_SUFFIXES, *JSON_SUFFIXES, *PARQUET_SUFFIXES)
SAMPLE_ROWS = 20_000
SAMPLE_CELLS = 2_000_000
SAMPLE_BYTES = 32 << 20
FEWEST_SAMPLE_ROWS = 200
MEMORY_BYTES = 640 << 20
# Each thread that writes a table holds a block for each column: of wide ones a single thread writes, with room for all.
BLOCK_BYTES = 256 << 10
MOST_COLUMNS_OF_THREADS = 500
# DuckDB reads through buffers of sixteen times the longest line that it expects.
LINE_BYTES = 2 << 20
ROW_GROUP_CELLS = 4_000_000
LONGEST_LINE_BYTES = 32 << 20
UNNAMED = "unnamed"
# Measured on 2 and on 10 million rows: a quarter less work to write and to read than the defaults, and a tenth less
# when the writer soon gives up collecting the values of a column in which most of them differ.
WRITTEN_AS = "FORMAT parquet, PARQUET_VERSION v2, COMPRESSION lz4_raw, DICTIONARY_SIZE_LIMIT 4096"
AS_TEXT = re.compile(r"(?<!')'(c[0-9]+)': 'VARCHAR'")
LINE_BREAK = re.compile(r"[\r\n]")
READ_AS_TEXT = "auto_detect = false"
# DuckDB's planning of these takes time that grows with the square of the number of columns; type_pushdown makes
# TRY_CAST over a CSV fail instead of giving NULL.
NEEDLESS_OPTIMIZERS = (
    "in_clause,type_pushdown,common_subexpressions,statistics_propagation,projection_placement,projection_pullup,"
    "column_lifetime,scalar_fn_pushdown,expression_rewriter,aggregate_reuse,common_aggregate"
)


class UnreadableTable(ValueError):
    """A file that should be a table but cannot be read as one; the message says why, without the file's name."""


@dataclass(frozen=True)
class Table:
    """A table that DuckDB can read: its columns come as text, named c0, c1, ... in file order.

    ``scan`` is the SQL of that; ``sample`` holds the first rows, one sequence per column; None is an empty cell.
    A table that ``casts_text`` has cells that DuckDB's reader cannot type. ``header`` is the file's own first line
    where columns are called otherwise here.
    """

    name: str
    columns: tuple[str, ...]
    scan: str
    format: str
    text: tuple[Path, Dialect] | None = field(default=None, repr=False)
    is_clean_copy: bool = False
    keeps_marks: bool = False
    casts_text: bool = False
    ragged_rows: int = 0
    first_ragged_line: int | None = None
    warnings: tuple[str, ...] = ()
    sample: dict[str, tuple[str | None, ...]] = field(default_factory=dict, repr=False)
    header: tuple[str, ...] = ()

    def scan_without_missing(self, exact: Collection[str]) -> str:
        """Return the SQL that reads ``MISSING_TEXTS`` as NULL in all columns but the ``exact`` ones.

        DuckDB's reader does so at no cost, but makes such a text an empty one in the exact columns; a table that
        ``keeps_marks`` is read the slower way, which keeps it.
        """
        raw = [f"c{position}" for position in range(len(self.columns))]
        kept = [column for column, name in zip(raw, self.columns, strict=True) if name in exact]
        marks = ", ".join(map(quote_text, MISSING_TEXTS))
        if self.text is not None and not self.keeps_marks:
            keep = f", force_not_null = [{', '.join(map(quote_text, kept))}]" if kept else ""
            return self.scan.replace(READ_AS_TEXT, f"{READ_AS_TEXT}, nullstr = [{marks}]{keep}", 1)
        cells = [f"CASE WHEN {c} IN ({marks}) THEN NULL ELSE {c} END AS {c}" if c not in kept else c for c in raw]
        return f"(SELECT {', '.join(cells)} FROM {self.scan})"

    def typed(self, types: Mapping[str, ColumnType]) -> tuple[str, list[str]]:
        """Return the SQL that reads the table for ``types``, and each column's expression over it.

        DuckDB's reader types what it can without loss, which spares a text for every cell.
        """
        scan = self.scan_without_missing({name for name, kind in types.items() if kind.exact})
        raw = [f"c{position}" for position in range(len(self.columns))]
        if self.text is None or self.keeps_marks or self.casts_text:
            return scan, [types[name].expression(column) for column, name in zip(raw, self.columns, strict=True)]
        kinds = dict(zip(raw, (types[name] for name in self.columns), strict=True))
        read_as = {column: kind.read_as or "VARCHAR" for column, kind in kinds.items()}
        typed = AS_TEXT.sub(lambda found: f"'{found[1]}': '{read_as.get(found[1], 'VARCHAR')}'", scan)
        return typed, [kind.expression_over_read(column) for column, kind in kinds.items()]

    @property
    def encoding(self) -> str:
        return self.text[1].encoding if self.text else ""

    @property
    def delimiter(self) -> str:
        return self.text[1].delimiter if self.text else ""

    @property
    def sample_rows(self) -> int:
        return len(next(iter(self.sample.values()), ()))


def connect(scratch: Path) -> duckdb.DuckDBPyConnection:
    """Open an in-memory DuckDB that may spill to ``scratch`` and never loads anything from the network."""
    return duckdb.connect(
        config={
            "temp_directory": str(scratch),
            "memory_limit": f"{MEMORY_BYTES}B",
            "autoinstall_known_extensions": "false",
            "disabled_optimizers": NEEDLESS_OPTIMIZERS,
        }
    )


def is_table_name(name: str) -> bool:
    """Tell whether a file with this name should be a table, also when compressed."""
    bare = re.sub(r"\.(gz|bz2|xz)$", "", name.lower())
    return bare.endswith(TABLE_SUFFIXES)


def open_table(connection: duckdb.DuckDBPyConnection, path: Path, name: str, scratch: Path) -> Table:
    """Open ``path``, known to people as ``name``; ``scratch`` may receive a clean copy, which must outlive the table.

    Raises:
        UnreadableTable: the file is empty, binary, damaged, or no table.
    """
    bare = re.sub(r"\.(gz|bz2|xz)$", "", path.name.lower())
    if bare.endswith(PARQUET_SUFFIXES):
        return _open_native(connection, name, f"read_parquet({quote_text(str(path))})", "parquet")
    if bare.endswith(JSON_SUFFIXES):
        return _open_native(connection, name, f"read_json({quote_text(str(path))})", "json")
    return _open_text(connection, path, name, scratch)


def write_parquet(
    connection: duckdb.DuckDBPyConnection,
    table: Table,
    types: Mapping[str, ColumnType],
    target: Path,
    scratch: Path,
) -> tuple[Table, dict[str, ColumnType]]:
    """Write ``table`` to ``target`` in file order.

    Returns the table, read through a clean copy where its rows turned out ragged, and the types that held for all
    rows, wider than ``types`` where needed.
    """
    held = dict(types)
    if len(table.columns) > MOST_COLUMNS_OF_THREADS:
        connection.execute(f"SET threads = 1; SET memory_limit = '{MEMORY_BYTES + BLOCK_BYTES * len(table.columns)}B'")
    while True:
        scan, expressions = table.typed(held)
        columns = ", ".join(
            f"{expression} AS {quote_identifier(column)}"
            for expression, column in zip(expressions, table.columns, strict=True)
        )
        try:
            connection.execute(
                f"COPY (SELECT {columns} FROM {scan}) TO {quote_text(str(target))} "
                f"({WRITTEN_AS}, ROW_GROUP_SIZE {_row_group(len(table.columns))})"
            )
        except (duckdb.InvalidInputException, duckdb.ConversionException):
            wider = _widened(connection, table, held)
            if wider != held:
                held = wider
            elif table.text is not None and not table.casts_text:
                table = replace(table, casts_text=True)
            elif table.text is not None and not table.is_clean_copy:
                table = _through_clean_copy(connection, table, table.text, scratch)
            else:
                raise
        except (duckdb.IOException, duckdb.OutOfMemoryException) as error:
            raise OutsideWorldError(
                f"{table.name} cannot be written as a table: {_first_line(error)}.",
                "Free disk space or memory, then resume the run.",
            ) from error
        else:
            if _may_have_lost_marks(connection, table, held, target):
                table = replace(table, keeps_marks=True)
                continue
            target.chmod(PRIVATE_FILE)
            return table, held


def read_sample(
    connection: duckdb.DuckDBPyConnection, scan: str, columns: Sequence[str]
) -> dict[str, tuple[str | None, ...]]:
    """Return the first rows of ``scan`` as text, one sequence per column."""
    rows = min(SAMPLE_ROWS, max(FEWEST_SAMPLE_ROWS, SAMPLE_CELLS // len(columns)))
    found = connection.execute(f"SELECT * FROM {scan} LIMIT {min(rows, FEWEST_SAMPLE_ROWS)}").fetchall()
    if len(found) == FEWEST_SAMPLE_ROWS < rows:
        # Long documents: as many rows as fit into memory, by the length of the first ones.
        row_bytes = max(1, sum(len(cell) for row in found for cell in row if cell) // len(found))
        rows = max(FEWEST_SAMPLE_ROWS, min(rows, SAMPLE_BYTES // row_bytes))
        found = connection.execute(f"SELECT * FROM {scan} LIMIT {rows}").fetchall()
    if not found:
        return dict.fromkeys(columns, ())
    return dict(zip(columns, zip(*found, strict=True), strict=True))


def _may_have_lost_marks(
    connection: duckdb.DuckDBPyConnection, table: Table, held: Mapping[str, ColumnType], target: Path
) -> bool:
    """Say whether an exact column has empty cells, which may be a class or an id that is called "NA"."""
    exact = _exact(held)
    if table.text is None or table.keeps_marks or not exact:
        return False
    full = " AND ".join(f"count({quote_identifier(column)}) = count(*)" for column in exact)
    row = connection.execute(f"SELECT {full} FROM read_parquet({quote_text(str(target))})").fetchone()
    return row is not None and not row[0]


def _row_group(columns: int) -> int:
    """Return how many rows to hold before writing: DuckDB's own number, fewer in wide tables."""
    return min(122_880, max(2_048, ROW_GROUP_CELLS // columns // 2_048 * 2_048))


def _exact(types: Mapping[str, ColumnType]) -> set[str]:
    return {column for column, kind in types.items() if kind.exact}


def _widened(
    connection: duckdb.DuckDBPyConnection, table: Table, types: Mapping[str, ColumnType]
) -> dict[str, ColumnType]:
    """Widen the types that do not fit all rows; none when the table's own rows cannot be read."""
    counts = ", ".join(types[column].misfits(f"c{position}") for position, column in enumerate(table.columns))
    try:
        row = connection.execute(f"SELECT {counts} FROM {table.scan_without_missing(_exact(types))}").fetchone() or ()
    except duckdb.InvalidInputException:
        return dict(types)
    return {
        column: widen(types[column]) if misfits else types[column]
        for column, misfits in zip(table.columns, row, strict=True)
    }


def _open_native(connection: duckdb.DuckDBPyConnection, name: str, source: str, form: str) -> Table:
    try:
        found = [row[0] for row in connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()]
        raw = [f"c{position}" for position in range(len(found))]
        text = ", ".join(f"CAST({column} AS VARCHAR) AS {column}" for column in raw)
        scan = f"(SELECT {text} FROM {source} AS t({', '.join(raw)}))"
        columns, warnings = _usable_names(found)
        sample = read_sample(connection, scan, columns)
    except duckdb.Error as error:
        raise UnreadableTable(f"cannot be read as {form} ({_first_line(error)})") from error
    return Table(name=name, columns=columns, scan=scan, format=form, warnings=warnings, sample=sample)


def _open_text(connection: duckdb.DuckDBPyConnection, path: Path, name: str, scratch: Path) -> Table:
    try:
        dialect = text_files.sniff(path)
    except text_files.UnreadableText as error:
        raise UnreadableTable(str(error)) from error
    columns, warnings = _usable_names(dialect.header or tuple(f"column_{n + 1}" for n in range(dialect.width)))
    header = tuple(dialect.header or columns)
    table = Table(
        name=name,
        columns=columns,
        scan=_scan(path, dialect, "gzip" if path.suffix.lower() == ".gz" else "none"),
        format="csv",
        text=(path, dialect),
        warnings=warnings,
        header=header if header != columns else (),
    )
    # DuckDB takes the first line break that it meets, one inside a name too, for that of all lines.
    is_broken = any(LINE_BREAK.search(name) for name in columns)
    if is_broken or not dialect.encoding.startswith("utf-8") or path.suffix.lower() in (".bz2", ".xz"):
        return _through_clean_copy(connection, table, (path, dialect), scratch)
    try:
        return replace(table, sample=read_sample(connection, table.scan, columns))
    except duckdb.Error:
        return _through_clean_copy(connection, table, (path, dialect), scratch)


def _through_clean_copy(
    connection: duckdb.DuckDBPyConnection, table: Table, text: tuple[Path, Dialect], scratch: Path
) -> Table:
    path, dialect = text
    clean = scratch / f"{len(list(scratch.iterdir()))}.csv"
    try:
        ragged, first_line = text_files.rewrite(path, dialect, clean)
        clean_dialect = Dialect(encoding="utf-8", delimiter=",", header=table.columns, width=dialect.width)
        scan = _scan(clean, clean_dialect, "none", max(LINE_BYTES, min(LONGEST_LINE_BYTES, clean.stat().st_size)))
        sample = read_sample(connection, scan, table.columns)
    except (text_files.UnreadableText, duckdb.Error) as error:
        raise UnreadableTable(f"cannot be read ({_first_line(error)})") from error
    return replace(
        table, scan=scan, sample=sample, ragged_rows=ragged, first_ragged_line=first_line, is_clean_copy=True
    )


def _scan(path: Path, dialect: Dialect, compression: str, line_bytes: int = LINE_BYTES) -> str:
    names = ", ".join(f"'c{position}': 'VARCHAR'" for position in range(dialect.width))
    has_header = str(bool(dialect.header)).lower()
    return (
        f"read_csv({quote_text(str(path))}, {READ_AS_TEXT}, header = {has_header}, "
        f"delim = {quote_text(dialect.delimiter)}, quote = '\"', escape = '\"', compression = '{compression}', "
        f"max_line_size = {line_bytes}, columns = {{{names}}})"
    )


def _usable_names(names: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Give every column a name that SQL can tell from the others; say which were changed."""
    taken: set[str] = set()
    usable: list[str] = []
    for name in names:
        base = name or UNNAMED
        chosen, number = base, 2
        while chosen.casefold() in taken:
            chosen, number = f"{base}_{number}", number + 1
        taken.add(chosen.casefold())
        usable.append(chosen)
    changed = [f"column {old!r} is called {new!r} here" for old, new in zip(names, usable, strict=True) if old != new]
    return tuple(usable), tuple(changed)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0].rstrip(".")
