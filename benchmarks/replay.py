"""Runs once more: `reproduce`, and the exported notebook in a clean environment; this program writes the tables.

    python benchmarks/replay.py --shared DIR [--budget 20s] [--notebooks 3] [--name NAME] [--home DIR] [SLUG ...]

Each competition is run, its submission rebuilt from the run folder in an environment built anew, and, for the first
few, the exported notebook executed by nbclient in an environment of its own that has the locked packages. DIR holds
cases/ and tools/ (see benchmarks/cases.py).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from cases import run_case, serving
from tables import table, write_block

SLUGS = (
    "titanic",
    "house-prices-advanced-regression-techniques",
    "playground-series-s3e19",
    "spaceship-titanic",
    "playground-series-s4e2",
    "nlp-getting-started",
)
HEADER = ["competition", "answer", "rebuilt submission", "environment", "code", "notebook"]

EXECUTE = """
import sys, nbclient, nbformat
notebook = nbformat.read(sys.argv[1], 4)
nbformat.validate(notebook)
nbclient.NotebookClient(notebook, timeout=1200, kernel_name="python3").execute()
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("slugs", nargs="*", default=SLUGS)
    parser.add_argument("--shared", type=Path, required=True)
    parser.add_argument("--budget", default="20s")
    parser.add_argument("--notebooks", type=int, default=3, help="how many exported notebooks to execute")
    parser.add_argument("--name", default="")
    parser.add_argument("--home", type=Path, default=None, help="AUTOKAGGLE_HOME; a fresh one makes the first run cold")
    given = parser.parse_args()
    cases, tools = given.shared.resolve() / "cases", given.shared.resolve() / "tools"
    work = Path(tempfile.mkdtemp(prefix="autokaggle-replay-"))
    home = given.home or work / "home"
    rows = []
    with serving(cases, tools, given.slugs, work / "requests.jsonl") as url:
        for place, slug in enumerate(given.slugs):
            outcome = run_case(slug, url, cases, tools, work, ["--time-budget", given.budget], home)
            if outcome.exit_code != 0:
                rows.append([slug, f"exit {outcome.exit_code}", "-", "-", "-", "-"])
                print(outcome.errors)
                continue
            run = Path(outcome.answer["run_dir"])
            executed = notebook(run, cases / slug / "data", work / slug, home) if place < given.notebooks else ""
            rows.append([slug, members(run), *replay(run, home), executed])
            print(" | ".join(rows[-1]), flush=True)
    if given.name:
        command = f"python benchmarks/replay.py --shared DIR --budget {given.budget} --name {given.name}"
        write_block(given.name, [f"`{command}`", "", *table(HEADER, rows)])


def members(run: Path) -> str:
    """Say of how many models the answer is made."""
    count = len(json.loads((run / "output/metrics.json").read_text("utf-8"))["ensemble"])
    return "one model" if count == 1 else f"{count} models blended"


def replay(run: Path, home: Path) -> list[str]:
    """Rebuild the submission and say how it compares."""
    done = autokaggle("reproduce", str(run), "--json", home=home)
    found = json.loads(done.stdout or "{}")
    if "verdict" not in found:
        return [f"exit {done.returncode}: {done.stderr.strip().splitlines()[-1][:80]}", "-", "-"]
    verdict = "sha256 equal" if found["verdict"] == "identical" else f"{found['verdict']}: {found['largest']:.1e}"
    return [verdict, *(f"{found['seconds'][part]:.0f} s" for part in ("environment", "code"))]


def notebook(run: Path, data: Path, work: Path, home: Path) -> str:
    """Export the notebook and execute it in a clean environment; say how its submission compares."""
    work.mkdir()
    exported = work / "notebook.ipynb"
    done = autokaggle("export", str(run), "--format", "notebook", "--output", str(exported), "--json", home=home)
    if done.returncode != 0:
        return f"export: exit {done.returncode}"
    uv, python = str(Path(sys.executable).with_name("uv")), work / "venv/bin/python"
    lock = str(run / "env/requirements.lock")
    for line in (
        ["venv", "--quiet", str(work / "venv")],
        ["pip", "install", "--quiet", "--python", str(python), "--require-hashes", "-r", lock],
        ["pip", "install", "--quiet", "--python", str(python), "nbclient", "ipykernel"],
    ):
        subprocess.run([uv, *line], check=True)
    started = time.monotonic()
    environment = {"PATH": f"{python.parent}:/usr/bin:/bin", "HOME": str(work), "AUTOKAGGLE_DATA": str(data)}
    executed = subprocess.run(
        [str(python), "-c", EXECUTE, str(exported)],
        cwd=work,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if executed.returncode != 0:
        return f"failed: {executed.stderr.strip().splitlines()[-1][:80]}"
    mine, theirs = (hashlib.sha256(path.read_bytes()).hexdigest() for path in
                    (run / "output/submission.csv", work / "submission.csv"))  # fmt: skip
    return f"{'sha256 equal' if mine == theirs else 'another submission'}, {time.monotonic() - started:.0f} s"


def autokaggle(*arguments: str, home: Path) -> subprocess.CompletedProcess[Any]:
    """Run one command of the program."""
    environment = {**os.environ, "AUTOKAGGLE_HOME": str(home)}
    command = [sys.executable, "-m", "autokaggle", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


if __name__ == "__main__":
    main()
