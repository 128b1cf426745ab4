"""An input without the answers; this file copies a run's input so that one fold's labels are nowhere in it.

Code that runs on it cannot leak what it does not have, whatever it does. It is for code that was not written here,
and for the audit of any code.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from autokaggle.records.data_profile import DataProfile
from autokaggle.records.plan import Plan
from autokaggle.skills.scoring.folds import Folds, write_folds
from autokaggle.storage.parquet_tables import column_types, open_reader, quote_identifier, quote_text, row_count
from autokaggle.storage.records_file import link_or_copy, make_private_folder

if TYPE_CHECKING:
    import duckdb

Rows = npt.NDArray[np.int64]

DATA, TABLES, FOLDS = "data", "tables", "folds.parquet"


def seal_input(
    plan: Plan,
    profile: DataProfile,
    folds: Folds,
    fold: int,
    source: Path,
    target: Path,
    *,
    is_shuffled: bool = False,
) -> None:
    """Fill the new folder ``target`` with the input ``source``, less what tells the labels of ``fold``.

    In the train table the fold's rows have no target, nor any other column that test lacks; where folds go forward in
    time, nor have the rows of later folds. The files that train was read from are left out. All else is linked, or
    copied where the file system has no links. ``folds.parquet`` holds the first repeat alone, as the fold of another
    repeat holds other rows. With ``is_shuffled`` the labels that are left belong to other rows.
    """
    left_out = {FOLDS, f"{TABLES}/{plan.train_table}"}
    _link_all(source, target, left_out, _files_of(profile, ("train",)))
    tables = make_private_folder(target / TABLES)
    _write_train(plan, folds, fold, source / TABLES, tables, is_shuffled=is_shuffled)
    write_folds(Folds(folds.kind, folds.by_repeat[:1]), target / FOLDS)


def blind_input(plan: Plan, profile: DataProfile, folds: Folds, fold: int, source: Path, target: Path) -> None:
    """Fill the new folder ``target`` with an input in which the rows of ``fold`` belong to test, behind its own rows.

    It is for code that cannot work fold by fold: nothing tells it that some rows of test are known to others. The files
    that train, test and the sample were read from are left out.
    """
    names = [plan.train_table, plan.test_table, *({plan.submission.ids_from} - {plan.test_table})]
    left_out = {FOLDS, *(f"{TABLES}/{name}" for name in names)}
    _link_all(source, target, left_out, _files_of(profile, ("train", "test", "sample_submission")))
    tables = make_private_folder(target / TABLES)
    kept = np.flatnonzero(folds.by_repeat[0] != fold)
    _write_blind_tables(plan, kept, folds.rows_of(fold), source / TABLES, tables)
    left = folds.by_repeat[:1, kept]
    if len(np.unique(left)) < 2:  # of two folds one is gone: the code still needs something to validate on
        left = np.arange(len(kept), dtype=np.int64)[None, :] % 2
    write_folds(Folds(folds.kind, left), target / FOLDS)


def _link_all(source: Path, target: Path, left_out: set[str], raw_files: set[str]) -> None:
    make_private_folder(target)
    for path in sorted(source.rglob("*")):
        inside = path.relative_to(source)
        if path.is_symlink() or not path.is_file() or inside.as_posix() in left_out:
            continue
        # A table inside an archive is known by the archive's name, a slash and its own.
        name = inside.relative_to(DATA).as_posix() if inside.parts[0] == DATA else None
        if name and any(raw == name or raw.startswith(f"{name}/") for raw in raw_files):
            continue
        make_private_folder((target / inside).parent)
        link_or_copy(path, target / inside)


def _files_of(profile: DataProfile, roles: tuple[str, ...]) -> set[str]:
    return {file.name for file in profile.files if file.role in roles}


def _is_sealed(folds: Folds, fold: int) -> npt.NDArray[np.bool_]:
    by_row = folds.by_repeat[0]
    return np.asarray(by_row >= fold if folds.kind == "forward" else by_row == fold)


def _write_train(plan: Plan, folds: Folds, fold: int, tables: Path, target: Path, *, is_shuffled: bool) -> None:
    """Write the train table with the rows, columns and types that it has."""
    known_in_test = column_types(tables / plan.test_table)
    names = [name for name in column_types(tables / plan.train_table) if name not in known_in_test]
    hidden = [quote_identifier(name) for name in dict.fromkeys([*plan.target_columns, *names])]
    is_sealed = _is_sealed(folds, fold)
    labels_of = np.arange(len(is_sealed), dtype=np.int64)
    if is_shuffled:
        open_rows = np.flatnonzero(~is_sealed)
        labels_of[open_rows] = np.random.default_rng(len(open_rows)).permutation(open_rows)
    emptied = ", ".join(f"CASE WHEN is_sealed THEN NULL ELSE other.{column} END AS {column}" for column in hidden)
    source = f"read_parquet({quote_text(str(tables / plan.train_table))}, file_row_number = true)"
    with open_reader() as connection:
        places = np.arange(len(is_sealed), dtype=np.int64)
        connection.register("seals", {"place": places, "is_sealed": is_sealed, "labels_of": labels_of})
        query = f"""
            SELECT own.* EXCLUDE (file_row_number) REPLACE ({emptied})
            FROM {source} own JOIN seals ON place = own.file_row_number
            JOIN (SELECT file_row_number, {", ".join(hidden)} FROM {source}) other ON other.file_row_number = labels_of
            ORDER BY place
        """
        _write(connection, query, target / plan.train_table)


def _write_blind_tables(plan: Plan, kept: Rows, hidden: Rows, tables: Path, target: Path) -> None:
    train, test = tables / plan.train_table, tables / plan.test_table
    in_train = column_types(train)
    shared = [quote_identifier(name) for name in column_types(test) if name in in_train]
    with open_reader() as connection:
        connection.register("kept", {"row": kept.astype(np.int64)})
        connection.register("hidden", {"row": hidden})

        def rows_of(path: Path, columns: str, condition: str = "true") -> str:
            source = f"read_parquet({quote_text(str(path))}, file_row_number = true)"
            return f"SELECT {columns} FROM {source} WHERE {condition}"

        everything = "* EXCLUDE (file_row_number), file_row_number AS place"
        moved = "file_row_number IN (SELECT row FROM hidden)"
        query = rows_of(train, everything, "file_row_number IN (SELECT row FROM kept)")
        _write_in_order(connection, query, target / plan.train_table)
        behind = f"{', '.join(shared)}, file_row_number + {row_count(test)} AS place"
        query = f"{rows_of(test, everything)} UNION ALL BY NAME {rows_of(train, behind, moved)}"
        _write_in_order(connection, query, target / plan.test_table)
        if plan.submission.ids_from != plan.test_table:
            sample = tables / plan.submission.ids_from
            known = [name for name in plan.submission.id_columns if name in column_types(train)]
            ids = ", ".join(f"CAST({name} AS VARCHAR) AS {name}" for name in map(quote_identifier, known))
            behind = f"{ids}{', ' if ids else ''}file_row_number + {row_count(sample)} AS place"
            query = f"{rows_of(sample, everything)} UNION ALL BY NAME {rows_of(train, behind, moved)}"
            _write_in_order(connection, query, target / sample.name)


def _write_in_order(connection: duckdb.DuckDBPyConnection, query: str, path: Path) -> None:
    """Write what the query gives in the order of its column ``place``, and that column not."""
    _write(connection, f"SELECT * EXCLUDE (place) FROM ({query}) ORDER BY place", path)


def _write(connection: duckdb.DuckDBPyConnection, query: str, path: Path) -> None:
    connection.execute(f"COPY ({query}) TO {quote_text(str(path))} (FORMAT parquet)")
