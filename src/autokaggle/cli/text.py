"""Facts as a person reads them; this file formats numbers and times, and makes foreign text harmless."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from autokaggle.orchestrator.journal import printable

LONGEST_REASON = 300


def harmless(text: str) -> str:
    """Return foreign text as one line that cannot steer a terminal: no control characters, no direction marks."""
    return printable(" ".join(text.split()))


def harmless_lines(text: str) -> str:
    """Return foreign text with its lines and blanks, but for what could steer a terminal."""
    return "\n".join(printable(line) for line in text.split("\n"))


def reason(said: object) -> str:
    """Return why something failed as one harmless line, of a long one its beginning."""
    return harmless(str(said or ""))[:LONGEST_REASON]


def log_line(line: bytes) -> str:
    """Return one line of a log that anything may have been printed into, with its blanks but harmless."""
    return printable(line.decode("utf-8", "replace").expandtabs().rstrip("\r"))


def duration(seconds: float) -> str:
    """``0.4 s``, ``12 s``, ``3:07``, ``1:02:03``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"


def number(value: float) -> str:
    """Five digits after the point for scores near one, six significant digits for large ones."""
    return f"{value:.5f}" if abs(value) < 100 else f"{value:.6g}"


def direction(greater_is_better: bool | None, *, arrow: bool) -> str:
    """Say which way is up, as an arrow or in words."""
    if greater_is_better is None:
        return ""
    if arrow:
        return "↑" if greater_is_better else "↓"
    return "higher is better" if greater_is_better else "lower is better"


def size(count: float) -> str:
    """Bytes with a decimal unit: ``12 kB``, ``1.5 GB``."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if count >= 10 or unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def local_time(moment: str) -> str:
    """``2026-01-02 03:04`` in the reader's time zone; what cannot be read comes back as it is."""
    try:
        return dt.datetime.fromisoformat(moment).astimezone().strftime("%Y-%m-%d %H:%M")
    except ValueError:
        return harmless(moment)


def epoch(moment: str) -> float | None:
    """Seconds since 1970 of an ISO 8601 time; None for what cannot be read."""
    try:
        return dt.datetime.fromisoformat(moment).timestamp()
    except ValueError:
        return None


def columns(lines: Sequence[tuple[str, ...]]) -> str:
    """Set cells as plain columns, two blanks apart: readable by people, and by `awk`."""
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]) - 1)]
    padded = ([*map(str.ljust, line[:-1], widths), line[-1]] for line in lines)
    return "\n".join("  ".join(cells).rstrip() for cells in padded)
