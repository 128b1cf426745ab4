"""What a model sees of a row; this file joins the columns with what the target tells of their values."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from encoding import Matrix


def joined(role: str, values: Matrix, rows: npt.NDArray[np.int64], told: Matrix) -> Matrix:
    """Return (rows, features + told); ``values`` and ``told`` have a row for each of ``rows``, positions in ``role``.

    Templates for other than plain tables put more behind: words, pictures.
    """
    return np.concatenate([values, told], axis=1)


def columns_behind() -> list[str]:
    """Return the columns of train from which ``joined`` puts more behind, by ``rows`` and not by ``values``."""
    return []
