"""`cache`; this file shows and empties what is kept of competitions between runs."""

from __future__ import annotations

from typing import Any

import click

from autokaggle.cli import flags
from autokaggle.cli.program import Program
from autokaggle.errors import UsageError

# A run in progress has used its environment within the day.
DAYS_UNUSED = 1.0


@click.group(no_args_is_help=False)
def cache() -> None:
    """Downloaded competitions and built environments."""


@cache.command("list")
@flags.as_json
@click.pass_obj
def list_(program: Program, /) -> None:
    """List the competitions in the cache."""
    from autokaggle.storage.dataset_cache import DatasetCache

    folder = program.settings().cache
    rows = [
        {
            "slug": manifest.slug,
            "origin": manifest.origin,
            "fetched": manifest.fetched,
            "files": len(manifest.files),
            "bytes": sum(file.bytes for file in manifest.files),
        }
        for manifest in DatasetCache(folder).manifests()
    ]
    lines = [_line(row) for row in rows]
    program.answer(
        "\n".join(lines) or f"Nothing is in the cache {folder}.", {"folder": str(folder), "competitions": rows}
    )


@cache.command()
@click.argument("slugs", metavar="[SLUG]...", nargs=-1)
@click.option("--all", "all_", is_flag=True, help="Forget all competitions, and environments unused for a day.")
@flags.as_json
@click.pass_obj
def prune(program: Program, /, slugs: tuple[str, ...], all_: bool) -> None:
    """Forget competitions and free their space.

    Runs keep the files that they use.
    """
    from dataclasses import asdict

    from autokaggle.cli import text
    from autokaggle.skills.sandbox.environment_store import prune_environments
    from autokaggle.storage.dataset_cache import DatasetCache

    if bool(slugs) == all_:
        raise UsageError(
            "Say what to forget: competitions by their slugs, or --all.", "`autokaggle cache list` shows them."
        )
    settings = program.settings()
    kept = DatasetCache(settings.cache)
    known = {manifest.slug for manifest in kept.manifests()}
    if unknown := sorted(set(slugs) - known):
        raise UsageError(f"Not in the cache: {', '.join(unknown)}.", "`autokaggle cache list` shows what is.")
    pruned = kept.prune(slugs or None)
    facts = asdict(pruned) | {"environments": 0}
    said = f"{pruned.competitions} competitions forgotten"
    if all_:
        environments = prune_environments(settings.environments, DAYS_UNUSED)
        facts["environments"] = environments.environments
        facts["bytes"] += environments.bytes
        said += f", {environments.environments} environments removed"
    program.answer(f"{said}, {text.size(facts['bytes'])} freed.", facts)


def _line(row: dict[str, Any]) -> str:
    from autokaggle.cli import text

    name = f"{text.harmless(row['slug'])} ({text.harmless(row['origin'])})"
    return f"{text.size(row['bytes']):>8}  {text.local_time(row['fetched'])}  {name}"
