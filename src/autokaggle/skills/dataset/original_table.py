"""The data set behind a synthetic competition; this file makes a table like train of it, without rows that are known.

Its columns are found by name, whatever their case and separators, and get train's types. A row whose features stand in
train or in test is left out: its label would be one that is scored, or asked for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from autokaggle.errors import UsageError
from autokaggle.storage.parquet_tables import column_types, open_reader, quote_identifier, quote_text
from autokaggle.storage.records_file import PRIVATE_FILE

ORIGINAL_TABLE = "original.parquet"
PARQUET = (".parquet", ".pq")
FEWEST_SHARED = 0.5
OTHER_SIGNS = re.compile(r"[\W_]+")


@dataclass(frozen=True)
class OriginalTable:
    """What was written: its rows, how many were left out, and the features that it shares with train."""

    rows: int
    known: int
    unusable: int
    shared: tuple[str, ...]


def write_original(
    file: Path,
    tables: Path,
    train: str,
    test: str,
    targets: Sequence[str],
    features: Sequence[str],
    classes: Mapping[str, Sequence[str]],
) -> OriginalTable:
    """Write ``original.parquet`` into ``tables``: the targets and all ``features``, those that it lacks empty.

    ``classes`` are the known labels of each target; rows with others, or with none, are left out.

    Raises:
        UsageError: the file cannot be read, or is not the same kind of table.
    """
    types = column_types(tables / train)
    with open_reader() as connection:
        try:
            _read(connection, file)
            columns = [str(row[0]) for row in connection.execute("DESCRIBE raw").fetchall()]
        except duckdb.Error as error:
            raise UsageError(
                f"{file} cannot be read: {str(error).splitlines()[0]}", "Give a CSV or Parquet file."
            ) from error
        found = _matched(columns, [*targets, *features])
        shared = tuple(name for name in features if name in found)
        lacking = [name for name in targets if name not in found]
        if lacking or len(shared) < max(1, FEWEST_SHARED * len(features)):
            raise UsageError(
                f"{file} is not the data behind this competition: it has {len(shared)} of {len(features)} features"
                + (f" and lacks the target {', '.join(lacking)}." if lacking else "."),
                "Rename its columns like those of train, or leave out --original.",
            )
        chosen = ", ".join(
            f"{_cast(found.get(name), types[name], classes.get(name))} AS {quote_identifier(name)}"
            for name in (*targets, *features)
        )
        connection.execute(f"CREATE TABLE typed AS SELECT row_number() OVER () AS place, {chosen} FROM raw")
        return _write(connection, tables, (train, test), targets, shared, tables / ORIGINAL_TABLE)


def _read(connection: duckdb.DuckDBPyConnection, file: Path) -> None:
    name = quote_text(str(file))
    is_parquet = file.suffix.casefold() in PARQUET
    source = f"read_parquet({name})" if is_parquet else f"read_csv({name}, header = true, all_varchar = true)"
    connection.execute(f"CREATE TABLE raw AS SELECT * FROM {source}")


def _matched(columns: Sequence[str], wanted: Sequence[str]) -> dict[str, str]:
    """Return for each wanted column the one of the file that is called alike."""
    plain = {OTHER_SIGNS.sub("", column).casefold(): column for column in reversed(columns)}
    keys = {name: OTHER_SIGNS.sub("", name).casefold() for name in wanted}
    return {
        name: name if name in columns else plain[key] for name, key in keys.items() if name in columns or key in plain
    }


def _cast(column: str | None, kind: str, labels: Sequence[str] | None) -> str:
    """Return the SQL of a column with train's type; labels as train writes them."""
    if column is None:
        return f"CAST(NULL AS {kind})"
    value = quote_identifier(column)
    if labels is None:
        return f"TRY_CAST({value} AS {kind})"
    text, whole = f"CAST({value} AS VARCHAR)", f"CAST(TRY_CAST({value} AS BIGINT) AS VARCHAR)"
    known = ", ".join(quote_text(label) for label in labels)
    label = f"CASE WHEN {text} IN ({known}) THEN {text} WHEN {whole} IN ({known}) THEN {whole} END"
    return f"TRY_CAST({label} AS {kind})"


def _write(
    connection: duckdb.DuckDBPyConnection,
    tables: Path,
    others: tuple[str, str],
    targets: Sequence[str],
    shared: Sequence[str],
    path: Path,
) -> OriginalTable:
    columns = [quote_identifier(name) for name in shared]
    labelled = " AND ".join(f"{quote_identifier(name)} IS NOT NULL" for name in targets)
    same = " AND ".join(f"other.{name} IS NOT DISTINCT FROM typed.{name}" for name in columns)
    known = " OR ".join(
        f"EXISTS (SELECT 1 FROM read_parquet({quote_text(str(tables / table))}) AS other WHERE {same})"
        for table in others
    )
    connection.execute(f"CREATE TABLE judged AS SELECT *, {labelled} AS is_labelled, {known} AS is_known FROM typed")
    connection.execute(
        "CREATE TABLE kept AS SELECT * FROM judged WHERE is_labelled AND NOT is_known "
        f"QUALIFY row_number() OVER (PARTITION BY {', '.join(columns)} ORDER BY place) = 1"
    )
    rows, known_rows, unlabelled = (
        int(connection.execute(f"SELECT count(*) FROM {part}").fetchall()[0][0])
        for part in ("kept", "judged WHERE is_labelled AND is_known", "judged WHERE NOT is_labelled")
    )
    copied = "SELECT * EXCLUDE (place, is_labelled, is_known) FROM kept ORDER BY place"
    connection.execute(f"COPY ({copied}) TO {quote_text(str(path))} (FORMAT parquet)")
    path.chmod(PRIVATE_FILE)
    return OriginalTable(rows, known_rows, unlabelled, tuple(shared))
