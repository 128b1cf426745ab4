"""From a link to a scored submission, for several competitions; this program writes the table in docs/benchmarks.md.

    python benchmarks/end_to_end.py --shared DIR [--budget 60s] [--name NAME] [SLUG ...]

DIR holds cases/ and tools/ (see benchmarks/cases.py). Environments are warm after the first case.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from cases import Outcome, run_case, serving
from tables import table, write_block

SLUGS = (
    "titanic",
    "house-prices-advanced-regression-techniques",
    "spaceship-titanic",
    "playground-series-s4e2",
    "playground-series-s3e5",
    "playground-series-s3e18",
    "playground-series-s3e26",
    "bike-sharing-demand",
)
HEADER = ["competition", "metric", "out-of-fold (95 % for the test set)", "private score", "inside", "beats", "seconds"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("slugs", nargs="*", default=SLUGS)
    parser.add_argument("--shared", type=Path, required=True)
    parser.add_argument("--budget", default="60s")
    parser.add_argument("--name", default="")
    parser.add_argument("--home", type=Path, default=None, help="AUTOKAGGLE_HOME; a fresh one makes the first run cold")
    parser.add_argument("--flags", nargs=argparse.REMAINDER, default=[], help="further flags of `autokaggle run`")
    given = parser.parse_args()
    cases, tools = given.shared.resolve() / "cases", given.shared.resolve() / "tools"
    work = Path(tempfile.mkdtemp(prefix="autokaggle-benchmark-"))
    rows = []
    with serving(cases, tools, given.slugs, work / "requests.jsonl") as url:
        for slug in given.slugs:
            flags = ["--time-budget", given.budget, *given.flags]
            outcome = run_case(slug, url, cases, tools, work, flags, given.home or work / "home")
            rows.append(_row(outcome))
            print(" | ".join(rows[-1]), flush=True)
            if outcome.exit_code != 0:
                print(outcome.errors)
    if given.name:
        command = f"python benchmarks/end_to_end.py --shared DIR --budget {given.budget} --name {given.name}"
        write_block(given.name, [f"`{command}`", "", *table(HEADER, rows)])


def _row(outcome: Outcome) -> list[str]:
    cv = outcome.answer.get("cv") or {}
    private = outcome.scored.get("score")
    board = outcome.scored.get("leaderboard", {}).get("percentile_beaten")
    if not cv or private is None:
        problem = f"exit {outcome.exit_code} {outcome.scored.get('errors', '')}"
        return [outcome.slug, str(outcome.answer.get("metric")), "-", problem, "-", "-", f"{outcome.seconds:.0f}"]
    return [
        outcome.slug,
        str(outcome.answer.get("metric")),
        f"{cv['mean']:.5f} ({cv['low']:.5f} to {cv['high']:.5f})",
        f"{private:.5f}",
        "yes" if cv["low"] <= private <= cv["high"] else "no",
        f"{board:.1f} %" if board is not None else "",
        f"{outcome.seconds:.0f}",
    ]


if __name__ == "__main__":
    main()
