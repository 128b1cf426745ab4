"""What happened, as it happens; this file sends each event to run.log, events.jsonl, the state store and the screen.

The run folder comes first: a state store that cannot be written costs a warning, never the run.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from autokaggle.records.event import Event, Progress
from autokaggle.records.run import StageName
from autokaggle.storage.artifacts import RunFolder
from autokaggle.storage.records_file import PRIVATE_FILE

Listener = Callable[[Event], None]

# Shown while it happens, but too frequent to keep.
PASSING_KINDS = frozenset({"progress", "budget"})


def utc_now() -> str:
    """The moment as ISO 8601 in UTC with milliseconds."""
    return dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def silent(event: Event) -> None:
    """Listen to nothing."""


class Journal:
    """One writer for all who want to know; safe to use from several threads."""

    def __init__(self, folder: RunFolder, listener: Listener = silent, keep: Listener = silent) -> None:
        self._folder = folder
        self._listener = listener
        self._keep = keep
        self._lock = threading.Lock()
        _end_line(folder.events)

    def tell(self, kind: str, message: str = "", **fields: Any) -> None:
        """Send one event; ``message`` is for people, ``fields`` for programs."""
        event = Event(time=utc_now(), kind=kind, message=message, fields=fields)
        with self._lock:
            if kind not in PASSING_KINDS:
                _append(self._folder.events, msgspec.json.encode(event) + b"\n")
                _append(self._folder.run_log, _line(event).encode())
                self._keep(event)
            self._listener(event)

    def warn(self, message: str) -> None:
        """Tell a person what they should know or doubt."""
        self.tell("warning", message)


def _end_line(path: Path) -> None:
    """A full disk or a power cut may have cut the last line short; what comes next starts on a line of its own."""
    with contextlib.suppress(OSError):
        with path.open("rb") as stream:
            stream.seek(-1, os.SEEK_END)
            is_whole = stream.read(1) == b"\n"
        if not is_whole:
            _append(path, b"\n")


def _append(path: Path, data: bytes) -> None:
    # One write call on an O_APPEND file: lines of two writers never mix, and a kill loses at most the last line.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, PRIVATE_FILE)
    try:
        os.write(descriptor, data)
    finally:
        os.close(descriptor)


def _line(event: Event) -> str:
    facts = " ".join(f"{key}={_short(value)}" for key, value in event.fields.items())
    parts = (event.time, event.kind, printable(event.message), printable(facts))
    return " ".join(part for part in parts if part) + "\n"


def _short(value: Any) -> str:
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 300 else text[:297] + "..."


def progress_listener(journal: Journal, stage: StageName) -> Callable[[Progress], None]:
    """Return what skills report their progress to."""

    def report(progress: Progress) -> None:
        facts: dict[str, Any] = msgspec.to_builtins(progress)
        journal.tell("progress", stage=stage, **facts)

    return report


def printable(text: str) -> str:
    """Escape control characters, so that text from outside cannot steer a terminal or forge a log line."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
