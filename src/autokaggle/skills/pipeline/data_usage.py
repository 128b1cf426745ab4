"""What a pipeline leaves aside; this file finds the given tables that its code never names."""

from __future__ import annotations

import ast
from pathlib import Path

from autokaggle.python_code import parse_python
from autokaggle.records.data_profile import DataProfile

READ_BY_TEMPLATES = ("train", "test", "sample_submission")


def unread_files(code: Path, profile: DataProfile) -> list[str]:
    """Return the names of the tables, beside train and test, whose name stands in no text of the code."""
    texts = [text for path in sorted(code.glob("*.py")) for text in _texts(path)]
    others = [file for file in profile.files if file.table and file.role not in READ_BY_TEMPLATES]
    return [file.name for file in others if not any(Path(file.table).stem in text for text in texts)]


def _texts(path: Path) -> list[str]:
    tree = parse_python(path.read_text("utf-8"), path.name)
    return [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
