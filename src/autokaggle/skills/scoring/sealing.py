"""An input without the answers; this file copies a run's input so that one fold's labels are nowhere in it.

Code that runs on it cannot leak what it does not have, whatever it does. It is for code that was not written here,
and for the audit of any code.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import numpy.typing as npt

from autokaggle.records import DataProfile, Plan
from autokaggle.skills.scoring.folds import Folds, write_folds
from autokaggle.storage.parquet_tables import column_types, open_reader, quote_identifier, quote_text
from autokaggle.storage.records_file import make_private_folder

DATA, TABLES, FOLDS = "data", "tables", "folds.parquet"


def seal_input(plan: Plan, profile: DataProfile, folds: Folds, fold: int, source: Path, target: Path) -> None:
    """Fill the new folder ``target`` with the input ``source``, less what tells the labels of ``fold``.

    In the train table the fold's rows have no target, nor any other column that test lacks; where folds go forward in
    time, nor have the rows of later folds. The files that train was read from are left out. All else is linked, or
    copied where the file system has no links. ``folds.parquet`` holds the first repeat alone, as the fold of another
    repeat holds other rows.
    """
    make_private_folder(target)
    for path in sorted(source.rglob("*")):
        inside = path.relative_to(source)
        if path.is_symlink() or not path.is_file() or _tells_labels(inside, plan, profile):
            continue
        make_private_folder((target / inside).parent)
        _link(path, target / inside)
    tables = make_private_folder(target / TABLES)
    _write_train(plan, folds, fold, source / TABLES, tables)
    write_folds(Folds(folds.kind, folds.by_repeat[:1]), target / FOLDS)


def _tells_labels(inside: Path, plan: Plan, profile: DataProfile) -> bool:
    if inside.as_posix() in (FOLDS, f"{TABLES}/{plan.train_table}"):
        return True
    if inside.parts[0] != DATA:
        return False
    name = inside.relative_to(DATA).as_posix()
    # A table inside an archive is known by the archive's name, a slash and its own.
    return any(
        file.role == "train" and (file.name == name or file.name.startswith(f"{name}/")) for file in profile.files
    )


def _is_sealed(folds: Folds, fold: int) -> npt.NDArray[np.bool_]:
    by_row = folds.by_repeat[0]
    return np.asarray(by_row >= fold if folds.kind == "forward" else by_row == fold)


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _write_train(plan: Plan, folds: Folds, fold: int, tables: Path, target: Path) -> None:
    """Write the train table with the rows, columns and types that it has."""
    known_in_test = column_types(tables / plan.test_table)
    names = [name for name in column_types(tables / plan.train_table) if name not in known_in_test]
    hidden = dict.fromkeys([*plan.target_columns, *names])
    emptied = ", ".join(
        f"CASE WHEN place IN (SELECT row FROM sealed) THEN NULL ELSE {column} END AS {column}"
        for column in map(quote_identifier, hidden)
    )
    place = "SELECT *, row_number() OVER () - 1 AS place"
    with open_reader() as connection:
        connection.register("sealed", {"row": np.flatnonzero(_is_sealed(folds, fold))})
        query = f"""
            SELECT * EXCLUDE (place) REPLACE ({emptied})
            FROM ({place} FROM read_parquet({quote_text(str(tables / plan.train_table))})) ORDER BY place
        """
        connection.execute(f"COPY ({query}) TO {quote_text(str(target / plan.train_table))} (FORMAT parquet)")
