"""A scheduler and workers as they stand on several machines; this file starts them, each with its own home."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.patience import wait_until


@dataclass
class Machines:
    """What was started: ``workers`` by name, and the home of each below ``folder``."""

    folder: Path
    address: str = ""
    workers: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def home(self, name: str) -> Path:
        return self.folder / name

    def kill(self, name: str) -> None:
        """End a worker as a power cut does."""
        self.workers[name].send_signal(signal.SIGKILL)
        self.workers[name].wait()

    def jobs(self, name: str) -> list[Path]:
        """The folders of jobs that are on this worker now."""
        return list(self.home(name).glob("jobs/job-*"))


@contextmanager
def machines(folder: Path, *names: str, gpus: Collection[str] = (), **variables: str) -> Iterator[Machines]:
    """Start a scheduler and one worker for each name; ``variables`` are added to what the workers inherit.

    Those named in ``gpus`` declare a GPU.
    """
    file = folder / "scheduler.json"
    found = Machines(folder)
    scheduler = _start(
        folder, "scheduler", ["scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"], str(file)
    )
    try:
        wait_until(lambda: file.is_file() and file.read_text().endswith("}"))
        found.address = json.loads(file.read_text())["address"]
        for name in names:
            home = found.home(name)
            home.mkdir()
            line = ["worker", "--nthreads", "1", "--no-nanny", "--no-dashboard", "--name", name]
            line += ["--resources", f"cores=1,memory=4e9{',gpu=1' * (name in gpus)}", "--local-directory", str(home)]
            found.workers[name] = _start(home, name, line, str(file), **variables)
        yield found
    finally:
        for process in (*found.workers.values(), scheduler):
            process.kill()
            process.wait()


def _start(home: Path, name: str, line: list[str], file: str, **variables: str) -> subprocess.Popen[bytes]:
    environment = {**os.environ, **variables, "AUTOKAGGLE_HOME": str(home)}
    command = [sys.executable, "-m", "dask", *line, "--scheduler-file", file]
    with (home / f"{name}.log").open("wb") as log:
        return subprocess.Popen(command, env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
