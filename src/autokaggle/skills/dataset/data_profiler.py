"""What the data are; this file profiles a competition's data folder and writes its typed tables.

It composes the other modules of this room, in this order: files, roles, target and task, tables, columns, split. Every
guess carries its confidence and evidence; the target can be overruled.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import duckdb

from autokaggle.records import ColumnKind, DataProfile, FileProfile, Guess, Progress, TaskType
from autokaggle.skills.dataset import column_kinds, split_hints, targets, tasks
from autokaggle.skills.dataset.column_facts import measure
from autokaggle.skills.dataset.data_files import DataFiles, OnProgress, read_files
from autokaggle.skills.dataset.file_roles import Roles, find_roles
from autokaggle.skills.dataset.table_writer import SAMPLE, TEST, TRAIN, TableWriter, Written
from autokaggle.skills.dataset.tables import connect, quote_identifier, quote_text
from autokaggle.skills.dataset.targets import Submission

MOST_CLASSES = 10_000


def _ignore(progress: Progress) -> None:
    """Say nothing."""


def profile_dataset(
    data: Path,
    tables: Path,
    pages: Mapping[str, str],
    *,
    target: Sequence[str] | str | None = None,
    metric_wording: str = "",
    on_progress: OnProgress = _ignore,
) -> DataProfile:
    """Profile the files under ``data``; write train, test, sample submission and other tables as parquet to ``tables``.

    ``pages`` are the competition's page texts by name; ``target`` names the target columns and overrules every guess.

    Raises:
        CompetitionUnusable: a needed file is missing or empty, or no column can be the target.
    """
    chosen = (target,) if isinstance(target, str) else tuple(target or ())
    wording = "\n".join([metric_wording, *(text for name, text in pages.items() if "evaluation" in name.lower())])
    tables.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".profile-", dir=tables) as folder, connect(Path(folder)) as connection:
        files = read_files(connection, data, Path(folder), on_progress)
        roles = find_roles(files.tables, files.unreadable)
        submission = targets.find_submission(roles, pages, chosen)
        on_progress(Progress(text="write tables"))
        writer = TableWriter(connection, tables, Path(folder))
        train, test, task, classes = _write_main(writer, roles, submission, wording)
        sample = writer.write_sample(roles.sample) if roles.sample else None
        main = [written for written in (train, test, sample) if written is not None]
        others = _write_others(writer, files, roles)
        return _describe(connection, tables, submission, task, classes, main, others, files, roles, wording)


def _write_main(
    writer: TableWriter, roles: Roles, submission: Submission, wording: str
) -> tuple[Written, Written, Guess, dict[str, tuple[str, ...]]]:
    """Write train and test, and settle the task on all rows; the first rows may have shown too few labels."""
    sample = {name: _distinct(roles.train.sample[name]) for name in submission.target_columns}
    labels = tasks.is_classification(tasks.find_task(sample, roles.train.sample_rows, wording).value)
    while True:
        train, test = writer.write_pair(roles, submission.id_columns, submission.target_columns, labels=labels)
        found = {name: _values(writer.connection, writer.folder / TRAIN, name) for name in submission.target_columns}
        task = tasks.find_task(found, _rows(writer.connection, writer.folder / TRAIN), wording)
        if tasks.is_classification(task.value) == labels:
            classes = {name: tasks.sort_labels(values) for name, values in found.items()} if labels else {}
            return train, test, task, classes
        labels = not labels


def _write_others(writer: TableWriter, files: DataFiles, roles: Roles) -> list[Written]:
    others: list[Written] = []
    for table in files.tables:
        if table not in (roles.train, roles.test, roles.sample):
            others.append(writer.write_other(table, [TRAIN, TEST, SAMPLE, *(other.file for other in others)]))
    return others


def _describe(
    connection: duckdb.DuckDBPyConnection,
    tables: Path,
    submission: Submission,
    task: Guess,
    classes: dict[str, tuple[str, ...]],
    main: Sequence[Written],
    others: Sequence[Written],
    files: DataFiles,
    roles: Roles,
    wording: str,
) -> DataProfile:
    labels = tasks.is_classification(task.value)
    train_rows, train = measure(connection, tables / TRAIN, main[0].type_names)
    test_rows, test = measure(connection, tables / TEST, main[1].type_names)
    features = {name: facts for name, facts in train.items() if name not in submission.target_columns}
    split = split_hints.find_split(
        connection, tables / TRAIN, tables / TEST, features, test, ids=submission.id_columns, is_classification=labels
    )
    if task.value == "regression" and split.scheme == "time":
        evidence = f"{task.evidence}; test lies after train in time"
        task = Guess(value="time_series_forecasting", confidence=0.8, evidence=evidence)
    kind = targets.submission_kind(submission, roles.sample, labels, wording)
    target_kind: ColumnKind = "ordinal" if task.value == "ordinal" else "category" if labels else "number"
    task_type: TaskType = task.value  # type: ignore[assignment]
    return DataProfile(
        files=tuple(_file_profile(written, roles) for written in (*main, *others)),
        columns=tuple(
            column_kinds.profile_columns(
                train,
                test,
                ids=submission.id_columns,
                targets=dict.fromkeys(submission.target_columns, target_kind),
                duplicates={},
                disguised=main[0].disguised_missing(),
            )
        ),
        train=TRAIN,
        test=TEST,
        sample_submission=SAMPLE if roles.sample else None,
        train_rows=train_rows,
        test_rows=test_rows,
        target_columns=submission.target_columns,
        target_guess=submission.target_guess,
        id_columns=submission.id_columns,
        id_guess=submission.id_guess,
        submission_columns=roles.sample.columns if roles.sample else (*submission.id_columns, *submission.columns),
        submission_labels=submission.labels,
        submission_kind=kind,
        task_type=task_type,
        task_guess=task,
        classes=classes,
        metric_suggestion=tasks.suggest_metric(task_type, kind),
        split=split,
        warnings=tuple(warning for written in (*main, *others) for warning in written.table.warnings),
    )


def _file_profile(written: Written, roles: Roles) -> FileProfile:
    table = written.table
    guess = roles.guesses.get(table.name, Guess(value="extra", confidence=0.5, evidence=""))
    return FileProfile(
        name=table.name,
        role=guess.value,  # type: ignore[arg-type]
        confidence=guess.confidence,
        evidence=guess.evidence,
        format=table.format,
        encoding=table.encoding,
        delimiter=table.delimiter,
        rows=0,
        ragged_rows=table.ragged_rows,
        columns=table.columns,
        table=written.file,
    )


def _distinct(values: Sequence[str | None]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(value for value in values if value is not None))


def _values(connection: duckdb.DuckDBPyConnection, path: Path, column: str) -> tuple[str, ...]:
    """Return the different values of a column as text; of more than ``MOST_CLASSES`` only the first ones found."""
    name = quote_identifier(column)
    found = connection.execute(
        f"SELECT DISTINCT CAST({name} AS VARCHAR) FROM read_parquet({quote_text(str(path))}) "
        f"WHERE {name} IS NOT NULL LIMIT {MOST_CLASSES}"
    ).fetchall()
    return tuple(sorted(row[0] for row in found))


def _rows(connection: duckdb.DuckDBPyConnection, path: Path) -> int:
    found = connection.execute(f"SELECT count(*) FROM read_parquet({quote_text(str(path))})").fetchone()
    return int(found[0]) if found else 0
