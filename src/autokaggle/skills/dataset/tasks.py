"""Which kind of learning problem; this file names the task from the target's values and the competition's words.

It does not name the metric: matching a wording to a metric belongs to scoring. The suggestion made here
is what suits the task when nothing better is known.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Literal, get_args

from autokaggle.errors import CompetitionUnusable
from autokaggle.records.data_profile import (
    ColumnProfile,
    FileProfile,
    Guess,
    SubmissionKind,
    TaskType,
    ValidationScheme,
)
from autokaggle.skills.dataset.column_types import is_number, stands_for_missing

CLASS_WORDING = re.compile(
    r"\baccuracy\b|\bf1\b|f-?score|\bauc\b|roc curve|log ?loss|logarithmic loss|matthews|\bmcc\b|classif|"
    r"gini|average precision|\bmap ?@",
    re.IGNORECASE,
)
VALUE_WORDING = re.compile(
    r"root.mean|mean.(absolute|squared)|\brmsl?e\b|\bmae\b|\bmse\b|\br2\b|r\^2|r-squared|s?mape\b|pearson|spearman|"
    r"median absolute",
    re.IGNORECASE,
)
ORDINAL_WORDING = re.compile(r"quadratic.weighted.kappa|\bqwk\b|weighted kappa|ordinal", re.IGNORECASE)
MOST_CLASSES_AS_NUMBERS = 20
# Of the different values of a target of numbers, so many may be something else.
ODD_SHARE = 0.05
LONGEST_SHOWN = 40
DECIMAL_COMMA = re.compile(r"[-+]?[0-9]+(,[0-9]+)?")
FEW_COLUMNS = 3
USELESS_KINDS = ("id", "path", "constant", "duplicate")

Modality = Literal["tabular", "text", "image", "timeseries"]


def find_task(values: Mapping[str, Sequence[str]], rows: int, wording: str, *, asks_for_labels: bool = False) -> Guess:
    """Name the task; ``values`` maps each target to its distinct values in train, ``wording`` is what the pages say.

    ``asks_for_labels``: the submission names the labels, which then are labels though they may look like numbers.
    Forecasting and images are decided later, from the split and the files.
    """
    if asks_for_labels:
        tasks = [_of_labels(found, len(found), "the submission names its labels") for found in values.values()]
    else:
        tasks = [_one_target(found, rows, wording) for found in values.values()]
    if len(tasks) == 1:
        return tasks[0]
    kinds = {task.value for task in tasks}
    evidence = f"{len(tasks)} targets; {tasks[0].evidence}"
    confidence = min(task.confidence for task in tasks)
    if kinds <= {"binary_classification"}:
        return Guess(value="multilabel_classification", confidence=confidence, evidence=evidence)
    if "regression" in kinds:
        return Guess(value="regression", confidence=confidence, evidence=evidence)
    return Guess(value="multiclass_classification", confidence=confidence, evidence=evidence)


def refuse_texts_beside_numbers(values: Mapping[str, Sequence[str]]) -> None:
    """Refuse targets of which some hold numbers and others texts: one run learns either amounts or labels.

    ``values`` maps each target to its distinct values in train, without those that stand for missing ones.

    Raises:
        CompetitionUnusable: a target holds texts, and another one none.
    """
    texts = {name: next((value for value in found if not is_number(value)), None) for name, found in values.items()}
    of_texts = next(((name, text) for name, text in texts.items() if text is not None), None)
    of_numbers = next((name for name, text in texts.items() if text is None), None)
    if of_texts and of_numbers is not None:
        name, text = of_texts
        raise CompetitionUnusable(
            f"Target {name!r} holds texts, such as {text[:LONGEST_SHOWN]!r}, and {of_numbers!r} numbers: "
            "one run predicts either texts or numbers.",
            "Start a run for each, on copies of the data folder whose sample submission asks for that target alone, "
            "and put the predicted columns together.",
        )


def refine(
    task: Guess,
    columns: Sequence[ColumnProfile],
    folders: Sequence[FileProfile],
    scheme: ValidationScheme,
    targets: Collection[str],
) -> tuple[Guess, Modality]:
    """See the whole: images or text instead of columns, and numbers that are to be forecast."""
    features = [
        column
        for column in columns
        if column.in_train and column.in_test and column.name not in targets and column.kind not in USELESS_KINDS
    ]
    if any(folder.role == "image" and folder.join_columns for folder in folders) and len(features) <= FEW_COLUMNS:
        if is_classification(task.value):
            evidence = f"{task.evidence}; rows name images"
            task = Guess(value="image_classification", confidence=task.confidence, evidence=evidence)
        return task, "image"
    if any(column.kind == "text" for column in features) and len(features) <= FEW_COLUMNS:
        return task, "text"
    if task.value == "regression" and scheme == "time":
        evidence = f"{task.evidence}; test lies after train in time"
        return Guess(value="time_series_forecasting", confidence=0.8, evidence=evidence), "timeseries"
    return task, "tabular"


def task_type(task: Guess) -> TaskType:
    """Return the guess's value as a task."""
    return next(known for known in get_args(TaskType) if known == task.value)


def suggest_metric(task: TaskType, kind: SubmissionKind) -> Guess:
    """Name the metric that suits task and submission when the competition names none."""
    if kind == "ranked_labels":
        return Guess(value="map_at_k", confidence=0.6, evidence="the submission lists labels in order")
    if task == "ordinal":
        return Guess(value="quadratic_weighted_kappa", confidence=0.5, evidence="the labels have an order")
    if task in ("regression", "time_series_forecasting"):
        return Guess(value="rmse", confidence=0.4, evidence="the target is a number")
    if kind == "class_probability" or (kind == "probability" and task == "multiclass_classification"):
        return Guess(value="mlogloss", confidence=0.5, evidence="the submission holds a probability for each class")
    if kind == "probability":
        return Guess(value="roc_auc", confidence=0.5, evidence="the submission holds probabilities")
    return Guess(value="accuracy", confidence=0.5, evidence="the submission holds labels")


def is_classification(task: str) -> bool:
    """Tell whether the target's text is a label that must be kept exactly."""
    return task not in ("regression", "time_series_forecasting")


def sort_labels(labels: Sequence[str]) -> tuple[str, ...]:
    """Sort labels, numerically when all are numbers; the last one is the positive class."""
    if all(map(is_number, labels)):
        return tuple(sorted(labels, key=lambda label: (float(label), label)))
    return tuple(sorted(labels))


def labels_of(found: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """Return the labels of each target, sorted.

    A target that shows one of the two labels that others have can be both: else the one would be its positive class.
    """
    pairs = {sort_labels(values) for values in found.values() if len(values) == 2}
    pair = pairs.pop() if len(pairs) == 1 else ()
    return {
        name: pair if len(values) == 1 and values[0] in pair else sort_labels(values) for name, values in found.items()
    }


def odd_values(found: Sequence[str], wording: str) -> tuple[str, ...]:
    """Return what is no finite number among the different values of a target that holds amounts; () of any other.

    Few whole numbers may be labels, and so may a text beside them, unless ``wording`` measures distances.
    """
    numbers = _numbers(found)
    known = set(numbers)
    odd = tuple(value for value in found if value not in known)
    words = sum(not stands_for_missing(value) for value in odd)
    is_of_amounts = len(numbers) > 2 and (
        len(numbers) > MOST_CLASSES_AS_NUMBERS
        or (VALUE_WORDING.search(wording) and not CLASS_WORDING.search(wording))
        or not all(value.is_integer() for value in _read(numbers))
    )
    return odd if is_of_amounts and words <= ODD_SHARE * len(numbers) else ()


def _numbers(found: Sequence[str]) -> Sequence[str]:
    """Return the texts that are numbers, written with a point or with a comma as most of them are."""
    pointed = [value for value in found if is_number(value)]
    with_comma = [value for value in found if DECIMAL_COMMA.fullmatch(value)]
    return max(pointed, with_comma, key=len)


def _read(numbers: Sequence[str]) -> set[float]:
    return {float(value.replace(",", ".")) for value in numbers}  # 1 and 1.0 are one


def _one_target(found: Sequence[str], rows: int, wording: str) -> Guess:
    numbers, odd = _numbers(found), odd_values(found, wording)
    if odd:
        task = _of_numbers(numbers, rows, wording)
        if not is_classification(task.value):
            evidence = (
                f"{task.evidence}; {len(odd)} other {'text' if len(odd) == 1 else 'texts'} stand for missing ones"
            )
            return Guess(value=task.value, confidence=task.confidence, evidence=evidence)
    if len(numbers) < len(found):
        return _of_labels(found, len(found), "the target holds text")
    return _of_numbers(numbers, rows, wording)


def _of_numbers(found: Sequence[str], rows: int, wording: str) -> Guess:
    numbers = _read(found)
    count = len(numbers)
    whole = all(value.is_integer() for value in numbers)
    if count <= 2:
        return _of_labels(found, len(found), f"the target is {' or '.join(found)}")
    if whole and count <= 10 * MOST_CLASSES_AS_NUMBERS and ORDINAL_WORDING.search(wording):
        return Guess(
            value="ordinal", confidence=0.95, evidence=f"{count} whole numbers, and the metric uses their order"
        )
    says_value, says_class = bool(VALUE_WORDING.search(wording)), bool(CLASS_WORDING.search(wording))
    if says_value and not says_class:
        return Guess(value="regression", confidence=0.95, evidence=f"{count} numbers, and the metric measures distance")
    few = whole and count <= MOST_CLASSES_AS_NUMBERS and count * 20 <= rows
    if says_class and not says_value and whole:
        return Guess(value="multiclass_classification", confidence=0.9, evidence=f"{count} labels, by the metric")
    if few:
        return Guess(
            value="multiclass_classification", confidence=0.55, evidence=f"only {count} different whole numbers"
        )
    return Guess(value="regression", confidence=0.9, evidence=f"{count} or more different numbers")


def _of_labels(found: Sequence[str], count: int, evidence: str) -> Guess:
    if count <= 2:
        return Guess(value="binary_classification", confidence=0.97 if count == 2 else 0.6, evidence=evidence)
    return Guess(value="multiclass_classification", confidence=0.95, evidence=f"{evidence}, {count} labels")
