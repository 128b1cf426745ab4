"""What ships, registered by the door that plugins use; this file names our templates and proposers."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import resources
from pathlib import Path

from autokaggle.plugins.extensions import Proposer, Template
from autokaggle.plugins.hookspecs import hookimpl
from autokaggle.records import DataProfile, Plan, Proposal
from autokaggle.skills.pipeline import portfolio


class Portfolio:
    """The built-in candidates, quickest sane baseline first."""

    name = "portfolio"

    def propose(self, plan: Plan, profile: DataProfile) -> Iterator[Proposal]:
        """Yield the portfolio's proposals for this plan."""
        return portfolio.propose(plan, profile)


@hookimpl
def autokaggle_templates() -> list[Template]:
    """Give the templates that ship."""
    folder = Path(str(resources.files("autokaggle.templates")))
    return [Template("tabular", folder / "tabular", portfolio.BASE_REQUIREMENTS)]


@hookimpl
def autokaggle_proposers() -> list[Proposer]:
    """Give the built-in portfolio."""
    return [Portfolio()]
