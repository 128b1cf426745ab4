"""`cache`; this file shows and empties what is kept of competitions between runs."""

from __future__ import annotations

from typing import Any

import click

from autokaggle.cli import flags
from autokaggle.cli.program import Program
from autokaggle.errors import UsageError


@click.group(no_args_is_help=False)
def cache() -> None:
    """Downloaded competitions."""


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
@click.option("--all", "all_", is_flag=True, help="Forget all competitions.")
@flags.as_json
@click.pass_obj
def prune(program: Program, /, slugs: tuple[str, ...], all_: bool) -> None:
    """Forget competitions and free their space.

    Runs keep the files that they use.
    """
    from dataclasses import asdict

    from autokaggle.cli import text
    from autokaggle.storage.dataset_cache import DatasetCache

    if bool(slugs) == all_:
        raise UsageError(
            "Say what to forget: competitions by their slugs, or --all.", "`autokaggle cache list` shows them."
        )
    kept = DatasetCache(program.settings().cache)
    known = {manifest.slug for manifest in kept.manifests()}
    if unknown := sorted(set(slugs) - known):
        raise UsageError(f"Not in the cache: {', '.join(unknown)}.", "`autokaggle cache list` shows what is.")
    pruned = kept.prune(slugs or None)
    program.answer(f"{pruned.competitions} competitions forgotten, {text.size(pruned.bytes)} freed.", asdict(pruned))


def _line(row: dict[str, Any]) -> str:
    from autokaggle.cli import text

    name = f"{text.harmless(row['slug'])} ({text.harmless(row['origin'])})"
    return f"{text.size(row['bytes']):>8}  {text.local_time(row['fetched'])}  {name}"
