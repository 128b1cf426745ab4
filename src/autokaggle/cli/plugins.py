"""`plugins`; this file lists what is plugged in, what each gives, and what was wrong with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from autokaggle.cli import flags
from autokaggle.cli.program import Program

if TYPE_CHECKING:
    from autokaggle.plugins.manager import Plugin

# A catalogue is told by its size; `--json` has all of it.
NAMES_SHOWN = 8


@click.command()
@flags.as_json
@click.pass_obj
def plugins(program: Program, /) -> None:
    """List what is plugged in.

    Shows what ships and what other packages add: metrics, model families, templates, proposers, and more. A broken
    plugin is named with its fault.
    """
    from dataclasses import asdict

    from autokaggle.plugins.manager import Plugins

    found = list(Plugins().put_in_force().known.values())
    text = "\n\n".join("\n".join(_lines(plugin)) for plugin in found)
    program.answer(text, {"ok": not any(one.problems for one in found), "plugins": [asdict(one) for one in found]})


def _lines(plugin: Plugin) -> list[str]:
    from autokaggle.cli.text import harmless
    from autokaggle.plugins.kinds import KINDS

    origin = f" ({harmless(plugin.package)} {harmless(plugin.version)})" if plugin.package else ""
    lines = [f"{harmless(plugin.name)}{origin}"]
    for kind in KINDS:
        if names := plugin.gives.get(kind):
            lines.append(f"  {kind.replace('_', ' ')}: {_names(names)}")
    lines += [f"  problem: {harmless(problem)}" for problem in plugin.problems]
    return lines if len(lines) > 1 else [*lines, "  gives nothing"]


def _names(names: list[Any]) -> str:
    from autokaggle.cli.text import harmless

    shown = ", ".join(harmless(name) for name in names[:NAMES_SHOWN])
    return shown if len(names) <= NAMES_SHOWN else f"{shown}, and {len(names) - NAMES_SHOWN} more"
