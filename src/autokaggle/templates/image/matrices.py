"""What a model sees of a row; this file puts what an image shows behind the other columns.

``features.pictures`` in the configuration says how: ``looks`` (colours, textures, edges), or ``network`` (those, and
what a trained network makes of the image), ``none``.
"""

from __future__ import annotations

import threading

import numpy as np
import numpy.typing as npt

import files
from encoding import Matrix

# Several fits ask at once for what is looked at only once.
LOOKING = threading.Lock()


def joined(role: str, values: Matrix, rows: npt.NDArray[np.int64], told: Matrix) -> Matrix:
    """Return (rows, features); ``rows`` are positions in the table of ``role``."""
    blocks = [values, told]
    form = _form()
    with LOOKING:
        if form != "none":
            import pictures

            blocks.append(pictures.looks(role)[rows])
        if form == "network":
            import vision

            blocks.append(vision.views(role)[rows])
    return np.concatenate(blocks, axis=1)


def columns_behind() -> list[str]:
    """Return the column of train that names the images, of which ``joined`` puts what they show behind."""
    import pictures

    return [pictures.column("train")] if _form() != "none" else []


def _form() -> str:
    return str(files.config()["features"].get("pictures", "looks"))
