"""What ships, registered by the door that plugins use; this file names our templates and proposers."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from autokaggle.plugins.extensions import Proposer, Template
from autokaggle.plugins.hookspecs import hookimpl
from autokaggle.records import DataProfile, Plan, Proposal, Search
from autokaggle.skills.pipeline import portfolio


class Portfolio:
    """The built-in candidates, quickest sane baseline first."""

    name = "portfolio"

    def propose(self, search: Search) -> Proposal | None:
        """Return the first of the portfolio that was not tried yet."""
        return portfolio.next_proposal(search)

    def requirements(self, plan: Plan, profile: DataProfile) -> tuple[str, ...]:
        """Return what all of the portfolio needs for this plan."""
        return portfolio.requirements(plan, profile)


@hookimpl
def autokaggle_templates() -> list[Template]:
    """Give the templates that ship."""
    folder = Path(str(resources.files("autokaggle.templates")))
    return [Template("tabular", folder / "tabular", portfolio.BASE_REQUIREMENTS)]


@hookimpl
def autokaggle_proposers() -> list[Proposer]:
    """Give the built-in portfolio."""
    return [Portfolio()]
