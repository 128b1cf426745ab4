"""Does the stated interval hold the private score? This program runs every case for the table in docs/benchmarks.md.

    python benchmarks/honesty.py --shared DIR --budget 60s --results FILE.jsonl [--name honesty] [--cases SLUG ...]

DIR holds cases/ and tools/ (see benchmarks/cases.py); without --cases all of them are run. FILE keeps what is done: a
program that was stopped goes on at the next case, and a case that is in FILE with the same budget is not run again.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

from cases import Outcome, run_case, serving
from tables import table, write_block

HEADER = ["competition", "metric", "out-of-fold", "95 % for the test set", "private", "inside", "half width", "leaking"]


def main() -> None:
    given = _arguments()
    cases, tools = given.shared.resolve() / "cases", given.shared.resolve() / "tools"
    slugs = given.cases or sorted(path.name for path in cases.iterdir() if (path / "private").is_dir())
    done = {row["slug"]: row for row in _read(given.results) if row["budget"] == given.budget}
    waiting = [slug for slug in slugs if slug not in done]
    work = Path(tempfile.mkdtemp(prefix="autokaggle-honesty-"))
    if waiting:
        with serving(cases, tools, waiting, work / "requests.jsonl") as url:
            for slug in waiting:
                flags = ["--time-budget", given.budget, "--seed", str(given.seed)]
                outcome = run_case(slug, url, cases, tools, work, flags, given.home or work / "home")
                done[slug] = _row(outcome, given.budget)
                with given.results.open("a", encoding="utf-8") as stream:
                    stream.write(json.dumps(done[slug]) + "\n")
                print(" | ".join(_cells(done[slug])), flush=True)
    rows = [done[slug] for slug in slugs if slug in done]
    scored = [row for row in rows if row["private"] is not None and row["cv"]]
    inside = sum(_is_inside(row) for row in scored)
    lines = [f"Inside the interval: {inside} of {len(scored)}.", "", *table(HEADER, [_cells(row) for row in rows])]
    print("\n".join(lines))
    if given.name:
        command = f"python benchmarks/honesty.py --shared DIR --budget {given.budget} --results FILE.jsonl"
        write_block(given.name, [f"`{command} --name {given.name}`", "", *lines])


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shared", type=Path, required=True)
    parser.add_argument("--budget", default="60s")
    parser.add_argument("--results", type=Path, required=True, help="JSON lines; what is there is not run again")
    parser.add_argument("--cases", nargs="*", default=[])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--name", default="", help="the block of docs/benchmarks.md to replace")
    parser.add_argument("--home", type=Path, default=None, help="AUTOKAGGLE_HOME; a fresh one makes the first run cold")
    return parser.parse_args()


def _read(results: Path) -> list[dict[str, Any]]:
    if not results.is_file():
        return []
    return [json.loads(line) for line in results.read_text("utf-8").splitlines() if line.strip()]


def _row(outcome: Outcome, budget: str) -> dict[str, Any]:
    run_folder = Path(outcome.answer.get("run_dir") or "nowhere")
    metrics = run_folder / "output" / "metrics.json"
    audit = json.loads(metrics.read_text("utf-8")).get("audit", {}) if metrics.is_file() else {}
    return {
        "slug": outcome.slug,
        "budget": budget,
        "metric": outcome.answer.get("metric"),
        "cv": outcome.answer.get("cv") or {},
        "private": outcome.scored.get("score"),
        "leaking": len(audit.get("leaking", [])),
        "exit_code": outcome.exit_code,
        "seconds": round(outcome.seconds, 1),
        "problem": "" if outcome.exit_code == 0 else outcome.errors[-300:],
    }


def _is_inside(row: dict[str, Any]) -> bool:
    return bool(row["cv"]["low"] <= row["private"] <= row["cv"]["high"])


def _cells(row: dict[str, Any]) -> list[str]:
    cv, private = row["cv"], row["private"]
    if not cv or private is None:
        return [row["slug"], str(row["metric"]), f"exit {row['exit_code']}", "", "", "", "", ""]
    return [
        row["slug"],
        row["metric"],
        f"{cv['mean']:.5g}",
        f"{cv['low']:.5g} to {cv['high']:.5g}",
        f"{private:.5g}",
        "yes" if _is_inside(row) else "**no**",
        f"{(cv['high'] - cv['low']) / 2:.2g}",
        str(row["leaking"]),
    ]


if __name__ == "__main__":
    main()
