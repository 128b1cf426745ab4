"""How quickly the program answers and hands in; this program writes the table in docs/benchmarks.md.

    python benchmarks/first_minute.py --shared DIR [--name first-minute]

DIR holds cases/ and tools/ (see benchmarks/cases.py). The first run builds the environment; the later ones are warm.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from cases import Outcome, run_case, serving
from tables import table, write_block

CASE = "titanic"
REPEATS = 7


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shared", type=Path, required=True)
    parser.add_argument("--name", default="")
    given = parser.parse_args()
    cases, tools = given.shared.resolve() / "cases", given.shared.resolve() / "tools"
    work = Path(tempfile.mkdtemp(prefix="autokaggle-benchmark-"))
    home = work / "home"
    with serving(cases, tools, [CASE], work / "requests.jsonl") as url:

        def run(*flags: str) -> Outcome:
            return run_case(CASE, url, cases, tools, work, flags, home)

        cold = run("--time-budget", "60s", "--max-candidates", "1")
        warm = [run("--time-budget", "60s", "--max-candidates", "1") for _ in range(3)]
        minute = run("--time-budget", "60s")
        short = run("--time-budget", "20s")
    rows = [
        ["`--help`", f"{_median_seconds(['--help'], work, home):.2f} s", "0.25 s"],
        ["`status`", f"{_median_seconds(['status', '--runs-dir', str(work / 'runs')], work, home):.2f} s", "0.35 s"],
        ["a first valid submission, cold (environment built)", f"{_until_scored(cold):.1f} s", "90 s"],
        ["a first valid submission, warm", f"{statistics.median(map(_until_scored, warm)):.1f} s", "15 s"],
        ["the whole command, one candidate, warm", f"{statistics.median(one.seconds for one in warm):.1f} s", ""],
        ["over a budget of 20 s", f"{_over_budget(short):+.1f} s", "at most 5 s"],
        ["outside candidates' processes, of the 60 s run", _outside(minute), "15 % of 60 s"],
    ]
    for row in rows:
        print(" | ".join(row))
    if given.name:
        command = f"python benchmarks/first_minute.py --shared DIR --name {given.name}"
        write_block(given.name, [f"`{command}` ({CASE})", "", *table(["what", "measured", "goal"], rows)])


def _median_seconds(arguments: list[str], work: Path, home: Path) -> float:
    command = [sys.executable, "-m", "autokaggle", *arguments]
    environment = {**os.environ, "AUTOKAGGLE_HOME": str(home), "HOME": str(work)}
    seconds = []
    for _ in range(REPEATS):
        started = time.monotonic()
        subprocess.run(command, env=environment, capture_output=True, check=True)
        seconds.append(time.monotonic() - started)
    return statistics.median(seconds)


def _until_scored(outcome: Outcome) -> float:
    """Seconds from the start of the command to the first submission of a scored candidate."""
    events = _events(outcome)
    first = next(one for one in events if one["kind"] == "best_changed" and one["fields"]["candidate"] != "constant")
    end = next(one for one in reversed(events) if one["kind"] == "run_finished")
    return outcome.seconds - (_moment(end) - _moment(first)).total_seconds()


def _over_budget(outcome: Outcome) -> float:
    stages = outcome.answer["seconds"]["by_stage"]
    budget = next(one for one in _events(outcome) if one["kind"] == "run_started")["fields"]["budget_seconds"]
    return float(sum(stages.values()) - stages["fetch"] - budget)


def _outside(outcome: Outcome) -> str:
    inside = sum(one["fields"]["seconds"] for one in _events(outcome) if one["kind"] == "candidate_finished")
    outside = outcome.seconds - inside
    return f"{outside:.1f} s of {outcome.seconds:.1f} s"


def _events(outcome: Outcome) -> list[dict[str, Any]]:
    path = Path(outcome.answer["run_dir"]) / "logs" / "events.jsonl"
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def _moment(event: dict[str, Any]) -> dt.datetime:
    return dt.datetime.fromisoformat(event["time"])


if __name__ == "__main__":
    main()
