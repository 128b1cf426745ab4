"""What a model sees of a row; this file puts what texts say behind the other columns.

``features.documents`` in the configuration names the form: ``words``, ``meaning`` or ``words and meaning`` for linear
models, ``topics`` or ``topics and meaning`` for trees, ``none``.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

import files
from encoding import Matrix

# Several fits ask at once for what is counted only once.
COUNTING = threading.Lock()
# Both have length 1; what a text means says more than its words, of which most are rare.
MEANING_SCALE = 1.5


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
    form = _form()
    if form == "none":
        return dense
    with COUNTING:
        said = _said(role, form)
    return np.concatenate([dense, said[rows]], axis=1) if isinstance(said, np.ndarray) else Mixed(dense, said[rows])


@cache
def _said(role: str, form: str) -> Any:
    """Return what all texts of train or test say: a matrix where topics are in it, else in compressed rows."""
    import documents
    import meaning

    parts = form.split(" and ")
    found: list[Any] = [documents.topics(role)] if "topics" in parts else []
    if "words" in parts:
        found.append(documents.words(role))
    if "meaning" in parts:
        found.append(meaning.meanings(role))
    if "topics" in parts:
        return np.concatenate(found, axis=1)
    compressed = [sparse.csr_matrix(MEANING_SCALE * each) if isinstance(each, np.ndarray) else each for each in found]
    return sparse.hstack(compressed, format="csr", dtype=np.float32)


def columns_behind() -> list[str]:
    """Return the columns of train whose texts ``joined`` puts behind; their words are counted together."""
    import documents

    return documents.text_columns() if _form() != "none" else []


def _form() -> str:
    return str(files.config()["features"].get("documents", "topics"))
