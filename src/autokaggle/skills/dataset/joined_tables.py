"""A training set in two files is one table; this file joins features to labels that stand in a file of their own.

Only what is certain is joined: the labels' file shares nothing with test but ids, another file has test's columns, and
one row of it for every label. Rows keep the order of the labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import duckdb

from autokaggle.skills.dataset.file_roles import Roles
from autokaggle.skills.dataset.tables import Table, read_sample
from autokaggle.storage.parquet_tables import quote_identifier

SAME_COLUMNS = 0.6


@dataclass(frozen=True)
class Joined:
    """Roles with a complete training table; ``features`` is the file that was joined, None when nothing was."""

    roles: Roles
    features: Table | None = None
    keys: tuple[str, ...] = ()


def join_features(connection: duckdb.DuckDBPyConnection, roles: Roles, tables: Sequence[Table]) -> Joined:
    """Complete ``roles.train`` by the features of another table, where test's columns show that they belong to it."""
    labels, test = roles.train, roles.test
    keys = tuple(column for column in labels.columns if column in test.columns)
    main = [labels.name, test.name, roles.sample.name if roles.sample else ""]
    wanted = [column for column in test.columns if column not in keys]
    for table in tables if keys and wanted and len(keys) <= len(wanted) else ():
        found = [column for column in wanted if column in table.columns]
        is_apart = table.name not in main and not set(table.columns) & set(labels.columns) - set(keys)
        has_all = set(keys) <= set(table.columns) and len(found) >= SAME_COLUMNS * len(wanted)
        if is_apart and has_all and _matches(connection, labels, table, keys):
            train = _joined(connection, labels, table, keys)
            return Joined(replace(roles, train=train), table, keys)
    return Joined(roles)


def _matches(connection: duckdb.DuckDBPyConnection, labels: Table, features: Table, keys: Sequence[str]) -> bool:
    """Tell whether ``features`` has exactly one row for every row of ``labels``."""
    query = (
        f"WITH f AS (SELECT {_keys(features, keys)}, count(*) AS n FROM {features.scan} GROUP BY ALL), "
        f"l AS (SELECT {_keys(labels, keys)} FROM {labels.scan}) "
        f"SELECT count(*), coalesce(sum(f.n), 0), coalesce(max(f.n), 0) FROM l LEFT JOIN f USING ({_names(keys)})"
    )
    try:
        found = connection.execute(query).fetchone()
    except duckdb.Error:
        # A row that cannot be read; the labels' file is then all there is, and its own trouble is reported.
        return False
    return found is not None and int(found[0]) == int(found[1]) and int(found[2]) == 1


def _joined(connection: duckdb.DuckDBPyConnection, labels: Table, features: Table, keys: Sequence[str]) -> Table:
    own = [column for column in features.columns if column not in keys]
    columns = (*labels.columns, *own)
    cells = [f"l.c{place}" for place in range(len(labels.columns))]
    cells += [f"f.c{features.columns.index(column)}" for column in own]
    condition = " AND ".join(f"l.c{labels.columns.index(key)} = f.c{features.columns.index(key)}" for key in keys)
    scan = (
        f"(SELECT {', '.join(f'{cell} AS c{place}' for place, cell in enumerate(cells))} "
        f"FROM (SELECT *, row_number() OVER () AS place FROM {labels.scan}) AS l "
        f"JOIN {features.scan} AS f ON {condition} ORDER BY l.place)"
    )
    sample = read_sample(connection, scan, columns)
    warnings = (*labels.warnings, *features.warnings)
    return replace(labels, columns=columns, scan=scan, sample=sample, text=None, warnings=warnings)


def _keys(table: Table, keys: Sequence[str]) -> str:
    return ", ".join(f"c{table.columns.index(key)} AS {quote_identifier(key)}" for key in keys)


def _names(keys: Sequence[str]) -> str:
    return ", ".join(map(quote_identifier, keys))
