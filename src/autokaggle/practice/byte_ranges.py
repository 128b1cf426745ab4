"""Parts of a file on the wire; this file reads Range and Content-Range headers.

Source: RFC 9110, section 14, and the protocol of resumable uploads to Google Cloud Storage.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

RANGE = re.compile(r"bytes=(\d*)-(\d*)")
CONTENT_RANGE = re.compile(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)")


class Unsatisfiable(ValueError):
    """The range starts behind the end of the file."""


@dataclass(frozen=True)
class UploadRange:
    """What an upload sends: bytes ``start`` to ``end`` (exclusive) of ``total``; a status query has no start."""

    start: int | None
    end: int | None
    total: int | None


def parse_range(header: str, size: int) -> tuple[int, int] | None:
    """Return start and end (exclusive) of the part asked for; None for a header that is to be ignored.

    Raises:
        Unsatisfiable: nothing of the file lies in the range.
    """
    found = RANGE.fullmatch(header.strip())
    if not found or found.groups() == ("", ""):
        return None
    first, last = found.groups()
    if not first:
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), min(size, int(last) + 1) if last else size
        if last and int(last) < start:
            return None
    if start >= size or end <= start:
        raise Unsatisfiable(header)
    return start, end


def parse_content_range(header: str) -> UploadRange | None:
    """Return what ``Content-Range`` says of an upload, None when it cannot be understood."""
    found = CONTENT_RANGE.fullmatch(header.strip())
    if not found:
        return None
    first, last, total = found.groups()
    known_total = None if total == "*" else int(total)
    if first is None:
        return UploadRange(None, None, known_total)
    start, end = int(first), int(last) + 1
    if end <= start or (known_total is not None and end > known_total):
        return None
    return UploadRange(start, end, known_total)
