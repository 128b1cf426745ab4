"""What the walls cost: a step that does nothing, at each level and as a plain subprocess; and a warm environment.

    python benchmarks/sandbox_overhead.py --steps 30 --name sandbox-overhead

The ways take turns, so that whatever else the machine does falls on all of them. The environment is the one of the
tabular template, built once before the clock starts.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tables import table, write_block

from autokaggle.config import load_settings
from autokaggle.plugins.manager import Plugins
from autokaggle.records.sandbox import Isolation
from autokaggle.skills.sandbox.backends import backends
from autokaggle.skills.sandbox.environment import build_environment
from autokaggle.skills.sandbox.executor import run_job
from autokaggle.skills.sandbox.isolation import try_backend
from autokaggle.skills.sandbox.job import Job
from autokaggle.skills.sandbox.limits import default_limits

GOAL_STEP, GOAL_ENVIRONMENT = 0.2, 0.1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--name", help="write the table into docs/benchmarks.md, between the marks of this name")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="autokaggle-overhead-") as name:
        rows = step_rows(measured(ways(Path(name)), given.steps))
    rows += [environment_row(given.steps), ["load of the machine (1 minute)", f"{os.getloadavg()[0]:.1f}", "", "", ""]]
    text = table(["what", "median", "quickest", "more than plain (median)", "goal"], rows)
    print("\n".join(text))
    if given.name:
        command = f"python benchmarks/sandbox_overhead.py --steps {given.steps} --name {given.name}"
        write_block(given.name, [f"`{command}`", "", *text])


def ways(folder: Path) -> dict[str, Callable[[], None]]:
    """Return what carries out the empty step, by name: a subprocess, and every level that holds on this machine."""
    code = folder / "code"
    code.mkdir()
    (code / "nothing.py").write_text("pass\n", "utf-8")
    known: dict[str, Callable[[], None]] = {"plain subprocess": partial(plain, code / "nothing.py")}
    levels = [
        (backend.level, backend.name) for backend in backends() if not (backend.missing() or try_backend(backend))
    ]
    for level, backend in [*levels, ("none", "none")]:
        job = Job(
            scripts=("nothing.py",),
            code=code,
            output=folder / backend / "output",
            log=folder / backend / "log",
            limits=default_limits(wall_seconds=60),
        )
        job.output.mkdir(parents=True)
        known[f"{level} ({backend})" if backend != level else level] = partial(
            walled, job, Isolation(level=level, backend=backend)
        )
    return known


def plain(script: Path) -> None:
    subprocess.run([sys.executable, "-s", str(script)], check=True, stdin=subprocess.DEVNULL)


def walled(job: Job, isolation: Isolation) -> None:
    result = run_job(job, isolation)
    assert result.exit_code == 0, result


def measured(known: dict[str, Callable[[], None]], steps: int) -> dict[str, list[float]]:
    """Return the seconds of every step by the name of its way."""
    taken: dict[str, list[float]] = {name: [] for name in known}
    for _ in range(steps):
        for name, step in known.items():
            taken[name].append(seconds_of(step))
    return taken


def seconds_of(action: Callable[[], object]) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def step_rows(taken: dict[str, list[float]]) -> list[list[str]]:
    base = statistics.median(taken["plain subprocess"])
    rows = []
    for name, seconds in taken.items():
        middle = statistics.median(seconds)
        more, goal = ("", "") if name == "plain subprocess" else (f"{middle - base:.3f} s", f"{GOAL_STEP} s")
        rows.append([f"an empty step: {name}", f"{middle:.3f} s", f"{min(seconds):.3f} s", more, goal])
    return rows


def environment_row(times: int) -> list[str]:
    """Time how long it takes to find the environment that the tabular template needs."""
    requirements = Plugins().template("tabular").requirements
    store, day = load_settings().environments, dt.datetime.now(dt.UTC).date()
    build_environment(requirements, store, exclude_newer=day)
    taken = [seconds_of(lambda: build_environment(requirements, store, exclude_newer=day)) for _ in range(times)]
    median, quickest = statistics.median(taken), min(taken)
    return ["a warm environment", f"{median:.3f} s", f"{quickest:.3f} s", "", f"{GOAL_ENVIRONMENT} s"]


if __name__ == "__main__":
    main()
