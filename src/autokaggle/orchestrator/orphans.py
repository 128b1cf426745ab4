"""Sandboxes that outlived their run's process; this file finds and ends them before the run goes on.

A supervisor ends its sandbox when the run's process dies, and bubblewrap ends it when the supervisor dies too. What is
left is code behind weaker walls whose supervisor was killed with the run.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

import psutil

from autokaggle.storage.artifacts import RunFolder

SECONDS_TO_DIE = 5.0


def end_orphans(folder: RunFolder) -> int:
    """Kill every process that works behind walls on this run, and return how many there were.

    Only for who holds the run: then nobody else may have started them.
    """
    found = [process for process in psutil.process_iter() if _works_on(process, folder.path.resolve())]
    for process in found:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(found, timeout=SECONDS_TO_DIE)
    return len(found)


def _works_on(process: psutil.Process, folder: Path) -> bool:
    """Ask the command line of what builds a mount namespace, and the environment of code that runs in none."""
    try:
        if process.name() == "bwrap":
            return any(part.startswith(f"{folder}/") for part in process.cmdline())
        variables = process.environ()
    except (psutil.Error, OSError):
        return False
    # A script that the user called by hand has the user's name.
    is_boxed = variables.get("USER") == variables.get("LOGNAME") == "autokaggle"
    return is_boxed and Path(variables.get("AUTOKAGGLE_OUTPUT", "")).is_relative_to(folder)
