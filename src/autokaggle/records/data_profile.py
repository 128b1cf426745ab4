"""What the data are; this file holds the records of input/data_profile.json."""

from __future__ import annotations

import re
from typing import Literal

from autokaggle.records.base import Record

TaskType = Literal[
    "binary_classification",
    "multiclass_classification",
    "multilabel_classification",
    "ordinal",
    "regression",
    "time_series_forecasting",
    "image_classification",
]
FileRole = Literal["train", "test", "sample_submission", "lookup", "extra", "image", "text", "archive"]
ColumnKind = Literal["id", "category", "ordinal", "number", "datetime", "text", "constant", "duplicate", "code", "path"]
ValidationScheme = Literal["kfold", "stratified", "group", "stratified_group", "time"]
# What is handed in, and what a metric compares.
SubmissionKind = Literal["value", "label", "probability", "class_probability", "ranked_labels"]

# A group that is made from one column, as ``SplitHints.column`` describes it.
MADE_COLUMN = re.compile(
    r'part\((?P<part>.+), "(?P<separator>[^"]+)", (?P<index>\d{1,6})\)|day\((?P<day>.+)\)|'
    r"days\((?P<days>.+), (?P<count>[1-9]\d{0,5})\)",
    re.DOTALL,
)


class Guess(Record, frozen=True, kw_only=True):
    """Something inferred: the value as text, how surely (0 to 1), and why."""

    value: str
    confidence: float
    evidence: str


class ColumnProfile(Record, frozen=True, kw_only=True):
    """One column over train and test. Shares are of rows; ``None`` where the table lacks the column.

    ``low`` and ``high`` are numbers, or ISO dates, as text. ``top`` holds the commonest values (masked when
    ``personal``) with their share of train rows.
    """

    name: str
    kind: ColumnKind
    type: str
    confidence: float = 1.0
    evidence: str = ""
    missing: float | None = 0.0
    missing_test: float | None = None
    distinct: int = 0
    distinct_is_exact: bool = True
    low: str | None = None
    high: str | None = None
    mean: float | None = None
    deviation: float | None = None
    top: tuple[tuple[str, float], ...] = ()
    disguised_missing: tuple[str, ...] = ()
    duplicate_of: str | None = None
    in_train: bool = True
    in_test: bool = True
    drift: float | None = None
    personal: tuple[str, ...] = ()


class FileProfile(Record, frozen=True, kw_only=True):
    """One data file: what it is for, how it is written, and where its parsed table lies.

    ``table`` is the file's name under ``input/tables``, "" for files that are no table. ``join_columns`` maps a
    lookup table's key columns to the train column that each joins. ``personal`` maps the columns of a table beside
    train, test and sample that hold personal data to its kinds.
    """

    name: str
    role: FileRole
    confidence: float = 1.0
    evidence: str = ""
    format: str = ""
    encoding: str = ""
    delimiter: str = ""
    rows: int = 0
    ragged_rows: int = 0
    columns: tuple[str, ...] = ()
    table: str = ""
    join_columns: dict[str, str] = {}
    join_is_unique: bool = True
    personal: dict[str, tuple[str, ...]] = {}


class SplitHints(Record, frozen=True, kw_only=True):
    """How test differs from train, and the validation scheme that follows.

    ``column`` is a column's name, or a group made from one column: ``part(COLUMN, "SEPARATOR", INDEX)`` is the
    0-based part of its text between separators, ``day(COLUMN)`` the day of a time, ``days(COLUMN, COUNT)`` stretches
    of so many days. A column of that very name wins.
    Duplicate rows are None where there was no time to count them.
    """

    scheme: ValidationScheme = "kfold"
    column: str | None = None
    reason: str = ""
    confidence: float = 0.5
    adversarial_auc: float | None = None
    adversarial_columns: tuple[str, ...] = ()
    duplicate_train_rows: int | None = 0
    duplicate_rows_across: int | None = 0


class DataProfile(Record, frozen=True, kw_only=True):
    """What was found in the data folder.

    ``submission_columns`` are all columns of the submission in file order, ids included; ``submission_labels`` maps
    each that holds the probability of one class to its label. ``submission_header`` is the sample's first line where
    it says something else. ``classes`` maps a target of labels to them, ``target_parts`` a target of values to the
    columns of train alone that add up to it.
    """

    version: int = 1
    files: tuple[FileProfile, ...]
    columns: tuple[ColumnProfile, ...]
    train: str
    test: str
    sample_submission: str | None = None
    train_rows: int
    test_rows: int
    target_columns: tuple[str, ...]
    target_guess: Guess
    id_columns: tuple[str, ...]
    id_guess: Guess
    submission_columns: tuple[str, ...]
    submission_labels: dict[str, str] = {}
    submission_header: tuple[str, ...] = ()
    submission_kind: SubmissionKind
    task_type: TaskType
    task_guess: Guess
    modality: Literal["tabular", "text", "image", "timeseries"] = "tabular"
    classes: dict[str, tuple[str, ...]] = {}
    metric_suggestion: Guess
    split: SplitHints
    warnings: tuple[str, ...] = ()
    target_parts: dict[str, tuple[str, ...]] = {}
