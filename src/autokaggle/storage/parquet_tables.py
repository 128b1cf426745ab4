"""Parquet on disk; this file reads and writes columns as numpy arrays, through DuckDB and in the order of the rows.

It trusts what it reads no further than its caller says: ``open_reader`` bounds memory, and nothing is ever loaded
from the network.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from autokaggle.errors import OutsideWorldError
from autokaggle.storage.records_file import PRIVATE_FILE

if TYPE_CHECKING:
    import duckdb

Column = npt.NDArray[Any]

MEMORY_BYTES = 1 << 30


def quote_identifier(name: str) -> str:
    """Quote a column name for SQL."""
    return '"' + name.replace('"', '""') + '"'


def quote_text(text: str) -> str:
    """Quote a string for SQL."""
    return "'" + text.replace("'", "''") + "'"


def open_reader(memory_bytes: int = MEMORY_BYTES) -> duckdb.DuckDBPyConnection:
    """Open an in-memory DuckDB that holds at most ``memory_bytes`` and loads no extension."""
    import duckdb

    return duckdb.connect(
        config={"memory_limit": f"{memory_bytes}B", "autoinstall_known_extensions": "false", "threads": "2"}
    )


def read_columns(path: Path, expressions: Mapping[str, str]) -> dict[str, Column]:
    """Return one array per name, of the SQL expression it maps to; masked where there is NULL.

    Raises:
        duckdb.Error: the file is no parquet, or an expression does not fit it.
    """
    if not expressions:
        return {}
    chosen = ", ".join(f"{expression} AS c{number}" for number, expression in enumerate(expressions.values()))
    with open_reader() as connection:
        query = f"SELECT {chosen} FROM read_parquet({quote_text(str(path))})"
        found = connection.execute(query).fetchnumpy()
    return {name: np.asanyarray(found[f"c{number}"]) for number, name in enumerate(expressions)}


def read_text_columns(path: Path, names: Sequence[str]) -> dict[str, list[str | None]]:
    """Return the columns' values as text, None where the table has none."""
    chosen = ", ".join(f"CAST({quote_identifier(name)} AS VARCHAR)" for name in names)
    with open_reader() as connection:
        rows = connection.execute(f"SELECT {chosen} FROM read_parquet({quote_text(str(path))})").fetchall()
    return {name: [row[number] for row in rows] for number, name in enumerate(names)}


def column_types(path: Path) -> dict[str, str]:
    """Return the table's column names in order, with DuckDB's name of each type."""
    with open_reader() as connection:
        found = connection.execute(f"DESCRIBE SELECT * FROM read_parquet({quote_text(str(path))})").fetchall()
    return {str(row[0]): str(row[1]) for row in found}


def row_count(path: Path) -> int:
    """Return how many rows the file says it has."""
    with open_reader() as connection:
        query = f"SELECT num_rows FROM parquet_file_metadata({quote_text(str(path))})"
        row = connection.execute(query).fetchone()
    return int(row[0]) if row else 0


def write_columns(path: Path, columns: Mapping[str, Column], metadata: Mapping[str, str] | None = None) -> None:
    """Replace ``path`` by a parquet file of these columns; ``metadata`` are its key-value pairs.

    Raises:
        OutsideWorldError: the disk is full or the folder cannot be written; the old file is untouched.
    """
    import duckdb

    part = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.part")
    pairs = ", ".join(f"{quote_identifier(key)}: {quote_text(value)}" for key, value in (metadata or {}).items())
    extra = f", KV_METADATA {{{pairs}}}" if pairs else ""
    try:
        with open_reader() as connection:
            connection.register("source", {name: np.ascontiguousarray(column) for name, column in columns.items()})
            connection.execute(f"COPY (SELECT * FROM source) TO {quote_text(str(part))} (FORMAT parquet{extra})")
        part.chmod(PRIVATE_FILE)
        part.replace(path)
    except (OSError, duckdb.IOException) as error:
        part.unlink(missing_ok=True)
        raise OutsideWorldError(
            f"Cannot write {path}: {error}.", "Free disk space or make the folder writable, then resume the run."
        ) from error


def copy_rows(source: Path, target: Path, rows: Column) -> None:
    """Write the rows of ``source`` at these places (0-based, ascending) to ``target``, types and order kept."""
    table = f"read_parquet({quote_text(str(source))}, file_row_number = true)"
    with open_reader() as connection:
        connection.register("chosen", {"place": np.asarray(rows, dtype=np.int64)})
        query = f"SELECT * EXCLUDE (file_row_number) FROM {table} SEMI JOIN chosen ON file_row_number = place"
        query += " ORDER BY file_row_number"
        connection.execute(f"COPY ({query}) TO {quote_text(str(target))} (FORMAT parquet)")
    target.chmod(PRIVATE_FILE)


def read_metadata(path: Path) -> dict[str, str]:
    """Return the key-value pairs of a parquet file."""
    with open_reader() as connection:
        found = connection.execute(
            f"SELECT decode(key), decode(value) FROM parquet_kv_metadata({quote_text(str(path))})"
        ).fetchall()
    return {str(key): str(value) for key, value in found}
