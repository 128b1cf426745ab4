"""The plugins in force; this file loads our defaults and installed packages, and names a broken one and skips it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

import pluggy

from autokaggle.errors import UsageError
from autokaggle.plugins import defaults, hookspecs
from autokaggle.plugins.extensions import Proposer, Template

Warn = Callable[[str], None]


class Plugins:
    """All that plugins give, asked for by name."""

    def __init__(self, warn: Warn = lambda message: None, found: list[EntryPoint] | None = None) -> None:
        self._manager = pluggy.PluginManager(hookspecs.PROJECT)
        self._manager.add_hookspecs(hookspecs)
        self._manager.register(defaults, name="built-in")
        installed = list(entry_points(group=hookspecs.PROJECT)) if found is None else found
        for entry in sorted(installed, key=lambda entry: entry.name):
            try:
                self._manager.register(entry.load(), name=entry.name)
            except Exception as error:  # noqa: BLE001 - whatever a foreign package raises, the run goes on without it
                warn(f"Plugin {entry.name} ({entry.value}) cannot be loaded and is skipped: {error!r}")

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self._manager.list_name_plugin()]

    def template(self, name: str) -> Template:
        """Raises:
        UsageError: no plugin gives a template of this name.
        """
        templates = self._templates()
        if name not in templates:
            raise UsageError(f"There is no template {name!r}.", f"Choose one of: {', '.join(sorted(templates))}.")
        return templates[name]

    def template_names(self) -> list[str]:
        """The names of all templates, in order."""
        return sorted(self._templates())

    def prompt_folders(self) -> list[Path]:
        """Folders of prompt files, in the order of the plugins' names."""
        return [Path(folder) for given in reversed(self._manager.hook.autokaggle_prompts()) for folder in given]

    def proposers(self) -> Iterator[Proposer]:
        """Our own first, then those of plugins in the order of their names."""
        for given in reversed(self._manager.hook.autokaggle_proposers()):
            yield from given

    def _templates(self) -> dict[str, Template]:
        return {template.name: template for given in self._manager.hook.autokaggle_templates() for template in given}
