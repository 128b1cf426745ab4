"""`profile`; this file fetches a competition, profiles its data, and shows what was found, without starting a run."""

from __future__ import annotations

import shutil
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import click

from autokaggle.cli import flags
from autokaggle.cli.program import Program

if TYPE_CHECKING:
    from autokaggle.cli.progress import OnProgress
    from autokaggle.config import Settings
    from autokaggle.records.competition import Competition
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

    from autokaggle.cli.profile_text import profile_text
    from autokaggle.cli.progress import shown_progress
    from autokaggle.skills.competition.address import parse_target
    from autokaggle.skills.dataset.data_profiler import profile_dataset
    from autokaggle.storage.artifacts import RunFolder
    from autokaggle.storage.records_file import make_private_folder
    from autokaggle.storage.run_folders import read_pages
    from autokaggle.storage.scratch import scratch_folder

    settings = program.settings()
    parsed = parse_target(target)
    # Beside the cache, so that the data files are links and not copies.
    home = make_private_folder(settings.home)
    with scratch_folder(home, "profile") as place, shown_progress(program) as on_progress:
        folder = RunFolder.create(place, "profile")
        competition = _fetch(parsed, folder, settings, on_progress)
        wording = competition.metric.wording
        found = profile_dataset(
            folder.data,
            folder.tables,
            read_pages(folder),
            target=target_columns,
            metric_wording=wording,
            on_progress=on_progress,
        )
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    program.answer(profile_text(found, width), msgspec.to_builtins(found))


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
