"""Files of templates as a candidate has them: in one folder, importing each other by plain names."""

from __future__ import annotations

import importlib
import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import autokaggle.templates as templates

FOLDER = Path(templates.__file__).parent


@contextmanager
def template_file(name: str, *kinds: str) -> Iterator[ModuleType]:
    """Import one file of the templates of these kinds, of which the last comes first; afterwards all is as before."""
    folders = [FOLDER / kind for kind in kinds or ("tabular",)]
    names = [path.stem for folder in folders for path in folder.glob("*.py")]
    before = {each: sys.modules.pop(each, None) for each in names}
    for folder in folders:
        sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        yield importlib.import_module(name)
    finally:
        del sys.path[: len(folders)]
        for each in names:
            sys.modules.pop(each, None)
        sys.modules.update({each: module for each, module in before.items() if module})


def make_task(x: Any, y: Any, classes: int, parameters: dict[str, Any]) -> Any:
    """Return what a family of the template that is imported now gets: rows of numbers, without a clock."""
    models = sys.modules["models"]
    return models.Task(
        rows=models.Rows(x, y),
        watched=None,
        objective="log_loss" if classes else "squared_error",
        classes=classes,
        category_columns=[],
        seed=1,
        end=math.inf,
        parameters=parameters,
    )
