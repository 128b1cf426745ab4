"""What a model sees of a row; this file joins the columns with what the target tells of their values."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from encoding import Matrix


def joined(role: str, values: Matrix, rows: npt.NDArray[np.int64], told: Matrix) -> Matrix:
    """Return (rows, features + told); ``values`` and ``told`` have a row for each of ``rows``, positions in ``role``.

    Templates for other than plain tables put more behind: words, pictures. Where there is neither, one column says the
    same of each row: models want something to learn from.
    """
    found = np.concatenate([values, told], axis=1)
    return found if found.shape[1] else np.zeros((len(found), 1), dtype=np.float32)


def columns_behind() -> list[str]:
    """Return the columns of train from which ``joined`` puts more behind, by ``rows`` and not by ``values``."""
    return []
