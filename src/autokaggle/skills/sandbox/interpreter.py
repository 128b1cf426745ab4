"""Which Python a job runs, and which folders that Python needs; this file follows the links of an environment.

The interpreter is never started here: an environment may hold code that runs at start.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from autokaggle.errors import UsageError

MOST_LINKS = 16
SYSTEM_FOLDER = Path("/usr")


@dataclass(frozen=True)
class Interpreter:
    """``executable`` starts it; ``environment`` is its virtual environment, None for a bare Python.

    ``homes`` are the folders outside /usr that hold the base Python, under each name by which a link reaches it.
    """

    executable: Path
    environment: Path | None
    homes: tuple[Path, ...]


def find_interpreter(environment: Path | None, python: Path | None) -> Interpreter:
    """Find the Python of a job.

    Raises:
        UsageError: it does not exist, or lies so that showing it would show a whole home folder.
    """
    start = environment / "bin" / "python" if environment else (python or Path(sys.executable))
    start = Path(os.path.abspath(start))  # noqa: PTH100 - resolve() would lose the environment that links to a Python
    if not os.access(start, os.X_OK):
        raise UsageError(f"There is no Python at {start}.", "Build the environment again, or name another interpreter.")
    folder = start.parent.parent
    is_environment = (folder / "pyvenv.cfg").is_file()
    homes: list[Path] = []
    for link in _chain(start):
        home = link.parent.parent
        if home != folder and not home.is_relative_to(SYSTEM_FOLDER) and home not in homes:
            homes.append(_narrow_enough(home, link))
    if not is_environment and not folder.is_relative_to(SYSTEM_FOLDER):
        homes.append(_narrow_enough(folder, start))
    return Interpreter(start, folder if is_environment else None, tuple(homes))


def _chain(path: Path) -> list[Path]:
    """List ``path`` and what it links to, hop by hop, and last the file with all folders resolved."""
    hops = [path]
    while hops[-1].is_symlink() and len(hops) < MOST_LINKS:
        hops.append(Path(os.path.normpath(hops[-1].parent / hops[-1].readlink())))
    return [*hops, path.resolve()]


def _narrow_enough(home: Path, executable: Path) -> Path:
    user_home = Path("~").expanduser()
    if home == Path("/") or user_home.is_relative_to(home) or len(home.parts) < 3:
        raise UsageError(
            f"The Python at {executable} cannot be shown to generated code without showing all of {home}.",
            "Use a Python that was installed in a folder of its own (the system's, uv's or pyenv's).",
        )
    return home
