"""Loopback Kaggle servers for tests; this file starts them and writes the small competition that they serve."""

from __future__ import annotations

import contextlib
import email.utils
import importlib.util
import json
import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from autokaggle.practice.accounts import DEMO_KEY, DEMO_TOKEN, DEMO_USERNAME
from autokaggle.practice.kaggle_server import PracticeKaggle
from autokaggle.skills.competition.credentials import Credentials
from autokaggle.skills.competition.kaggle_client import KaggleClient
from autokaggle.skills.competition.retries import RetryPolicy

SLUG = "tiny-titanic"
BOTH_SERVERS = ("practice", "emulator")
STORAGE_FAULTS = frozenset(
    {"cut", "slow", "corrupt_zip", "zip_slip", "wrong_length", "no_ranges", "no_validators", "changed_object"}
)
QUICK = RetryPolicy(attempts=4, first_wait_seconds=0.01, longest_wait_seconds=0.05)
SAMPLE = "id,survived\n" + "".join(f"{number},0\n" for number in range(60, 80))
RULES = """# Rules

- You may submit a maximum of five (5) Submissions per day.
- The maximum Team size is five (5).
- Use of external data is not permitted.
"""
EVALUATION = "# Evaluation\n\nSubmissions are scored on **accuracy**, the share of rows that are right.\n"


def write_competition(root: Path, slug: str = SLUG, **settings: Any) -> Path:
    """Write a competition of three small tables and an image folder in the layout that both servers read."""
    folder = root / slug
    for name, text in {
        "data/train.csv": "id,age,name,survived\n" + "".join(f"{i},{20 + i},n{i},{i % 2}\n" for i in range(60)),
        "data/test.csv": "id,age,name\n" + "".join(f"{i},{20 + i},n{i}\n" for i in range(60, 80)),
        "data/sample_submission.csv": SAMPLE,
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


@dataclass(frozen=True)
class Seen:
    """One request as a server received it."""

    method: str
    path: str
    headers: Mapping[str, str]
    status: int

    @property
    def call(self) -> str:
        return self.path.rsplit("/", 1)[-1]

    @property
    def authorization(self) -> str | None:
        return self.headers.get("authorization")


@dataclass(frozen=True)
class KaggleServer:
    """What both servers offer; ``arm(kind, match=, times=, skip=, **options)`` plays a fault."""

    url: str
    credentials: Credentials
    token: str
    arm: Callable[..., Any]
    seen: Callable[[], list[Seen]]

    def calls(self, name: str) -> list[Seen]:
        return [each for each in self.seen() if each.call == name]

    def downloads(self) -> list[Seen]:
        return [each for each in self.seen() if each.method == "GET"]


@contextlib.contextmanager
def serve(kind: str, request: pytest.FixtureRequest, root: Path, **options: Any) -> Iterator[KaggleServer]:
    """Serve ``root`` with one of BOTH_SERVERS.

    The emulator stands beside a checkout; where it is absent, the test is skipped. ``options`` are
    ``error_envelope``, ``scoring_seconds`` and ``link_seconds``.
    """
    if kind == "practice":
        with PracticeKaggle(root, **options) as kaggle:
            yield _practice(kaggle)
    else:
        names = {"scoring_seconds": "scoring_delay", "link_seconds": "signed_url_seconds"}
        module = _loaded(request.getfixturevalue("shared_folder") / "tools" / "kaggle_emulator.py")
        named = {names.get(name, name): value for name, value in options.items()}
        with module.running_emulator(root, options=module.Options(**named)) as emulator:
            yield _reference(emulator)


def _practice(kaggle: PracticeKaggle) -> KaggleServer:
    def arm(fault: str, **options: Any) -> None:
        if "retry_after" in options:
            options["retry_after_seconds"] = options.pop("retry_after")
        kaggle.faults.add(fault, **options)

    def seen() -> list[Seen]:
        found = kaggle.log.exchanges()
        return [Seen(each.request.method, each.request.path, each.request.headers, each.status) for each in found]

    credentials = Credentials("kaggle.json", "legacy key", DEMO_KEY, DEMO_USERNAME)
    return KaggleServer(kaggle.url, credentials, DEMO_TOKEN, arm, seen)


def _reference(emulator: Any) -> KaggleServer:
    def arm(fault: str, **options: Any) -> None:
        if options.pop("as_date", False):
            moment = math.ceil(time.time() + options["retry_after"])
            options["retry_after"] = email.utils.formatdate(moment, usegmt=True)
        if fault in STORAGE_FAULTS:
            options.setdefault("match", "^/kaggle")
        if fault == "expired_link":
            options = {"match": "^/kaggle", "status": 403, **options}
            fault = "server_error"
        emulator.faults.add(fault, **options)

    def seen() -> list[Seen]:
        # The emulator logs a request only after it was answered.
        before = -1
        while before != len(emulator.log.entries):
            before = len(emulator.log.entries)
            time.sleep(0.03)
        return [
            Seen(
                entry["method"],
                entry["path"],
                {name.lower(): value for name, value in entry["headers"].items()},
                0 if entry["cut"] else entry["status"],
            )
            for entry in list(emulator.log.entries)
        ]

    credentials = Credentials("kaggle.json", "legacy key", emulator.options.key, emulator.options.user)
    return KaggleServer(emulator.url, credentials, emulator.options.tokens[0], arm, seen)


def _loaded(path: Path) -> Any:
    if path.stem not in sys.modules:
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None and spec.loader is not None
        sys.modules[path.stem] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[path.stem])
    return sys.modules[path.stem]


@contextlib.contextmanager
def open_client(
    server: KaggleServer, credentials: Credentials | None = None, retry: RetryPolicy = QUICK
) -> Iterator[KaggleClient]:
    client = KaggleClient(server.url, credentials or server.credentials, retry=retry)
    try:
        yield client
    finally:
        client.close()
