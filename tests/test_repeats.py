"""Ids that occur twice are counted exactly, whichever way is the cheaper one."""

from __future__ import annotations

from pathlib import Path

import pytest

from autokaggle.skills.dataset.repeats import count_copied_ids
from autokaggle.skills.dataset.tables import connect
from tests.csv_folder import Columns, facts_of


@pytest.mark.parametrize(
    ("columns", "copies"),
    [
        ({"id": [*range(-50, 50)]}, 0),
        ({"id": [*range(-50, 50), 7, 7, -50]}, 3),
        ({"id": [10**12 * n for n in range(50)] + [0]}, 1),
        ({"id": [f"x{n}" for n in range(50)] + ["x3"]}, 1),
        ({"id": [1, 2, 2, None, None]}, 2),
        ({"id": [1, 1, 2, 2], "day": [1, 2, 1, 1]}, 1),
    ],
)
def test_repeated_ids_are_counted(columns: Columns, copies: int, tmp_path: Path) -> None:
    facts = facts_of(tmp_path, columns)

    with connect(tmp_path) as connection:
        assert count_copied_ids(connection, tmp_path / "facts.parquet", facts) == copies
