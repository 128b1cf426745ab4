"""What all records are; this file holds their base."""

from __future__ import annotations

import msgspec


class Record(msgspec.Struct, frozen=True):
    """The base of all records: frozen, built by keyword, written as JSON."""
