"""What ships, registered by the door that plugins use; this file gives all of ours.

The skills hold what they give themselves; nothing here is imported before it is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from autokaggle.plugins.extensions import ModelProvider, Proposer, Template
from autokaggle.plugins.hookspecs import hookimpl
from autokaggle.records.candidate import Proposal, Search
from autokaggle.records.data_profile import DataProfile
from autokaggle.records.plan import Plan

if TYPE_CHECKING:
    from autokaggle.skills.pipeline.families import ModelFamily
    from autokaggle.skills.sandbox.backends import Backend
    from autokaggle.skills.scoring.metric import Metric


class Portfolio:
    """The built-in candidates for the plan's template, quickest sane baseline first."""

    name = "portfolio"

    def propose(self, search: Search) -> Proposal | None:
        """Return the first of the portfolio that was not tried yet."""
        from autokaggle.skills.pipeline import portfolios

        return portfolios.next_proposal(search)

    def requirements(self, plan: Plan, profile: DataProfile) -> tuple[str, ...]:
        """Return what all of the portfolio needs for this plan."""
        from autokaggle.skills.pipeline import portfolios

        return portfolios.requirements(plan, profile)


class PluggedFamilies:
    """What model families of plugins want to be tried."""

    name = "plugin-families"

    def propose(self, search: Search) -> Proposal | None:
        """Return the first proposal of the families that the plan asks for, of all when it asks for none."""
        from autokaggle.skills.pipeline import families

        return families.next_proposal(search)

    def requirements(self, plan: Plan, profile: DataProfile) -> tuple[str, ...]:
        """Return what all of them need for this plan."""
        from autokaggle.skills.pipeline import families

        return families.requirements(plan, profile)


@hookimpl
def autokaggle_language_models() -> list[ModelProvider]:
    """Give the providers that ship; a name without a provider is read by them as well."""
    from autokaggle.skills.dialogue.language_model import open_model
    from autokaggle.skills.dialogue.model_names import PROVIDERS

    return [ModelProvider(name, open_model) for name in PROVIDERS]


@hookimpl
def autokaggle_model_families() -> list[ModelFamily]:
    """Give the families of the portfolio."""
    from autokaggle.skills.pipeline.families import built_in_families

    return built_in_families()


@hookimpl
def autokaggle_templates() -> list[Template]:
    """Give the templates that ship."""
    from autokaggle.skills.pipeline import portfolio, portfolio_image, portfolio_text, portfolio_timeseries
    from autokaggle.skills.pipeline.pipeline_generator import TEMPLATES

    return [
        Template("tabular", TEMPLATES / "tabular", portfolio.BASE_REQUIREMENTS),
        Template("timeseries", TEMPLATES / "timeseries", portfolio_timeseries.REQUIREMENTS, parent="tabular"),
        Template("text", TEMPLATES / "text", portfolio_text.REQUIREMENTS, parent="tabular"),
        Template("image", TEMPLATES / "image", portfolio_image.REQUIREMENTS, parent="tabular"),
    ]


@hookimpl
def autokaggle_metrics() -> list[Metric]:
    """Give the catalogue."""
    from autokaggle.skills.scoring.metric_catalogue import BUILT_IN

    return list(BUILT_IN)


@hookimpl
def autokaggle_proposers() -> list[Proposer]:
    """Give the built-in portfolio, and what families of plugins want to be tried."""
    return [Portfolio(), PluggedFamilies()]


@hookimpl
def autokaggle_isolation_backends() -> list[Backend]:
    """Give the backends of this system."""
    from autokaggle.skills.sandbox.backends import built_in_backends

    return built_in_backends()
