"""`cache`; this file shows and empties what is kept of competitions between runs."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from autokaggle.cli.program import Json, Program
from autokaggle.errors import UsageError

app = typer.Typer(help="Downloaded competitions.", rich_markup_mode=None)


@app.command("list")
def list_(context: typer.Context, json: Json = False) -> None:
    """List the competitions in the cache."""
    from autokaggle.storage.dataset_cache import DatasetCache

    program: Program = context.obj
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


@app.command()
def prune(
    context: typer.Context,
    slugs: Annotated[list[str] | None, typer.Argument(metavar="[SLUG]...", help="Competitions to forget.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="Forget all competitions.")] = False,
    json: Json = False,
) -> None:
    """Forget competitions and free their space.

    Runs keep the files that they use.
    """
    from dataclasses import asdict

    from autokaggle.cli import text
    from autokaggle.storage.dataset_cache import DatasetCache

    program: Program = context.obj
    if bool(slugs) == all_:
        raise UsageError(
            "Say what to forget: competitions by their slugs, or --all.", "`autokaggle cache list` shows them."
        )
    cache = DatasetCache(program.settings().cache)
    known = {manifest.slug for manifest in cache.manifests()}
    if unknown := sorted(set(slugs or ()) - known):
        raise UsageError(f"Not in the cache: {', '.join(unknown)}.", "`autokaggle cache list` shows what is.")
    pruned = cache.prune(slugs or None)
    program.answer(f"{pruned.competitions} competitions forgotten, {text.size(pruned.bytes)} freed.", asdict(pruned))


def _line(row: dict[str, Any]) -> str:
    from autokaggle.cli import text

    name = f"{text.harmless(row['slug'])} ({text.harmless(row['origin'])})"
    return f"{text.size(row['bytes']):>8}  {text.local_time(row['fetched'])}  {name}"
