"""One call of Kaggle's API; this file holds it and reads its fields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from autokaggle.practice.replies import Refusal


@dataclass(frozen=True)
class Call:
    """One API call: who makes it, its fields, the path it came by, and the host that its links should name."""

    username: str
    fields: Mapping[str, Any]
    path: str
    storage_host: str

    def text(self, name: str) -> str:
        return str(self.fields.get(name) or "")

    def number(self, name: str, default: int = 0) -> int:
        """Return a field that must be a whole number.

        Raises:
            Refusal: 400, it is none.
        """
        value = self.fields.get(name)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int):
            raise Refusal(400, f"{name} must be a whole number")
        return value
