"""How much a language model is sent for its first message; this program writes the table in docs/benchmarks.md.

    python benchmarks/payloads.py --shared DIR [--name payloads] [SLUG ...]

DIR holds cases/ and tools/ (see benchmarks/cases.py). Nothing is sent: `autokaggle prompt` shows what would be.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from cases import run_case, serving
from tables import table, write_block

SLUGS = ("titanic", "house-prices-advanced-regression-techniques", "playground-series-s4e2")
MODEL = "gemini-3-flash-preview"
GOAL_TOKENS = 6_000
HEADER = ["competition", "opening of a talk", "decisions without a talk", "the same with --schema-only", "goal"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("slugs", nargs="*", default=SLUGS)
    parser.add_argument("--shared", type=Path, required=True)
    parser.add_argument("--name", default="")
    given = parser.parse_args()
    cases, tools = given.shared.resolve() / "cases", given.shared.resolve() / "tools"
    work = Path(tempfile.mkdtemp(prefix="autokaggle-benchmark-"))
    rows = []
    with serving(cases, tools, given.slugs, work / "requests.jsonl") as url:
        for slug in given.slugs:
            outcome = run_case(slug, url, cases, tools, work, ["--skip-execution"], work / "home")
            run = outcome.answer["run_dir"]
            asked = (["understand"], ["decide"], ["decide", "--schema-only"])
            tokens = [_payload(run, work, *flags)["tokens"] for flags in asked]
            rows.append([slug, *(f"{count:,} tokens" for count in tokens), f"at most {GOAL_TOKENS:,}"])
            print(" | ".join(rows[-1]), flush=True)
    if given.name:
        command = f"python benchmarks/payloads.py --shared DIR --name {given.name}"
        lines = [f"`{command}` (tokens are estimated: four characters each)", "", *table(HEADER, rows)]
        write_block(given.name, lines)


def _payload(run: str, work: Path, operation: str, *flags: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "autokaggle", "prompt", run, "--model", MODEL, "--operation", operation, "--json"]
    environment = {**os.environ, "AUTOKAGGLE_HOME": str(work / "home"), "HOME": str(work)}
    done = subprocess.run([*command, *flags], capture_output=True, text=True, check=True, env=environment)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


if __name__ == "__main__":
    main()
