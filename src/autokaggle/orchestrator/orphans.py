"""Sandboxes that outlived their run's process; this file finds and ends them before the run, or the job, goes on.

A supervisor ends its sandbox when the run's process dies, and bubblewrap ends it when the supervisor dies too. What is
left is code whose supervisor was killed: behind weaker walls, or before bubblewrap began to watch. Its environment,
command line and folder may be anything by then; the session that it was started in is still the same, which the filter
of system calls sees to.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

import psutil

from autokaggle.skills.sandbox.order import MARK
from autokaggle.storage.artifacts import RunFolder
from autokaggle.storage.run_folders import files_of

SECONDS_TO_DIE = 5.0
# The moment on a mark is taken a little after the session began, and clocks are corrected.
SECONDS_APART = 2.0
PREFIX, SUFFIX = MARK.split("{log}")


@dataclass(frozen=True)
class _Tree:
    """What a supervisor wrote down: the session of its sandbox, and when that began."""

    session: int
    began: float


def end_orphans(folder: RunFolder) -> int:
    """Kill every process that works behind walls on this run, and return how many there were.

    Only for who holds the run: then nobody else may have started them.
    """
    marks = [path for path in files_of(folder) if path.name.startswith(PREFIX) and path.name.endswith(SUFFIX)]
    trees = [tree for tree in map(_read, marks) if tree is not None]
    place = folder.path.resolve()
    found = [each for each in psutil.process_iter() if _works_on(each, place) or any(_is_of(each, t) for t in trees)]
    _end(found, marks)
    return len(found)


def end_orphans_of(log: Path) -> int:
    """Kill what is left of a job whose supervisor was killed, and return how many processes there were.

    ``log`` is the job's; other jobs of the run go on.
    """
    mark = log.with_name(MARK.format(log=log.name))
    tree = _read(mark)
    found = [each for each in psutil.process_iter() if _is_of(each, tree)] if tree else []
    _end(found, [mark])
    return len(found)


def _end(processes: list[psutil.Process], marks: list[Path]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(processes, timeout=SECONDS_TO_DIE)
    for mark in marks:
        mark.unlink(missing_ok=True)


def _read(mark: Path) -> _Tree | None:
    """Read a mark; None for one that was cut short, or is older than the machine's start."""
    try:
        session, began = mark.read_text("utf-8").split()
        tree = _Tree(int(session), float(began))
    except (OSError, ValueError):
        return None
    return tree if tree.began > psutil.boot_time() and tree.session > 1 else None


def _is_of(process: psutil.Process, tree: _Tree) -> bool:
    """Say whether the process is in the tree's session, and not in a later one of the same number."""
    try:
        if os.getsid(process.pid) != tree.session or process.create_time() < tree.began - SECONDS_APART:
            return False
        leader = psutil.Process(tree.session) if psutil.pid_exists(tree.session) else None
        return abs(leader.create_time() - tree.began) < SECONDS_APART if leader else _is_filtered(process.pid)
    except (psutil.Error, OSError):
        return False


def _is_filtered(process: int) -> bool:
    """Say whether system calls are filtered, as all that code starts behind walls are for good."""
    return "\nSeccomp:\t2\n" in Path(f"/proc/{process}/status").read_text("utf-8", "replace")


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
