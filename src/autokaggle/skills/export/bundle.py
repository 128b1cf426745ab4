"""What leaves a run: its published code and all that the code needs; this file holds the record and reads the code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from autokaggle.records.outcome import Metrics
from autokaggle.records.run import Run

READER = Path(__file__).with_name("read_tables.py")

Folds = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Bundle:
    """One run to export.

    ``code`` maps paths under ``code/`` to their text. ``folds`` is (repeats, train_rows): the fold of each row.
    ``tables`` is what ``read_tables.py`` reads. ``packages`` are the locked versions of what the code asks for.
    """

    run: Run
    title: str
    metrics: Metrics
    code: Mapping[str, str]
    folds: Folds
    tables: Mapping[str, Any]
    packages: Mapping[str, str]
    requirements: str
    lock: str
    report: bytes

    @property
    def tables_json(self) -> str:
        """The text of ``tables.json``."""
        return msgspec.json.format(msgspec.json.encode(self.tables), indent=1).decode()


def read_code(code: Path) -> dict[str, str]:
    """Return the text of every file of a code folder, by its path there."""
    found = (path for path in sorted(code.rglob("*")) if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(code).as_posix(): path.read_text("utf-8") for path in found}
