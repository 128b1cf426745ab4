"""The columns that a submission must fill; this file maps targets and classes to them.

Nothing is guessed from values: only names and order count.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from autokaggle.errors import CompetitionUnusable
from autokaggle.records.plan import Plan


@dataclass(frozen=True)
class AnswerColumns:
    """One target: positions of its prediction columns, and the submission columns that they fill.

    With several submission columns, the n-th is that of the n-th class.
    """

    target: str
    inputs: tuple[int, ...]
    outputs: tuple[str, ...]
    labels: tuple[str, ...]


def answer_columns(plan: Plan) -> tuple[AnswerColumns, ...]:
    """Return the columns of each target, in the order of the plan's targets.

    Raises:
        CompetitionUnusable: the submission does not have the columns that the targets need.
    """
    wanted = [column for column in plan.submission.columns if column not in plan.submission.id_columns]
    widths = [_width(plan, target) for target in plan.target_columns]
    per_class = len(wanted) == sum(widths) and len(wanted) > len(plan.target_columns)
    if not per_class and len(wanted) != len(plan.target_columns):
        raise CompetitionUnusable(
            f"The submission has {len(wanted)} columns to fill, for {len(plan.target_columns)} targets "
            f"with {sum(widths)} prediction columns.",
            "Name the target in the chat, or check the sample submission.",
        )
    found, start = [], 0
    for position, (target, width) in enumerate(zip(plan.target_columns, widths, strict=True)):
        labels = plan.classes.get(target, ())
        if per_class:
            outputs = _of_classes(_of_target(wanted, target, start, width), labels)
        else:
            outputs = (target if set(wanted) == set(plan.target_columns) else wanted[position],)
        found.append(AnswerColumns(target, tuple(range(start, start + width)), outputs, labels))
        start += width
    return tuple(found)


def _width(plan: Plan, target: str) -> int:
    return len(plan.classes[target]) if plan.task_type == "multiclass_classification" else 1


def _of_target(wanted: Sequence[str], target: str, start: int, width: int) -> list[str]:
    named = [column for column in wanted if column.startswith(target)]
    return named if len(named) == width else list(wanted[start : start + width])


def _of_classes(columns: Sequence[str], labels: Sequence[str]) -> tuple[str, ...]:
    """Return the columns in the order of the labels: by name, by name after a shared beginning, else as they stand."""
    shared = _shared_beginning(columns)
    for prefix in ("", shared, re.sub(r"[^\W_]*$", "", shared)):
        by_name = {_plain(column[len(prefix) :]): column for column in columns}
        if len(by_name) == len(columns) and by_name.keys() == {_plain(label) for label in labels}:
            return tuple(by_name[_plain(label)] for label in labels)
    return tuple(columns)


def _shared_beginning(names: Sequence[str]) -> str:
    first, last = min(names), max(names)
    length = next((place for place, letter in enumerate(first) if last[place] != letter), len(first))
    return first[:length]


def _plain(name: str) -> str:
    return re.sub(r"\s+", "_", name.strip()).casefold()
