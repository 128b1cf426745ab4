"""The page that a person reads after a run; this file fills ``report.html.j2`` with the run's records.

The page is one file that needs no network. All text from outside is escaped by the template engine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autokaggle.records import Candidate, Competition, DataProfile, Decisions, Metrics, Run
from autokaggle.storage.records_file import write_atomically

TEMPLATE = "report.html.j2"


@dataclass(frozen=True)
class ReportMaterial:
    """Everything that the page shows."""

    run: Run
    competition: Competition
    profile: DataProfile
    decisions: Decisions
    candidates: Sequence[Candidate]
    metrics: Metrics | None
    # Title and HTML of what plugins add; they have made it safe.
    sections: Sequence[tuple[str, str]] = ()


def write_report(material: ReportMaterial, path: Path) -> None:
    """Write the page to ``path``, atomically."""
    import jinja2

    engine = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    engine.filters["number"] = number
    engine.filters["percent"] = lambda share: f"{share:.0%}"
    engine.filters["plain"] = plain
    engine.filters["words"] = lambda name: str(name).replace("_", " ")
    page = engine.get_template(TEMPLATE).render(
        material=material,
        members={member.candidate: member.weight for member in material.metrics.ensemble} if material.metrics else {},
        scored=_best_first(material.candidates),
    )
    write_atomically(path, page)


def number(value: float | None) -> str:
    """Write a score with five significant digits, "-" for none."""
    return "-" if value is None else f"{value:.5g}"


def plain(value: Any) -> str:
    """Write a decided value for people: "a, b" for lists, "scheme stratified, folds 5" for mappings."""
    if isinstance(value, dict):
        return ", ".join(f"{key} {plain(item)}" for key, item in value.items() if item is not None)
    if isinstance(value, (list, tuple)):
        return ", ".join(plain(item) for item in value) or "-"
    return str(value)


def _best_first(candidates: Sequence[Candidate]) -> list[Candidate]:
    scored = [candidate for candidate in candidates if candidate.score is not None]
    others = [candidate for candidate in candidates if candidate.score is None]

    def rank(candidate: Candidate) -> float:
        score = candidate.score
        if score is None:
            return 0.0
        return -score.mean if score.greater_is_better else score.mean

    return sorted(scored, key=rank) + others
