"""The index of runs in one SQLite file; this file writes, finds and rebuilds its rows.

It is never the only copy of a fact: the run folder holds everything, so a lost index costs nothing but
``autokaggle runs --rebuild``. Skills never open it.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from autokaggle.errors import AutoKaggleError, OutsideWorldError, UsageError
from autokaggle.records.base import Record
from autokaggle.records.candidate import Candidate
from autokaggle.records.event import Event
from autokaggle.records.run import Run
from autokaggle.storage.artifacts import RunFolder
from autokaggle.storage.migrations import apply_migrations
from autokaggle.storage.records_file import PRIVATE_FILE, make_private_folder, read_record
from autokaggle.storage.state_rows import (
    RunRow,
    Statement,
    candidate_statement,
    event_of,
    event_statement,
    run_row,
    run_statements,
)
from autokaggle.storage.tail import Tail, decode_events

R = TypeVar("R", bound=Record)
Values = tuple[Any, ...] | dict[str, Any]

BUSY_TIMEOUT_SECONDS = 10.0
SIDE_FILES = ("-wal", "-shm")
DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
UNWRITABLE = (
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_PERM,
)
BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


class StateStoreDamaged(AutoKaggleError):
    """The SQLite file is no database any more; the run folders are untouched."""


@dataclass(frozen=True)
class Rebuilt:
    """What a rebuild found: how many runs, and which records could not be read, each with the reason."""

    runs: int
    problems: tuple[str, ...]


def open_state_store(path: Path, runs_dir: Path, tell: Callable[[str], None]) -> StateStore:
    """Open the state store for one run or one look.

    A damaged file is set aside and made anew from the run folders. ``tell`` hears of that, and of the first record that
    cannot be written later; the run then goes on without the index.

    Raises:
        OutsideWorldError: the file can be neither read nor made.
        AutoKaggleError: a newer AutoKaggle made it.
    """
    try:
        return StateStore(path, tell)
    except StateStoreDamaged:
        return _replace_damaged(path, runs_dir, tell)


def rebuild_state_store(path: Path, runs_dir: Path, tell: Callable[[str], None]) -> Rebuilt:
    """Read every run folder of ``runs_dir`` into the index, also when the index is damaged within.

    Raises:
        OutsideWorldError: the index cannot be written.
        AutoKaggleError: a newer AutoKaggle made it.
    """
    try:
        with StateStore(path) as store:
            return store.rebuild(runs_dir)
    except StateStoreDamaged:
        with _replace_damaged(path, runs_dir, tell) as store:
            return store.rebuild(runs_dir)


class StateStore:
    """The open database; usable from several threads, and by several processes at once."""

    def __init__(self, path: Path, on_failure: Callable[[str], None] | None = None) -> None:
        """Open ``path``, make it if it is not there, and bring its schema up to date.

        With ``on_failure``, the first record that cannot be written is told to it and ends all writing, instead of
        raising: for a run, whose folder holds the same facts.

        Raises:
            StateStoreDamaged: the file is no database.
            OutsideWorldError: it can be neither read nor made, or stays locked.
            AutoKaggleError: a newer AutoKaggle made it.
        """
        self.path = path
        self._on_failure = on_failure
        self._has_given_up = False
        self._lock = threading.RLock()
        with self._translated():
            make_private_folder(path.parent)
            # SQLite gives its side files the permissions of the database, so only this one needs making.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, PRIVATE_FILE))
            self._connection = sqlite3.connect(
                path, timeout=BUSY_TIMEOUT_SECONDS, isolation_level=None, check_same_thread=False
            )
        self._connection.row_factory = sqlite3.Row
        try:
            with self._translated():
                self._connection.execute("PRAGMA foreign_keys = ON")
                apply_migrations(self._connection)
                self._connection.execute("PRAGMA journal_mode = WAL")
                # A power cut may lose the last rows of the index, never its integrity; the run folder has them.
                self._connection.execute("PRAGMA synchronous = NORMAL")
        except BaseException:
            self._connection.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    # ------------------------------------------------------------ writing

    def record_run(self, run: Run, folder: Path) -> None:
        """Insert or update the run, its stages, and the score of its published submission if there is one."""
        self._record(run_statements(run, RunFolder(folder)))

    def record_candidate(self, run_id: str, candidate: Candidate) -> None:
        """Insert or update one candidate of a run that was recorded before."""
        self._record([candidate_statement(run_id, candidate)])

    def add_event(self, run_id: str, event: Event) -> None:
        """Append one event of a run that was recorded before."""
        self._record([event_statement(run_id, event)])

    def rebuild(self, runs_dir: Path) -> Rebuilt:
        """Read every run folder of ``runs_dir`` into the index; runs whose folder is gone are dropped.

        Runs in other folders stay. The folders are only read.

        Raises:
            OutsideWorldError: the index cannot be written; it is as it was.
        """
        problems: list[str] = []
        statements: list[Statement] = []
        folders = [RunFolder(path) for path in sorted(runs_dir.iterdir())] if runs_dir.is_dir() else []
        runs = [(run, folder) for folder in folders if (run := _read_if_sound(folder.record, Run, problems))]
        for run, folder in runs:
            statements += _folder_statements(run, folder, problems)
        for row in self.execute("SELECT id, folder FROM runs"):
            if not RunFolder(Path(row["folder"])).record.is_file():
                statements.append(("DELETE FROM runs WHERE id = ?", (row["id"],)))
        self._write(statements)
        return Rebuilt(len(runs), tuple(problems))

    # ------------------------------------------------------------ reading

    def runs(self, limit: int | None = None) -> list[RunRow]:
        """Return the runs, newest first."""
        return self._rows("", (), -1 if limit is None else limit)

    def find(self, reference: str) -> RunRow | None:
        """Return the run with this id, with this unambiguous prefix of an id, or the newest for ``latest``.

        Raises:
            UsageError: several ids start with ``reference``.
        """
        if reference == "latest":
            return next(iter(self.runs(1)), None)
        exact = self._rows("WHERE id = ?", (reference,), 1)
        if exact:
            return exact[0]
        matches = self._rows("WHERE substr(id, 1, ?) = ?", (len(reference), reference), 6) if reference else []
        if len(matches) > 1:
            names = ", ".join(row.id for row in matches[:5]) + (", ..." if len(matches) > 5 else "")
            raise UsageError(f"{reference!r} fits several runs: {names}.", "Give more of the run's id.")
        return matches[0] if matches else None

    def events(self, run_id: str) -> list[Event]:
        """Return the events of one run in the order in which they were added."""
        return [
            event_of(row) for row in self.execute("SELECT * FROM events WHERE run_id = ? ORDER BY number", (run_id,))
        ]

    def check(self) -> None:
        """Read the whole database.

        Raises:
            StateStoreDamaged: some page of it is damaged.
        """
        findings = [row[0] for row in self.execute("PRAGMA integrity_check(1)")]
        if findings != ["ok"]:
            raise _damaged(self.path, findings[0])

    def execute(self, statement: str, values: Values = ()) -> list[sqlite3.Row]:
        """Run one statement and return its rows; outside of a transaction it is one by itself."""
        with self._lock, self._translated():
            return self._connection.execute(statement, values).fetchall()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Callable[..., list[sqlite3.Row]]]:
        """Give the block ``execute``; all of its statements count, or none. No other process writes meanwhile."""
        with self._lock:
            self.execute("BEGIN IMMEDIATE")
            try:
                yield self.execute
                self.execute("COMMIT")
            except BaseException:
                # A full disk makes SQLite end the transaction by itself.
                if self._connection.in_transaction:
                    self.execute("ROLLBACK")
                raise

    # ------------------------------------------------------------ private

    def _rows(self, where: str, values: tuple[Any, ...], limit: int) -> list[RunRow]:
        query = (
            "SELECT runs.*, (SELECT count(*) FROM candidates WHERE run_id = runs.id) AS candidates"
            f" FROM runs {where} ORDER BY created DESC, rowid DESC LIMIT ?"
        )
        return [run_row(row) for row in self.execute(query, (*values, limit))]

    def _record(self, statements: list[Statement]) -> None:
        if self._has_given_up:
            return
        try:
            self._write(statements)
        except AutoKaggleError as error:
            if self._on_failure is None:
                raise
            self._has_given_up = True
            self._on_failure(f"{error.message} The run goes on without the index of runs.")

    def _write(self, statements: list[Statement]) -> None:
        """Run all statements, or none."""
        with self.transaction() as execute:
            for statement, values in statements:
                execute(statement, values)

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        """Turn what SQLite and the file system say into our errors."""
        try:
            yield
        except OSError as error:
            raise _unwritable(self.path, error.strerror or str(error)) from error
        except sqlite3.Error as error:
            # Extended codes keep the plain code in the low byte.
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            if code in DAMAGE:
                raise _damaged(self.path, str(error)) from error
            if code in UNWRITABLE:
                raise _unwritable(self.path, str(error)) from error
            if code in BUSY:
                raise OutsideWorldError(
                    f"The state store {self.path} was locked by another process for {BUSY_TIMEOUT_SECONDS:.0f} s.",
                    "Try again when the other process is done.",
                ) from error
            raise AutoKaggleError(f"The state store {self.path} failed: {error}.") from error


def _folder_statements(run: Run, folder: RunFolder, problems: list[str]) -> list[Statement]:
    """Collect everything that the index holds of one run."""
    statements = run_statements(run, folder)
    statements.append(("DELETE FROM candidates WHERE run_id = ?", (run.id,)))
    for candidate_folder in folder.all_candidates():
        if candidate := _read_if_sound(candidate_folder.record, Candidate, problems):
            statements.append(candidate_statement(run.id, candidate))
    statements.append(("DELETE FROM events WHERE run_id = ?", (run.id,)))
    lines = Tail(folder.events).new_lines(also_unfinished=True)
    return statements + [event_statement(run.id, event) for event in decode_events(lines)]


def _read_if_sound(path: Path, kind: type[R], problems: list[str]) -> R | None:
    """Read a record; None where there is no such file, or where it is damaged, which is added to ``problems``."""
    try:
        return read_record(path, kind)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (AutoKaggleError, OSError) as error:
        problems.append(error.message if isinstance(error, AutoKaggleError) else f"{path}: {error.strerror}.")
        return None


def _replace_damaged(path: Path, runs_dir: Path, tell: Callable[[str], None]) -> StateStore:
    from filelock import FileLock

    # Of two processes that meet the damage at once, the second must not set the new file aside.
    with FileLock(path.with_name(f"{path.name}.lock")):
        try:
            with StateStore(path) as found:
                found.check()
            return StateStore(path, tell)
        except StateStoreDamaged:
            kept = _set_aside(path)
        store = StateStore(path, tell)
        rebuilt = store.rebuild(runs_dir)
    tell(f"The state store was damaged: it is kept as {kept}, and {rebuilt.runs} runs were read from {runs_dir}.")
    return store


def _set_aside(path: Path) -> Path:
    """Rename the damaged database and its side files; return where the database is now."""
    kept = path.with_name(f"{path.name}.damaged-{dt.datetime.now(dt.UTC):%Y%m%d-%H%M%S-%f}")
    for suffix in ("", *SIDE_FILES):
        source = path.with_name(path.name + suffix)
        if source.exists():
            source.rename(kept.with_name(kept.name + suffix))
    return kept


def _damaged(path: Path, reason: str) -> StateStoreDamaged:
    return StateStoreDamaged(f"The state store {path} is damaged: {reason}.", "Run `autokaggle runs --rebuild`.")


def _unwritable(path: Path, reason: str) -> OutsideWorldError:
    return OutsideWorldError(
        f"Cannot write the state store {path}: {reason}.",
        "Free disk space, make the folder writable, or point AUTOKAGGLE_HOME to another folder.",
    )
