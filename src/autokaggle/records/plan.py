"""What was agreed; this file holds the records of input/chat_decisions.json, and the plan that follows from them."""

from __future__ import annotations

from typing import Any, Literal

from autokaggle.records.base import Record
from autokaggle.records.data_profile import SubmissionKind, TaskType, ValidationScheme


class Decision(Record, frozen=True, kw_only=True):
    """One thing agreed before the search; ``by`` says who decided it."""

    key: str
    value: Any
    by: Literal["user", "model", "strategist", "flag", "rules"]
    why: str


class Decisions(Record, frozen=True, kw_only=True):
    """All that was agreed, one decision a key."""

    version: int = 1
    decisions: tuple[Decision, ...] = ()


class Validation(Record, frozen=True, kw_only=True):
    """How folds are made; ``adversarial_auc`` is how surely a model tells test from train, None when not measured."""

    scheme: ValidationScheme
    folds: int
    repeats: int = 1
    column: str | None = None
    reason: str = ""
    adversarial_auc: float | None = None


class SubmissionFormat(Record, frozen=True, kw_only=True):
    """How ``submission.csv`` looks: ``columns`` in file order, ids first as the sample file has them.

    ``ids_from`` is the table (file name under ``input/tables``) whose rows, in order, are the rows to hand in.
    ``header`` is the sample file's first line where columns are called otherwise here: some are empty, or equal.
    """

    kind: SubmissionKind
    columns: tuple[str, ...]
    id_columns: tuple[str, ...]
    ids_from: str
    list_length: int = 0
    header: tuple[str, ...] = ()

    @property
    def first_line(self) -> tuple[str, ...]:
        return self.header or self.columns


class Plan(Record, frozen=True, kw_only=True):
    """What the search works from.

    ``prediction_columns`` are the columns of the two prediction files: one per target for values and for binary
    probabilities (of the last class), one per class for a single multiclass target, ``TARGET=CLASS`` for several
    multiclass targets. ``original_table`` holds the data set behind a synthetic competition, "" when the user gave
    none. ``gpu`` says that what can use a GPU does.
    """

    version: int = 1
    slug: str
    task_type: TaskType
    target_columns: tuple[str, ...]
    id_columns: tuple[str, ...]
    classes: dict[str, tuple[str, ...]] = {}
    prediction_columns: tuple[str, ...]
    metric: str
    greater_is_better: bool
    submission: SubmissionFormat
    train_table: str
    test_table: str
    validation: Validation
    template: str = "tabular"
    families: tuple[str, ...] = ()
    drop_columns: tuple[str, ...] = ()
    seed: int = 0
    time_budget_seconds: float = 600.0
    original_table: str = ""
    gpu: bool = False

    @property
    def predicts_probabilities(self) -> bool:
        """Tell whether predictions are probabilities of classes; labels that have an order are predicted as values."""
        return bool(self.classes) and self.task_type != "ordinal"
