"""The shapes of what plugins give; this file holds types and no behaviour."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from autokaggle.records import DataProfile, Plan, Proposal, Search

__all__ = ["Proposal", "Proposer", "Search", "Template"]


@dataclass(frozen=True)
class Template:
    """A pipeline program: the files under ``folder`` are copied; ``requirements`` is what its environment needs."""

    name: str
    folder: Path
    requirements: tuple[str, ...]


class Proposer(Protocol):
    """Proposes candidates, one at a time, by what earlier ones scored."""

    name: str

    def propose(self, search: Search) -> Proposal | None:
        """Return the best next proposal given all results so far, None when there is none now.

        It is asked each time there is room for another candidate, also after it had none. What takes longer than a
        moment belongs into a thread of its own.
        """
        ...

    def requirements(self, plan: Plan, profile: DataProfile) -> tuple[str, ...]:
        """Return what the environment must hold for all that may be proposed; it is made once, before the search."""
        ...
