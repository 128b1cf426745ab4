"""The rows to hand in; this file reads their ids as exact text and finds the test row that each stands for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from autokaggle.records import Plan
from autokaggle.storage.parquet_tables import column_types, read_text_columns, row_count


@dataclass(frozen=True)
class IdRows:
    """``ids[column]`` holds one text per row to hand in, in file order; ``test_rows`` the 0-based test row of each."""

    ids: dict[str, list[str]]
    test_rows: list[int]

    def keys(self) -> list[tuple[str, ...]]:
        """Return the ids of each row to hand in."""
        return list(zip(*self.ids.values(), strict=True)) if self.ids else [(str(row),) for row in self.test_rows]


def read_id_rows(plan: Plan, tables: Path) -> IdRows:
    """Read the rows to hand in from the plan's ``ids_from``.

    Rows of a sample submission are matched to test by id; where an id occurs twice in test, its first row counts.
    Where test lacks the ids, or lacks one of them, the order of the rows decides.
    """
    names = plan.submission.id_columns
    test = tables / plan.test_table
    if not names:
        return IdRows({}, list(range(row_count(test))))
    ids = _ids(tables / plan.submission.ids_from, names)
    rows = len(ids[names[0]])
    if plan.submission.ids_from == plan.test_table or not set(names) <= set(column_types(test)):
        return IdRows(ids, list(range(rows)))
    position: dict[tuple[str, ...], int] = {}
    for row, key in enumerate(zip(*_ids(test, names).values(), strict=True)):
        position.setdefault(key, row)
    wanted = list(zip(*ids.values(), strict=True))
    if all(key in position for key in wanted):
        return IdRows(ids, [position[key] for key in wanted])
    return IdRows(ids, list(range(rows)))


def _ids(table: Path, names: tuple[str, ...]) -> dict[str, list[str]]:
    found = read_text_columns(table, names)
    return {name: ["" if value is None else value for value in values] for name, values in found.items()}
