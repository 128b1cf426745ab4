"""The file to hand in; this file writes ``submission.csv``, ids as the exact text that the competition's files have.

It does not check the values: ``checker`` does, without trusting this file.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from autokaggle.errors import AutoKaggleError, CompetitionUnusable
from autokaggle.records.outcome import SubmissionFacts
from autokaggle.records.plan import Plan
from autokaggle.storage.parquet_tables import column_types, read_text_columns, row_count
from autokaggle.storage.records_file import write_atomically

Key = tuple[str | None, ...]
# More ids without a row in test than this, and the two files do not belong together.
MOST_UNKNOWN_SHARE = 0.05


def write_submission(path: Path, values: Mapping[str, Sequence[str]], plan: Plan, tables: Path) -> SubmissionFacts:
    """Write one line per row of the plan's ``ids_from`` table, in its order, atomically.

    ``values`` holds the text of each submission column but the ids, one for each row of test in file order. Rows are
    matched by id; where test has no such ids, by place. A row whose id test does not have gets the ordinary answer.

    Raises:
        CompetitionUnusable: the rows to hand in are not those of test.
        AutoKaggleError: a submission column has no values, or too few.
    """
    layout = plan.submission
    ids = read_text_columns(tables / layout.ids_from, layout.id_columns) if layout.id_columns else {}
    order = _order(plan, tables, list(zip(*ids.values(), strict=True)))
    test_rows = row_count(tables / plan.test_table)
    for name in layout.columns:
        if name not in ids and len(values.get(name, ())) != test_rows:
            raise AutoKaggleError(
                f"Submission column {name!r} has {len(values.get(name, ()))} values for {test_rows} test rows.",
                "This is a fault of the pipeline; the submission was not replaced.",
            )
    columns = [ids[name] if name in ids else _answers(values[name], order) for name in layout.columns]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(layout.first_line)
    writer.writerows(zip(*columns, strict=True))
    content = text.getvalue().encode()
    write_atomically(path, content)
    return SubmissionFacts(rows=len(order), sha256=hashlib.sha256(content).hexdigest())


def _answers(values: Sequence[str], order: Sequence[int | None]) -> list[str]:
    """Return one answer per row to hand in; what cannot be predicted gets the middle number, or the commonest label.

    The same rule stands in ``templates/tabular/submission.py``, which must reproduce the file.
    """
    ordinary = "" if None not in order else _ordinary(values)
    return [ordinary if row is None else values[row] for row in order]


def _ordinary(values: Sequence[str]) -> str:
    try:
        return sorted(values, key=float)[len(values) // 2]
    except ValueError:
        return max(sorted(set(values)), key=Counter(values).__getitem__)


def _order(plan: Plan, tables: Path, wanted: Sequence[Key]) -> list[int | None]:
    """Return for each row to hand in its position in test, None for an id that test does not have."""
    layout, test = plan.submission, tables / plan.test_table
    test_rows = row_count(test)
    rows = len(wanted) if layout.id_columns else row_count(tables / layout.ids_from)
    has_ids = bool(layout.id_columns) and set(layout.id_columns) <= set(column_types(test))
    if layout.ids_from != plan.test_table and has_ids:
        keys = list(zip(*read_text_columns(test, layout.id_columns).values(), strict=True))
        if keys == wanted:
            return list(range(rows))
        position = {key: row for row, key in enumerate(keys)}
        missing = [key for key in wanted if key not in position]
        if len(missing) <= MOST_UNKNOWN_SHARE * len(wanted):
            return [position.get(key) for key in wanted]
        if len(missing) < len(wanted):
            raise CompetitionUnusable(
                f"{len(missing):,} ids of {layout.ids_from} are not in {plan.test_table}, for instance {missing[0]}.",
                "Check that the sample submission and the test file belong together.",
            )
    if rows != test_rows:
        raise CompetitionUnusable(
            f"{layout.ids_from} asks for {rows:,} rows, but {plan.test_table} has {test_rows:,}, and ids do not match.",
            "Check that the sample submission and the test file belong together.",
        )
    return list(range(rows))
