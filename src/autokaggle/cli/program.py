"""What every command works with; this file holds it: settings, the lifecycle of runs, and the two streams.

It is the seam for tests: they give a lifecycle of their own.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

if TYPE_CHECKING:
    from autokaggle.config import Settings
    from autokaggle.orchestrator.journal import Listener
    from autokaggle.records.run import Run, RunOptions
    from autokaggle.skills.dialogue.person import Person
    from autokaggle.storage.artifacts import RunFolder

NAME = "autokaggle"
COMPLETION_VARIABLE = "_AUTOKAGGLE_COMPLETE"


class Lifecycle(Protocol):
    """How runs begin and go on; ``orchestrator.run_lifecycle`` is the real one."""

    def start_run(self, options: RunOptions, settings: Settings) -> RunFolder: ...

    def carry_out(
        self, folder: RunFolder, settings: Settings, listener: Listener, person: Person | None = None
    ) -> Run: ...


@dataclass
class Program:
    """One call of the program.

    ``folder`` is the run at hand, for messages that say where to look or how to go on; ``facts`` is what is known of
    its result already when something after it goes wrong.
    """

    lifecycle: Lifecycle | None = None
    json: bool = False
    debug: bool = False
    quiet: bool = False
    folder: RunFolder | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    _settings: dict[Path | None, Settings] = field(default_factory=dict)

    def settings(self, runs_dir: Path | None = None) -> Settings:
        """Load the settings once; ``runs_dir`` is the flag.

        Raises:
            UsageError: a settings file cannot be read or makes no sense.
        """
        if runs_dir not in self._settings:
            from autokaggle.config import load_settings

            self._settings[runs_dir] = load_settings(runs_dir=runs_dir)
        return self._settings[runs_dir]

    def runs(self) -> Lifecycle:
        """Return the lifecycle of runs, imported only when a run begins or goes on."""
        if self.lifecycle is None:
            from autokaggle.orchestrator import run_lifecycle

            self.lifecycle = cast(Lifecycle, run_lifecycle)
        return self.lifecycle

    def find_run(self, reference: str, runs_dir: Path | None) -> RunFolder:
        """Find the run that the command is about, and keep it for messages; where --runs-dir is given, only there.

        Raises:
            UsageError: no run, or more than one, fits.
        """
        from autokaggle.storage.run_folders import find_run

        self.folder = find_run(reference, self.settings(runs_dir), elsewhere=runs_dir is None)
        return self.folder

    def tell(self, text: str) -> None:
        """Say something to people, beside the result; nothing when they asked for quiet."""
        if not self.quiet:
            print(text, file=sys.stderr, flush=True)

    def warn(self, text: str) -> None:
        """Say what went differently than asked for, also to those who asked for quiet."""
        print(f"warning: {text}", file=sys.stderr, flush=True)

    def answer(self, text: str, facts: dict[str, Any]) -> None:
        """Give the result on stdout: ``text`` for people, or ``facts`` as one JSON object."""
        if self.json:
            write_json(facts)
        else:
            print(text)


def write_json(facts: dict[str, Any]) -> None:
    """Write one JSON object as one line on stdout; what is no number becomes null."""
    import msgspec

    print(msgspec.json.encode(facts, enc_hook=str).decode())
