"""A folder in which the program runs as a process of its own, to be watched and killed; this file starts and waits."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from autokaggle.records.event import Event
from autokaggle.storage.artifacts import RunFolder
from autokaggle.storage.tail import Tail, decode_events

PATIENCE_SECONDS = 600.0
FLAGS = ("--no-chat", "--model", "none", "--max-candidates", "2", "--time-budget", "10m", "--json", "--quiet")

Sign = Callable[[Event], bool]


def told(kind: str, **fields: str) -> Sign:
    """Return a sign for an event of a kind with fields."""
    return lambda event: event.kind == kind and all(event.fields.get(name) == fields[name] for name in fields)


class World:
    """A folder with a local competition, and the program started in it with a home of its own.

    Its built environments are those of ``shared_home``.
    """

    def __init__(self, folder: Path, shared_home: Path) -> None:
        self.folder, self.home = folder, folder / "home"
        self.home.mkdir()
        (self.home / "environments").symlink_to(shared_home / "environments")
        # Wheels too: a test that builds an environment anew should not fetch them anew.
        self.packages = {"UV_CACHE_DIR": os.environ.get("UV_CACHE_DIR", str(shared_home / "wheels"))}
        make_orchard(folder / "orchard")

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "autokaggle", *arguments],
            cwd=self.folder,
            env={**os.environ, "AUTOKAGGLE_HOME": str(self.home), **self.packages},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def finish(self, process: subprocess.Popen[str]) -> dict[str, Any]:
        out, err = process.communicate(timeout=PATIENCE_SECONDS)
        assert process.returncode == 0, err
        answer: dict[str, Any] = json.loads(out)
        return answer

    def take(self, answer: dict[str, Any]) -> RunFolder:
        """Copy a run that is done into this world."""
        done = Path(answer["run_dir"])
        shutil.copytree(done, self.folder / "runs" / done.name, symlinks=True)
        return RunFolder(self.folder / "runs" / done.name)

    def run_folder(self) -> RunFolder | None:
        found = list(self.folder.glob("runs/*/run.json"))
        return RunFolder(found[0].parent) if found else None


def make_orchard(folder: Path) -> None:
    """Write 160 trees, some of which were sold, and not by one rule alone."""
    chance = random.Random(7)
    folder.mkdir()
    rows: list[tuple[object, ...]] = []
    for number in range(160):
        height, kind = chance.uniform(1, 9), chance.choice(["oak", "elm", "ash"])
        is_sold = int(height + (kind == "oak") * 2 + chance.gauss(0, 1.5) > 5.5)
        rows.append((number, round(height, 2), kind, is_sold))
    tables: dict[str, list[tuple[object, ...]]] = {
        "train.csv": [("id", "height", "kind", "sold"), *rows[:110]],
        "test.csv": [("id", "height", "kind"), *(row[:3] for row in rows[110:])],
        "sample_submission.csv": [("id", "sold"), *((row[0], 0) for row in rows[110:])],
    }
    for name, lines in tables.items():
        with (folder / name).open("w", newline="") as stream:
            csv.writer(stream).writerows(lines)


def wait_for(process: subprocess.Popen[str], world: World, known: int, sign: Sign) -> bool:
    """Wait until an event after the first ``known`` ones is the sign; False when the run ends before."""
    end, tail, seen = time.monotonic() + PATIENCE_SECONDS, None, 0
    while process.poll() is None:
        assert time.monotonic() < end
        folder = world.run_folder()
        tail = tail or (Tail(folder.events) if folder else None)
        for event in decode_events(tail.new_lines()) if tail else ():
            seen += 1
            if seen > known and sign(event):
                return True
        time.sleep(0.002)
    return False


def events(folder: RunFolder) -> list[Event]:
    return list(decode_events(Tail(folder.events).new_lines(also_unfinished=True)))


def sandboxes_below(folder: Path) -> list[psutil.Process]:
    """List what works behind walls on something in ``folder``, outermost first."""
    found = []
    for process in psutil.process_iter(["name", "cmdline"]):
        line = process.info["cmdline"] or ()
        if process.info["name"] == "bwrap" and any(part.startswith(f"{folder}/") for part in line):
            found.append(process)
    return found


def sha256(folder: RunFolder) -> str:
    """Return the hash of the submission that a run left."""
    return hashlib.sha256(folder.submission.read_bytes()).hexdigest()


@contextmanager
def killable_world(folder: Path, shared_home: Path) -> Iterator[World]:
    """Make a world in ``folder``; whatever still works there at the end is killed."""
    yield World(folder, shared_home)
    for process in psutil.process_iter(["cmdline"]):
        if any(str(folder) in part for part in process.info["cmdline"] or ()):
            process.kill()
