"""The file to hand in; this file writes ``submission.csv`` from decided values, replacing it whole or not at all.

It does not judge what it writes: ``checker`` does, without trusting it.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from autokaggle.records import Plan, SubmissionFacts
from autokaggle.skills.submission.id_rows import read_id_rows
from autokaggle.storage.records_file import write_atomically


def write_submission(path: Path, values: Mapping[str, Sequence[str]], plan: Plan, tables: Path) -> SubmissionFacts:
    """Write one line per row to hand in, in the order of the sample submission, else of test.

    ``values`` holds, for each submission column but the ids, one text per test row in file order.

    Raises:
        OutsideWorldError: the disk is full or the folder cannot be written; the old file is untouched.
    """
    rows = read_id_rows(plan, tables)
    columns = [
        rows.ids[name] if name in rows.ids else [values[name][row] for row in rows.test_rows]
        for name in plan.submission.columns
    ]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(plan.submission.columns)
    writer.writerows(zip(*columns, strict=True))
    content = text.getvalue().encode()
    write_atomically(path, content)
    return SubmissionFacts(rows=len(rows.test_rows), sha256=hashlib.sha256(content).hexdigest())
