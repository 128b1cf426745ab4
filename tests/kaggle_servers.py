"""Loopback Kaggle servers for tests; this file starts them and writes the small competition that they serve."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from autokaggle.skills.competition.credentials import Credentials
from autokaggle.skills.competition.kaggle_client import KaggleClient
from autokaggle.skills.competition.retries import RetryPolicy

USER = "tester"
KEY = "0123456789abcdef0123456789abcdef"
TOKEN = "KGAT_emulatortoken0123456789abcdef"
LEGACY = Credentials("kaggle.json", "legacy key", KEY, USER)
QUICK = RetryPolicy(attempts=4, first_wait_seconds=0.01, longest_wait_seconds=0.05)
RULES = """# Rules

- You may submit a maximum of five (5) Submissions per day.
- The maximum Team size is five (5).
- Use of external data is not permitted.
"""
EVALUATION = "# Evaluation\n\nSubmissions are scored on **accuracy**, the share of rows that are right.\n"


def write_competition(root: Path, slug: str = "tiny-titanic", **settings: Any) -> Path:
    """Write a competition of three small tables and an image folder in the layout that both servers read."""
    folder = root / slug
    for name, text in {
        "data/train.csv": "id,age,name,survived\n" + "".join(f"{i},{20 + i},n{i},{i % 2}\n" for i in range(60)),
        "data/test.csv": "id,age,name\n" + "".join(f"{i},{20 + i},n{i}\n" for i in range(60, 80)),
        "data/sample_submission.csv": "id,survived\n" + "".join(f"{i},0\n" for i in range(60, 80)),
        "data/images/train/0.txt": "left",
        "data/images/test/0.txt": "right, and longer",
        "pages/rules.md": RULES,
        "pages/Evaluation.md": EVALUATION,
        "pages/description.html": "<h2>Who survived?</h2><p>Predict it <b>well</b>.</p><!-- hidden -->",
        "private/solution.csv": "id,survived,Usage\n"
        + "".join(f"{i},{i % 2},{'Public' if i % 3 else 'Private'}\n" for i in range(60, 80)),
    }.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    facts = {
        "title": "Tiny Titanic",
        "evaluationMetric": "Categorization Accuracy",
        "category": "Getting Started",
        "deadline": "2030-01-01T23:59:00Z",
        "maxDailySubmissions": 5,
        "maxTeamSize": 5,
    }
    (folder / "competition.json").write_text(json.dumps({**facts, **settings}))
    return folder


def data_of(competition: Path) -> dict[str, bytes]:
    """Return what ``input/data`` must hold after a fetch."""
    return contents(competition / "data")


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file below ``folder`` by its relative name."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@contextlib.contextmanager
def reference_emulator(shared_folder: Path, root: Path, **options: Any) -> Iterator[Any]:
    """Serve ``root`` with the emulator that stands beside a checkout."""
    path = shared_folder / "tools" / "kaggle_emulator.py"
    name = "kaggle_emulator"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    module = sys.modules[name]
    with module.running_emulator(root, options=module.Options(**options)) as emulator:
        yield emulator


@contextlib.contextmanager
def open_client(
    url: str | None, credentials: Credentials = LEGACY, retry: RetryPolicy = QUICK
) -> Iterator[KaggleClient]:
    client = KaggleClient(url, credentials, retry=retry)
    try:
        yield client
    finally:
        client.close()
