"""What the data are; this file profiles a competition's data folder and writes its typed tables.

It composes the other modules of this room, in this order: files, roles, target and task, tables, columns, split. Every
guess carries its confidence and evidence; the target can be overruled.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import duckdb
import msgspec

from autokaggle.errors import CompetitionUnusable
from autokaggle.records.data_profile import (
    ColumnKind,
    ColumnProfile,
    DataProfile,
    FileProfile,
    FileRole,
    Guess,
    SplitHints,
)
from autokaggle.records.event import Progress
from autokaggle.skills.dataset import (
    attachments,
    cautions,
    column_kinds,
    label_folders,
    lookups,
    repeats,
    split_hints,
    targets,
    tasks,
)
from autokaggle.skills.dataset.column_facts import SAMPLE_ROWS, Facts, measure
from autokaggle.skills.dataset.data_files import DataFiles, OnProgress, read_files
from autokaggle.skills.dataset.file_roles import Roles, find_roles
from autokaggle.skills.dataset.joined_tables import Joined, join_features
from autokaggle.skills.dataset.table_writer import SAMPLE, TEST, TRAIN, TableWriter, Written
from autokaggle.skills.dataset.tables import connect
from autokaggle.skills.dataset.targets import Submission
from autokaggle.storage.parquet_tables import quote_identifier, quote_text
from autokaggle.storage.scratch import scratch_folder

MOST_CLASSES = 10_000
# What is found out about tables takes about as long as they took to be written.
DESCRIBED_TO_WRITTEN = 1.0


@dataclass(frozen=True)
class Study:
    """One profile in the making: what was found in the folder and where its tables were written."""

    connection: duckdb.DuckDBPyConnection
    folder: Path
    files: DataFiles
    joined: Joined
    submission: Submission
    wording: str
    task: Guess
    classes: dict[str, tuple[str, ...]]
    odd: dict[str, set[str]]
    train: Written
    test: Written
    sample: Written | None
    others: tuple[Written, ...]

    @property
    def roles(self) -> Roles:
        return self.joined.roles

    @property
    def row_names(self) -> tuple[str, ...]:
        """The ids, also those that test calls by another name than the sample submission."""
        return (*self.submission.id_columns, *targets.same_ids(self.roles, self.submission.id_columns))

    @property
    def has_labels(self) -> bool:
        return tasks.is_classification(self.task.value)

    def ask(self, query: str) -> int:
        """Return the one number that ``query`` gives."""
        found = self.connection.execute(query).fetchone()
        return int(found[0]) if found else 0

    def source(self, file: str) -> str:
        return f"read_parquet({quote_text(str(self.folder / file))})"


def _ignore(progress: Progress) -> None:
    """Say nothing."""


def profile_dataset(
    data: Path,
    tables: Path,
    pages: Mapping[str, str],
    *,
    target: Sequence[str] | str | None = None,
    metric_wording: str = "",
    seconds: float = math.inf,
    on_progress: OnProgress = _ignore,
) -> DataProfile:
    """Profile the files under ``data``; write train, test, sample submission and other tables as parquet to ``tables``.

    ``pages`` are the competition's page texts by name; ``target`` names the target columns and overrules every guess.
    Where ``seconds`` turn out to be too few, what large tables hold is looked at in fewer rows, and a warning says so.

    Raises:
        UsageError: ``target`` names a column that train lacks.
        CompetitionUnusable: a needed file is missing or empty, no column can be the target, or one target holds texts
            and another one numbers.
    """
    end = time.monotonic() + seconds
    chosen = (target,) if isinstance(target, str) else tuple(target or ())
    wording = "\n".join([metric_wording, *(text for name, text in pages.items() if "evaluation" in name.lower())])
    tables.mkdir(mode=0o700, parents=True, exist_ok=True)
    with scratch_folder(tables, "profile") as scratch, connect(scratch) as connection:
        files = read_files(connection, data, scratch, on_progress)
        files, roles = _with_roles(connection, files, scratch)
        joined = join_features(connection, roles, files.tables)
        submission = targets.find_submission(joined.roles, pages, chosen)
        on_progress(Progress(text="write tables"))
        writer = TableWriter(connection, tables, scratch)
        started = time.monotonic()
        study = _write_tables(writer, files, joined, submission, wording)
        on_progress(Progress(text="measure columns"))
        now = time.monotonic()
        return _describe(study, in_haste=now + DESCRIBED_TO_WRITTEN * (now - started) > end)


def _with_roles(connection: duckdb.DuckDBPyConnection, files: DataFiles, scratch: Path) -> tuple[DataFiles, Roles]:
    """Find the roles of tables; where none is train, folders may be named by the labels of their images."""
    has_other_files = bool(files.collections)
    try:
        return files, find_roles(files.tables, files.unreadable, has_other_files=has_other_files)
    except CompetitionUnusable:
        made = label_folders.tables_of_folders(connection, files, scratch)
        if not made:
            raise
    files = replace(files, tables=(*files.tables, *made))
    return files, find_roles(files.tables, files.unreadable, has_other_files=has_other_files)


def _write_tables(writer: TableWriter, files: DataFiles, joined: Joined, submission: Submission, wording: str) -> Study:
    """Write all tables, and settle the task on all rows of train; its first rows may have shown too few labels.

    Odd values of a target of numbers become missing once all rows were seen: they may be too many for that.
    """
    roles = joined.roles
    first_rows = {name: _different(roles.train.sample[name]) for name in submission.target_columns}
    named = bool(submission.labels) or submission.is_ranked
    first_guess = tasks.find_task(first_rows, roles.train.sample_rows, wording, asks_for_labels=named)
    labels = tasks.is_classification(first_guess.value)
    odd: dict[str, set[str]] = {name: set() for name in submission.target_columns}
    while True:
        train, test = writer.write_pair(roles, submission.id_columns, submission.target_columns, labels=labels, odd=odd)
        found, rows = _target_values(writer, submission.target_columns)
        task = tasks.find_task(found, rows, wording, asks_for_labels=named)
        new = {name: set(tasks.odd_values(values, wording)) - odd[name] for name, values in found.items()}
        if tasks.is_classification(task.value) == labels and (labels or not any(new.values())):
            break
        labels = tasks.is_classification(task.value)
        odd = {name: odd[name] | new[name] for name in odd}
    if not labels:
        tasks.refuse_texts_beside_numbers(found)
    others: list[Written] = []
    main = (roles.train, roles.test, roles.sample, joined.features)
    for table in files.tables:
        if table.name not in [one.name for one in main if one]:
            others.append(writer.write_other(table, [TRAIN, TEST, SAMPLE, *(other.file for other in others)]))
    return Study(
        connection=writer.connection,
        folder=writer.folder,
        files=files,
        joined=joined,
        submission=submission,
        wording=wording,
        task=task,
        classes=tasks.labels_of(found) if labels else {},
        odd={name: odd[name] | {*tasks.odd_values(values, wording)} for name, values in first_rows.items()},
        train=train,
        test=test,
        sample=writer.write_sample(roles.sample) if roles.sample else None,
        others=tuple(others),
    )


def _different(values: Sequence[str | None]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(value for value in values if value is not None))


def _target_values(writer: TableWriter, names: Sequence[str]) -> tuple[dict[str, tuple[str, ...]], int]:
    """Return each target's different values as text, and the rows of train.

    Of very many only the first found are returned, and all that are no number.
    """
    source = f"read_parquet({quote_text(str(writer.folder / TRAIN))})"
    found: dict[str, tuple[str, ...]] = {}
    for name in names:
        column = quote_identifier(name)
        query = f"SELECT DISTINCT CAST({column} AS VARCHAR) AS v FROM {source} WHERE {column} IS NOT NULL"
        values = writer.connection.execute(f"{query} LIMIT {MOST_CLASSES}").fetchall()
        if len(values) == MOST_CLASSES:
            is_number = "coalesce(isfinite(TRY_CAST(v AS DOUBLE)), false)"
            odd = f"SELECT v FROM ({query}) WHERE NOT {is_number} LIMIT {MOST_CLASSES}"
            values = list({*values, *writer.connection.execute(odd).fetchall()})
        found[name] = tuple(sorted(row[0] for row in values))
    rows = writer.connection.execute(f"SELECT count(*) FROM {source}").fetchone()
    return found, int(rows[0]) if rows else 0


def _describe(study: Study, *, in_haste: bool) -> DataProfile:
    submission, roles = study.submission, study.roles
    train_rows, train = measure(study.connection, study.folder / TRAIN, study.train.type_names, in_haste=in_haste)
    test_rows, test = measure(study.connection, study.folder / TEST, study.test.type_names, in_haste=in_haste)
    features = {name: facts for name, facts in train.items() if name not in submission.target_columns}
    copies = repeats.find_copied_columns(study.connection, study.folder / TRAIN, features, study.row_names)
    split = split_hints.find_split(
        study.connection,
        study.folder / TRAIN,
        study.folder / TEST,
        {name: facts for name, facts in features.items() if name not in copies},
        test,
        ids=study.row_names,
        is_classification=study.has_labels,
        counts_copies=not (in_haste and train_rows > SAMPLE_ROWS),
    )
    folders = attachments.tie_to_rows(study.files.collections, train, test)
    columns = _columns(study, train, test, copies)
    others = _judge_others(study, {name: facts for name, facts in features.items() if name in test})
    task, modality = tasks.refine(study.task, columns, folders, split.scheme, submission.target_columns)
    kind = targets.submission_kind(submission, roles.sample, study.has_labels, study.wording)
    only_train = [name for name in features if name not in test]
    parts = {name: repeats.explain_target(train, name, only_train) for name in submission.target_columns}
    return DataProfile(
        files=(*_main_files(study, train_rows, test_rows), *_other_files(study, others), *folders),
        columns=tuple(columns),
        train=TRAIN,
        test=TEST,
        sample_submission=SAMPLE if study.sample else None,
        train_rows=train_rows,
        test_rows=test_rows,
        target_columns=submission.target_columns,
        target_guess=submission.target_guess,
        id_columns=submission.id_columns,
        id_guess=submission.id_guess,
        submission_columns=roles.sample.columns if roles.sample else (*submission.id_columns, *submission.columns),
        submission_labels=submission.labels,
        submission_header=roles.sample.header if roles.sample else (),
        submission_kind=kind,
        task_type=tasks.task_type(task),
        task_guess=task,
        modality=modality,
        classes=study.classes,
        metric_suggestion=tasks.suggest_metric(tasks.task_type(task), kind),
        split=split,
        warnings=tuple(_warnings(study, train, test, columns, split, others, parts)),
        target_parts={name: found for name, found in parts.items() if len(found) > 1},
    )


def _columns(
    study: Study, train: Mapping[str, Facts], test: Mapping[str, Facts], copies: Mapping[str, str]
) -> list[ColumnProfile]:
    submission = study.submission
    ordinal = study.task.value == "ordinal"
    target_kind: ColumnKind = "ordinal" if ordinal else "category" if study.has_labels else "number"
    return column_kinds.profile_columns(
        train,
        test,
        ids=study.row_names,
        targets=dict.fromkeys(submission.target_columns, target_kind),
        duplicates=copies,
        disguised={**study.test.disguised_missing(), **study.train.disguised_missing()},
        personal=column_kinds.find_personal_columns(train, test),
    )


def _main_files(study: Study, train_rows: int, test_rows: int) -> list[FileProfile]:
    profiles = []
    for role, written, rows in (("train", study.train, train_rows), ("test", study.test, test_rows)):
        profiles.append(_file_profile(written, study.roles.guesses[role], rows))
    if study.sample:
        rows = study.ask(f"SELECT count(*) FROM {study.source(SAMPLE)}")
        profiles.append(_file_profile(study.sample, study.roles.guesses["sample_submission"], rows))
    return profiles


def _judge_others(study: Study, known: Mapping[str, Facts]) -> list[lookups.OtherTable]:
    """Say what each table beside the main ones is; ``known`` has the facts of features that train and test share."""
    asked = study.submission.target_columns
    return [
        lookups.judge_other(study.connection, study.folder, other, known, TRAIN, TEST, asked) for other in study.others
    ]


def _other_files(study: Study, judged: Sequence[lookups.OtherTable]) -> list[FileProfile]:
    profiles = []
    for other, found in zip(study.others, judged, strict=True):
        guess = Guess(value=found.role, confidence=found.confidence, evidence=found.evidence)
        rows = study.ask(f"SELECT count(*) FROM {study.source(other.file)}")
        personal = column_kinds.find_personal_cells(other.table.sample, other.type_names)
        profile = _file_profile(other, guess, rows, found.join_columns, found.is_unique)
        profiles.append(msgspec.structs.replace(profile, personal=personal))
    if features := study.joined.features:
        by = ", ".join(study.joined.keys)
        evidence = f"its columns are in the train table: joined to {study.train.table.name} by {by}"
        profiles.append(
            FileProfile(name=features.name, role="extra", confidence=0.9, evidence=evidence, columns=features.columns)
        )
    for name in study.files.others:
        role: FileRole = "archive" if name.lower().endswith(".zip") else "extra"
        profiles.append(FileProfile(name=name, role=role, confidence=0.5, evidence="not a table"))
    return profiles


def _file_profile(
    written: Written, guess: Guess, rows: int, joins: dict[str, str] | None = None, is_unique: bool = True
) -> FileProfile:
    table = written.table
    return FileProfile(
        name=table.name,
        role=cast(FileRole, guess.value),
        confidence=guess.confidence,
        evidence=guess.evidence,
        format=table.format,
        encoding=table.encoding,
        delimiter=table.delimiter,
        rows=rows,
        ragged_rows=table.ragged_rows,
        columns=table.columns,
        table=written.file,
        join_columns=joins or {},
        join_is_unique=is_unique,
    )


def _warnings(
    study: Study,
    train: Mapping[str, Facts],
    test: Mapping[str, Facts],
    columns: Sequence[ColumnProfile],
    split: SplitHints,
    others: Sequence[lookups.OtherTable],
    parts: Mapping[str, tuple[str, ...]],
) -> list[str]:
    submission = study.submission
    main = [written for written in (study.train, study.test, study.sample) if written]
    found = [*study.files.warnings, *(f"{name} {reason}" for name, reason in study.files.unreadable)]
    for written in (*main, *study.others):
        found += cautions.about_file(written.table)
    found += cautions.about_others(zip((other.table.name for other in study.others), others, strict=True))
    found += cautions.about_target(submission, train, study.classes, _gaps_of_targets(study, train))
    copies = [_copied_ids(study, study.train, train), _copied_ids(study, study.test, test)]
    found += cautions.about_ids(submission, copies[0], copies[1], study.test, study.sample)
    found += cautions.about_columns(columns, submission.target_columns, parts)
    return [*found, *cautions.about_split(columns, split, next(iter(train.values())), next(iter(test.values())))]


def _gaps_of_targets(study: Study, train: Mapping[str, Facts]) -> dict[str, cautions.Gap]:
    """Return the first row, from 1 on, in which each target has no value, and the texts that stand there."""
    found = {}
    marks = study.train.disguised_missing()
    for name in study.submission.target_columns:
        if train[name].known < train[name].rows:
            source = f"read_parquet({quote_text(str(study.folder / TRAIN))}, file_row_number = true)"
            row = study.ask(f"SELECT 1 + min(file_row_number) FROM {source} WHERE {quote_identifier(name)} IS NULL")
            found[name] = cautions.Gap(row, tuple(sorted({*study.odd[name], *marks.get(name, ())})))
    return found


def _copied_ids(study: Study, written: Written, facts: Mapping[str, Facts]) -> int:
    ids = [name for name in study.submission.id_columns if name in written.types]
    if not ids:
        return 0
    return repeats.count_copied_ids(study.connection, study.folder / written.file, {name: facts[name] for name in ids})
