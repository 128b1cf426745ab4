"""The page that a person reads after a run; this file fills ``page/report.html.j2`` with the run's records.

The page is one file that needs no network and runs no script. All text from outside is escaped by the template engine,
and what would not be seen of it but steer what is seen is written out.
"""

from __future__ import annotations

import re
from pathlib import Path

from autokaggle.records.data_profile import ColumnProfile
from autokaggle.records.outcome import ColumnImportance
from autokaggle.skills.report import wording
from autokaggle.skills.report.candidate_tree import candidate_tree
from autokaggle.skills.report.material import ReportMaterial
from autokaggle.skills.report.quality import quality_figures
from autokaggle.skills.report.score_scale import latest_scored, score_scale
from autokaggle.storage.records_file import write_atomically

__all__ = ["ReportMaterial", "write_report"]

PAGES = Path(__file__).with_name("page")
TEMPLATE = "report.html.j2"
MOST_IMPORTANT = 20
MOST_COLUMNS = 200
STRONG_DRIFT = 0.6
# Control characters other than blanks and line breaks, and marks that turn the direction of what follows.
STEERING = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def write_report(material: ReportMaterial, path: Path) -> None:
    """Write the page to ``path``, atomically."""
    import jinja2

    engine = jinja2.Environment(
        loader=jinja2.FileSystemLoader(PAGES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for name in ("number", "brief", "signed", "percent", "duration", "plain", "words"):
        engine.filters[name] = getattr(wording, name)
    run, metrics = material.run, material.metrics
    scored = latest_scored(run.own_sent)
    public = scored.public_score if scored else None
    page = engine.get_template(TEMPLATE).render(
        material=material,
        run=run,
        competition=material.competition,
        profile=material.profile,
        metrics=metrics,
        scale=score_scale(metrics, public) if metrics else None,
        public=public,
        warnings=_warnings(material),
        branches=candidate_tree(material.candidates, metrics),
        figures=quality_figures(run.plan, material.predictions) if run.plan and material.predictions else [],
        groups=material.predictions.groups if material.predictions else (),
        important=_important(material),
        columns=material.profile.columns[:MOST_COLUMNS],
        column_notes=_column_note,
    )
    write_atomically(path, STEERING.sub(lambda found: found[0].encode("unicode_escape").decode(), page))


def _important(material: ReportMaterial) -> tuple[ColumnImportance, ...]:
    return material.importance.columns[:MOST_IMPORTANT] if material.importance else ()


def _warnings(material: ReportMaterial) -> list[str]:
    """Return what a reader should doubt, the gravest first."""
    run, profile, found = material.run, material.profile, []
    if material.metrics and run.ensemble is None:
        found.append("No candidate beat the best answer that is the same for all rows, which is the submission.")
    leaking = [candidate.id for candidate in material.candidates if candidate.status == "leaking"]
    if leaking:
        found.append(f"Left out because they saw what they must not know: {', '.join(leaking)}.")
    if run.isolation and run.isolation.level != "strong":
        reason = f" ({run.isolation.reason})" if run.isolation.reason else ""
        found.append(f"Generated code ran at isolation level {run.isolation.level}{reason}.")
    scored, cv = latest_scored(run.own_sent), material.metrics.cv if material.metrics else None
    if scored and cv and scored.is_within(cv["low"], cv["high"]) is False:
        found.append("Kaggle's public score lies outside of the range that was expected for the whole test set.")
    auc = profile.split.adversarial_auc
    if auc is not None and auc > STRONG_DRIFT:
        columns = ", ".join(profile.split.adversarial_columns)
        found.append(f"Test differs from train: a model tells them apart with AUC {auc:.2f}, most by {columns}.")
    return list(dict.fromkeys([*found, *profile.warnings]))


def _column_note(column: ColumnProfile) -> str:
    """Say what is special about a column."""
    notes = []
    if column.personal:
        notes.append(f"personal ({', '.join(column.personal)}), values masked")
    if column.duplicate_of:
        notes.append(f"same as {column.duplicate_of}")
    if column.disguised_missing:
        notes.append(f"missing written as {', '.join(column.disguised_missing)}")
    if column.drift is not None and column.drift > STRONG_DRIFT:
        notes.append(f"differs in test (AUC {column.drift:.2f})")
    if not column.in_test:
        notes.append("train only")
    if not column.in_train:
        notes.append("test only")
    return "; ".join(notes)
