"""Migrations of the state store: from nothing and from every earlier version to the newest."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from autokaggle.errors import AutoKaggleError
from autokaggle.storage.migrations import apply_migrations, migrations
from autokaggle.storage.state_store import StateStore

NEWEST = migrations()[-1][0]


def schema(path: Path) -> set[tuple[str, str]]:
    with sqlite3.connect(path) as connection:
        found = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    connection.close()
    return {(name, " ".join(sql.split())) for name, sql in found}


def make_database(path: Path, version: int) -> None:
    """Make a database as the AutoKaggle of schema ``version`` left it, with one run in it."""
    connection = sqlite3.connect(path)
    for number, file in migrations():
        if number <= version:
            connection.executescript(file.read_text("utf-8"))
    connection.execute(f"PRAGMA user_version = {version}")
    if version:
        connection.execute(
            "INSERT INTO runs (id, folder, slug, target, status, created, updated, cost_usd, error)"
            " VALUES ('kept', '/gone', 'titanic', 'titanic', 'done', '2026-01-01T00:00:00Z', '', 0, '')"
        )
    connection.commit()
    connection.close()


def test_migrations_are_numbered_without_gaps() -> None:
    assert [number for number, _ in migrations()] == list(range(1, NEWEST + 1))


@pytest.mark.parametrize("version", range(NEWEST + 1))
def test_every_earlier_version_becomes_the_newest_and_keeps_its_rows(tmp_path: Path, version: int) -> None:
    old, new = tmp_path / "old.sqlite3", tmp_path / "new.sqlite3"
    make_database(old, version)
    StateStore(new).close()
    with StateStore(old) as store:
        assert [row.id for row in store.runs()] == (["kept"] if version else [])
    assert schema(old) == schema(new)
    assert {"runs", "stages", "candidates", "prompts", "events", "queue"} <= {name for name, _ in schema(old)}


def test_a_newer_schema_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite3"
    make_database(path, NEWEST)
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {NEWEST + 1}")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(AutoKaggleError, match=r"newer AutoKaggle \(schema") as caught:
        StateStore(path)
    assert "Update AutoKaggle" in caught.value.next_step
    assert path.read_bytes() == before


def test_a_migration_that_fails_leaves_the_old_schema(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite3"
    make_database(path, 1)
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE queue (something_else TEXT)")
    connection.close()
    before = schema(path)
    connection = sqlite3.connect(path, isolation_level=None)
    with pytest.raises(sqlite3.OperationalError, match="queue already exists"):
        apply_migrations(connection)
    assert connection.execute("PRAGMA user_version").fetchone()[0] == 1
    connection.close()
    assert schema(path) == before


def test_processes_that_start_together_migrate_once(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
from autokaggle.storage.state_store import StateStore
StateStore(Path(sys.argv[1])).close()
"""
    command = [sys.executable, "-c", code, str(tmp_path / "state.sqlite3")]
    starts = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(6)]
    assert [(start.communicate()[1], start.returncode) for start in starts] == [(b"", 0)] * 6
