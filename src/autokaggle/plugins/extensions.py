"""The shapes of what plugins give; this file holds types and no behaviour."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from autokaggle.records import DataProfile, Plan, Proposal


@dataclass(frozen=True)
class Template:
    """A pipeline program: the files under ``folder`` are copied; ``requirements`` is what its environment needs."""

    name: str
    folder: Path
    requirements: tuple[str, ...]


class Proposer(Protocol):
    """Propose candidates for a plan."""

    name: str

    def propose(self, plan: Plan, profile: DataProfile) -> Iterator[Proposal]:
        """Yield proposals in the order in which they should run; the search stops asking when the budget ends."""
        ...
