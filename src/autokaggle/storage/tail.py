"""Files that grow by lines; this file reads what was added since the last look, and events from such lines.

It never waits: who follows a file looks again when it likes.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from autokaggle.records.event import Event


class Tail:
    """The complete lines of one file that were not read yet; the file may not be there yet."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._offset = 0
        self._started_line = b""

    def new_lines(self, *, also_unfinished: bool = False) -> list[bytes]:
        """Return the lines added since the last call, without line ends.

        A last line without line end is kept for the next call, unless ``also_unfinished``.
        """
        try:
            with self.path.open("rb") as stream:
                stream.seek(self._offset)
                data = stream.read()
        except (FileNotFoundError, NotADirectoryError):
            return []
        self._offset += len(data)
        *lines, self._started_line = (self._started_line + data).split(b"\n")
        if also_unfinished and self._started_line:
            lines.append(self._started_line)
            self._started_line = b""
        return lines


def decode_events(lines: Iterable[bytes]) -> Iterator[Event]:
    """Yield the events of some lines of events.jsonl; a line that a crash cut short is passed over."""
    for line in lines:
        with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError):
            yield msgspec.json.decode(line, type=Event)
