"""`profile`; this file fetches a competition, profiles its data, and shows what was found, without starting a run."""

from __future__ import annotations

import tempfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from autokaggle.cli import flags
from autokaggle.cli.program import Program

if TYPE_CHECKING:
    from autokaggle.cli.progress import OnProgress
    from autokaggle.config import Settings
    from autokaggle.records import ColumnProfile, Competition, DataProfile
    from autokaggle.skills.competition.address import Target
    from autokaggle.storage.artifacts import RunFolder


@click.command()
@flags.target
@flags.target_columns
@flags.as_json
@click.pass_obj
def profile(program: Program, /, target: str, target_columns: tuple[str, ...]) -> None:
    """Show what the data of a competition are."""
    import msgspec

    from autokaggle.cli.progress import shown_progress
    from autokaggle.skills.competition.address import parse_target
    from autokaggle.skills.dataset.data_profiler import profile_dataset
    from autokaggle.storage.artifacts import RunFolder
    from autokaggle.storage.records_file import make_private_folder

    settings = program.settings()
    parsed = parse_target(target)
    # Beside the cache, so that the data files are links and not copies.
    home = make_private_folder(settings.home)
    with tempfile.TemporaryDirectory(prefix="profile-", dir=home) as name, shown_progress(program) as on_progress:
        folder = RunFolder.create(Path(name), "profile")
        competition = _fetch(parsed, folder, settings, on_progress)
        pages = {path.stem: path.read_text("utf-8") for path in sorted(folder.pages.glob("*.md"))}
        wording = competition.metric.wording
        found = profile_dataset(
            folder.data, folder.tables, pages, target=target_columns, metric_wording=wording, on_progress=on_progress
        )
    program.answer("\n".join(_lines(found)), msgspec.to_builtins(found))


def _fetch(target: Target, folder: RunFolder, settings: Settings, on_progress: OnProgress) -> Competition:
    from autokaggle.storage.dataset_cache import DatasetCache

    cache = DatasetCache(settings.cache)
    if target.folder is not None:
        from autokaggle.skills.competition.local_folder import read_local_folder

        return read_local_folder(target.folder, folder, cache, on_progress)
    from autokaggle.orchestrator.kaggle_account import open_kaggle
    from autokaggle.skills.competition.fetcher import fetch_competition

    with closing(open_kaggle(settings)) as client:
        return fetch_competition(client, target.slug, folder, cache, on_progress)


def _lines(found: DataProfile) -> list[str]:
    from autokaggle.cli.text import harmless

    task = found.task_type.replace("_", " ")
    lines = [
        f"train {found.train_rows:,} rows ({harmless(found.train)}), test {found.test_rows:,} ({harmless(found.test)})",
        f"task {task}: {harmless(found.task_guess.evidence)}",
        f"target {harmless(', '.join(found.target_columns))}: {harmless(found.target_guess.evidence)}",
        f"ids {harmless(', '.join(found.id_columns))}: {harmless(found.id_guess.evidence)}",
        f"validation {found.split.scheme.replace('_', ' ')}: {harmless(found.split.reason)}",
        "",
    ]
    width = max((len(harmless(column.name)) for column in found.columns), default=0)
    lines += [_column(column, min(width, 40)) for column in found.columns]
    return lines + [f"warning: {harmless(warning)}" for warning in found.warnings]


def _column(column: ColumnProfile, width: int) -> str:
    from autokaggle.cli.text import harmless

    facts = [f"{column.distinct:,} distinct"]
    if column.missing:
        facts.append(f"{column.missing:.1%} missing")
    if column.low is not None and column.high is not None:
        facts.append(f"{column.low} to {column.high}")
    elif column.top:
        facts.append("often " + ", ".join(value for value, _ in column.top[:3]))
    if column.personal:
        facts.append(f"personal: {', '.join(column.personal)}")
    return f"  {harmless(column.name).ljust(width)}  {column.kind:9}  {harmless(', '.join(facts))}"
