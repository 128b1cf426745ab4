"""The plugins in force; this file loads our defaults and installed packages, and names a broken one and skips it.

Broken is whatever does not do what its hook asks for: a package that cannot be imported, a hook that raises, a thing of
the wrong type, a second thing of one name, a proposer or a section that raises when its turn comes. Each costs itself
and a warning, never the run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pluggy

from autokaggle.errors import AutoKaggleError, UsageError
from autokaggle.plugins import defaults, hookspecs
from autokaggle.plugins.extensions import ModelProvider, Proposer, Template
from autokaggle.plugins.guards import GuardedModel, GuardedProposer, Warn
from autokaggle.plugins.kinds import KINDS, Kind, Unusable, inspect

if TYPE_CHECKING:
    from autokaggle.skills.dialogue.language_model import LanguageModel

BUILT_IN = "built-in"


@dataclass
class Plugin:
    """One plugin: where it comes from, what it gives by kind and name, and what was wrong with it."""

    name: str
    package: str = ""
    version: str = ""
    gives: dict[str, list[str]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


class Plugins:
    """All that plugins give, asked for by name; each kind is collected when it is first asked for."""

    def __init__(self, warn: Warn = lambda message: None, found: list[EntryPoint] | None = None) -> None:
        self._warn = warn
        self._manager = pluggy.PluginManager(hookspecs.PROJECT)
        self._manager.add_hookspecs(hookspecs)
        self._manager.register(defaults, name=BUILT_IN)
        self.known = {BUILT_IN: Plugin(BUILT_IN)}
        self._given: dict[str, dict[str, Any]] = {}
        self._proposers: list[GuardedProposer] | None = None
        installed = list(entry_points(group=hookspecs.PROJECT)) if found is None else found
        for entry in sorted(installed, key=lambda entry: entry.name):
            self._load(entry)

    @property
    def names(self) -> list[str]:
        """The names of the plugins that could be loaded, ours first."""
        return [name for name, _ in self._manager.list_name_plugin()]

    def put_in_force(self) -> Plugins:
        """Collect every kind, and let skills find what plugins add to their metrics, families and backends."""
        for kind in KINDS:
            self.given(kind)
        return self

    def given(self, kind: str) -> dict[str, Any]:
        """Return all things of a kind by name: ours first, then those of plugins in the order of their names."""
        if kind not in self._given:
            self._given[kind] = dict(self._collect(KINDS[kind], kind))
        return self._given[kind]

    def template(self, name: str) -> Template:
        """Raises:
        UsageError: no plugin gives a template of this name.
        """
        templates: dict[str, Template] = self.given("templates")
        if name not in templates:
            raise UsageError(f"There is no template {name!r}.", f"Choose one of: {', '.join(sorted(templates))}.")
        return templates[name]

    def template_folders(self, name: str) -> tuple[Path, ...]:
        """Return the folders to copy, those of parents first.

        Raises:
            UsageError: there is no such template, or its parents lead back to it.
        """
        folders: list[Path] = []
        seen: list[str] = []
        next_name: str | None = name
        while next_name is not None:
            if next_name in seen:
                raise UsageError(f"Template {name!r} descends from itself: {' > '.join(seen)}.", "Mend the plugin.")
            seen.append(next_name)
            template = self.template(next_name)
            folders.insert(0, template.folder)
            next_name = template.parent
        return tuple(folders)

    def template_names(self) -> list[str]:
        """The names of all templates, in order."""
        return sorted(self.given("templates"))

    def prompt_folders(self) -> list[Path]:
        """Folders of prompt files, in the order of the plugins' names."""
        return list(self.given("prompts").values())

    def language_model(self, name: str, environment: Mapping[str, str]) -> LanguageModel:
        """Open a language model by the name that a person gives; ``environment`` holds its key and address.

        Raises:
            UsageError: the name makes no sense.
            ActionNeeded: the provider needs a key, and there is none.
        """
        from autokaggle.skills.dialogue.language_model import open_model

        provider, colon, _ = name.partition(":")
        found: ModelProvider | None = self.given("language_models").get(provider.lower()) if colon else None
        if found is None or found.open is open_model:
            return open_model(name, environment)
        try:
            return GuardedModel(found.open(name, environment))
        except AutoKaggleError:
            raise
        except Exception as error:
            raise UsageError(f"The plugin's language model {name!r} cannot be opened: {error!r}.") from error

    def proposers(self) -> list[Proposer]:
        """Our own first, then those of plugins in the order of their names; one that raises is not asked again."""
        if self._proposers is None:
            self._proposers = [
                GuardedProposer(one, self._warn, is_ours=isinstance(one, defaults.Portfolio))
                for one in self.given("proposers").values()
            ]
        return [*self._proposers]

    def report_sections(self, run_folder: Path) -> Iterator[tuple[str, str]]:
        """Yield title and HTML of each section that has something to show for this run."""
        for section in self.given("report_sections").values():
            try:
                body = str(section.render(run_folder))
            except Exception as error:  # noqa: BLE001 - the report is written without it
                self._warn(f"The report section {section.name} failed and is left out: {error!r}")
                continue
            if body:
                yield section.title, body

    def _load(self, entry: EntryPoint) -> None:
        plugin = Plugin(entry.name)
        if entry.dist is not None:
            plugin.package, plugin.version = entry.dist.name, entry.dist.version
        if entry.name in self.known:
            self._tell(plugin, f"Plugin {entry.name} ({entry.value}) is skipped: another plugin has this name.")
            return
        self.known[entry.name] = plugin
        try:
            self._manager.register(entry.load(), name=entry.name)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the run goes on without it, whatever it raises
            self._manager.unregister(name=entry.name) if self._manager.has_plugin(entry.name) else None
            self._tell(plugin, f"Plugin {entry.name} ({entry.value}) cannot be loaded and is skipped: {error!r}")
            return
        implemented = self._manager.get_hookcallers(self._manager.get_plugin(entry.name)) or []
        unknown = sorted(hook.name for hook in implemented if not hook.has_spec())
        if unknown:
            self._tell(plugin, f"Plugin {entry.name} has hooks that do not exist: {', '.join(unknown)}.")
        elif not implemented:
            self._tell(plugin, f"Plugin {entry.name} ({entry.value}) has no hook: mark its functions with hookimpl.")

    def _collect(self, kind: Kind, kind_name: str) -> Iterator[tuple[str, Any]]:
        taken: dict[str, str] = {}
        for plugin, thing in self._things(kind):
            try:
                name = inspect(kind, thing)
                if name in taken:
                    raise Unusable(f"{taken[name]} gives one of this name already")
            except Unusable as reason:
                label = getattr(thing, "name", getattr(thing, "id", thing))
                self._tell(plugin, f"Plugin {plugin.name}: the {kind.noun} {label!s:.60} is skipped: {reason}.")
                continue
            taken[name] = plugin.name
            plugin.gives.setdefault(kind_name, []).append(name)
            if kind.registry is not None and plugin.name != BUILT_IN:
                kind.registry()[name] = thing
            yield name, thing

    def _things(self, kind: Kind) -> Iterator[tuple[Plugin, object]]:
        """Ask one plugin after another: one that raises must not keep the others from answering."""
        hook = getattr(self._manager.hook, kind.hook)
        for answer in sorted(hook.get_hookimpls(), key=lambda one: (one.plugin_name != BUILT_IN, one.plugin_name)):
            plugin = self.known[answer.plugin_name]
            try:
                things = list(answer.function())
            except (Exception, SystemExit) as error:  # noqa: BLE001 - the run goes on without what it would give
                self._tell(plugin, f"Plugin {plugin.name}: {kind.hook} failed and is skipped: {error!r}")
                continue
            for thing in things:
                yield plugin, thing

    def _tell(self, plugin: Plugin, problem: str) -> None:
        plugin.problems.append(problem)
        self._warn(problem)
