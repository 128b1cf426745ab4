"""What a model sees of a row; this file puts what texts say behind the other columns.

``features.documents`` in the configuration names the form: ``words`` for linear models, ``topics`` for trees, ``none``.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

import files
from encoding import Matrix

# Several fits ask at once for what is counted only once.
COUNTING = threading.Lock()


@dataclass(frozen=True)
class Mixed:
    """Rows of dense columns beside rows of many, mostly empty ones."""

    dense: Matrix
    words: Any

    @property
    def shape(self) -> tuple[int, int]:
        return (self.dense.shape[0], self.dense.shape[1] + self.words.shape[1])

    def __len__(self) -> int:
        return len(self.dense)


def joined(role: str, values: Matrix, rows: npt.NDArray[np.int64], told: Matrix) -> Any:
    """Return the rows: a matrix, or ``Mixed``; ``rows`` are positions in the table of ``role``."""
    dense = np.concatenate([values, told], axis=1)
    form = files.config()["features"].get("documents", "topics")
    if form == "none":
        return dense
    import documents

    with COUNTING:
        counted = documents.words(role) if form == "words" else documents.topics(role)
    return Mixed(dense, counted[rows]) if form == "words" else np.concatenate([dense, counted[rows]], axis=1)
