"""The schema of the state store as numbered SQL files; this file applies those that a database has not seen.

A released file is never edited: a change of the schema is a new file with the next number. The number applied last
is kept in SQLite's ``user_version``.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

from autokaggle.errors import AutoKaggleError


def migrations() -> list[tuple[int, Path]]:
    """Return the number and the file of every migration, oldest first."""
    return sorted((int(path.name.split("_")[0]), path) for path in Path(__file__).parent.glob("[0-9]*.sql"))


def apply_migrations(connection: sqlite3.Connection) -> None:
    """Bring the schema up to date, all or nothing; ``connection`` must be in autocommit mode.

    Raises:
        AutoKaggleError: a newer AutoKaggle made this database.
        sqlite3.Error: the database cannot be read or written.
    """
    newest = migrations()[-1][0]
    version = _version(connection)
    if version > newest:
        raise AutoKaggleError(
            f"The state store was made by a newer AutoKaggle (schema {version}, known: {newest}).",
            "Update AutoKaggle, or point AUTOKAGGLE_HOME to another folder.",
        )
    if version == newest:
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        # Another process may have migrated while this one waited for the lock, hence read again.
        reached = _version(connection)
        for number, path in migrations():
            if number > reached:
                for statement in _statements(path.read_text("utf-8")):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {number}")
        connection.execute("COMMIT")
    except BaseException:
        # A full disk makes SQLite end the transaction by itself.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _statements(script: str) -> Iterator[str]:
    """Split a script, because ``executescript`` would commit what is open and break all-or-nothing."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
