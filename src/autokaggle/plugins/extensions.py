"""The shapes of what plugins give; this file holds types and no behaviour.

Those that a skill works with live there: ``Metric``, ``ModelFamily`` with its ``Entry``, and ``Backend``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from autokaggle.records.candidate import Proposal, Search
from autokaggle.records.data_profile import DataProfile
from autokaggle.records.plan import Plan

__all__ = ["ModelProvider", "Proposal", "Proposer", "ReportSection", "Search", "Template"]

if TYPE_CHECKING:
    from autokaggle.skills.dialogue.language_model import LanguageModel


@dataclass(frozen=True)
class Template:
    """A pipeline program: the files under ``folder`` are copied; ``requirements`` is what its environment needs.

    With a ``parent``, the files of that template come first and those of ``folder`` are added, or stand in their place.
    """

    name: str
    folder: Path
    requirements: tuple[str, ...]
    parent: str | None = None


@dataclass(frozen=True)
class ModelProvider:
    """Language models whose names begin with ``name`` and a colon.

    ``open(model, environment)`` gets the whole name as the person wrote it, and the settings to look keys up in. It may
    raise ``UsageError`` for a name that makes no sense and ``ActionNeeded`` for a key that is missing.
    """

    name: str
    open: Callable[[str, Mapping[str, str]], LanguageModel]


@dataclass(frozen=True)
class ReportSection:
    """A section at the end of report.html.

    ``render(run_folder)`` gets the run's folder and returns HTML for the section's body that needs no network, "" to be
    left out. What comes from outside the plugin it must escape itself.
    """

    name: str
    title: str
    render: Callable[[Path], str]


@runtime_checkable
class Proposer(Protocol):
    """Proposes candidates, one at a time, by what earlier ones scored."""

    name: str

    def propose(self, search: Search) -> Proposal | None:
        """Return the best next proposal given all results so far, None when there is none now.

        Its author is the plugin, whether it says so or not: such a candidate never sees the labels it is scored on.
        It is asked each time there is room for another candidate, also after it had none. What takes longer than a
        moment belongs into a thread of its own.
        """
        ...

    def requirements(self, plan: Plan, profile: DataProfile) -> tuple[str, ...]:
        """Return what the environment must hold for all that may be proposed; it is made once, before the search."""
        ...
