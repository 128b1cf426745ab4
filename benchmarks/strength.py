"""Scores beside AutoML peers on the same cases, wall clock and cores; this program writes tables of docs/benchmarks.md.

    python benchmarks/strength.py --shared DIR --work DIR [--budget 120] [--systems NAME,NAME] [--set NAME] [--name N]
    python benchmarks/strength.py --shared DIR --work DIR CASE ...

One system after the other, case by case, each in an environment of its own that the program makes. What is measured is
kept in WORK/strength.json, so a stopped table goes on where it was; ``--again SYSTEM`` measures one anew.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cases import Outcome, run_case, score, serving
from tables import table, write_block

TABULAR = (
    "house-prices-advanced-regression-techniques",
    "playground-series-s3e26",
    "playground-series-s4e2",
    "spaceship-titanic",
    "titanic",
    "bike-sharing-demand",
    "playground-series-s3e5",
    "playground-series-s3e18",
)
# Large tables with lookups, a forecast, text, images: each needs more than rows and columns.
TEMPLATES = (
    "bike-sharing-demand",
    "playground-series-s3e19",
    "nlp-getting-started",
    "aerial-cactus-identification",
    "nyc-flight-delays",
)
SETS = {"tabular": TABULAR, "templates": TEMPLATES}
OURS = "autokaggle"
PEERS = {
    "autogluon": ("autogluon.tabular[lightgbm,catboost,xgboost,fastai]==1.6.3",),
    "flaml": ("flaml[automl]==2.7.0", "pandas<3"),
    "mljar": ("mljar-supervised==1.3.2", "pandas<3"),
    "lightgbm": ("lightgbm==4.7.0", "pandas<3", "scikit-learn"),
}
FOLDER = Path(__file__).resolve().parent / "peers"
# A peer that has not ended after so many times its budget is ended.
PATIENCE = 2.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", nargs="*", help="by default all of the set")
    parser.add_argument("--set", choices=SETS, default="tabular")
    parser.add_argument("--shared", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True, help="environments, results and runs are kept here")
    parser.add_argument("--budget", type=int, default=120, help="seconds")
    parser.add_argument("--systems", default=",".join([OURS, *PEERS]))
    parser.add_argument("--again", default="", help="a system to measure anew")
    parser.add_argument("--name", default="")
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    results = Results(given.work.resolve() / "strength.json")
    systems, cases = given.systems.split(","), given.cases or SETS[given.set]
    for case in cases:
        for system in systems:
            key = f"{case} {system} {given.budget}"
            if key not in results.found or system == given.again:
                results.keep(key, measure(system, case, given.budget, given.shared.resolve(), given.work.resolve()))
            print(key, json.dumps(results.found[key]), flush=True)
    lines = summary(results.found, cases, systems, given.budget)
    print(*lines, sep="\n")
    if given.name:
        command = f"python benchmarks/strength.py --shared DIR --work DIR --budget {given.budget}"
        chosen = " ".join(given.cases) or f"--set {given.set}"
        command += f" --systems {given.systems} {chosen} --name {given.name}"
        write_block(given.name, [f"`{command}`", "", *lines])


class Results:
    """What was measured so far, on disk after every step."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.found: dict[str, dict[str, Any]] = json.loads(path.read_text("utf-8")) if path.is_file() else {}

    def keep(self, key: str, result: dict[str, Any]) -> None:
        """Add one result and write all."""
        self.found[key] = result
        part = self.path.with_suffix(".part")
        part.write_text(json.dumps(self.found, indent=1), "utf-8")
        part.replace(self.path)


def measure(system: str, case: str, budget: int, shared: Path, work: Path) -> dict[str, Any]:
    """Run one system on one case; its private score, wall seconds, and peak memory of its largest process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    if system == OURS:
        found = _measure_ours(case, budget, shared, work)
    else:
        found = _measure_peer(system, case, budget, shared, work)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return {**found, "peak_mb": round(peak / 1024) if peak > before else None, "load": round(os.getloadavg()[0], 1)}


def _measure_ours(case: str, budget: int, shared: Path, work: Path) -> dict[str, Any]:
    cases, tools = shared / "cases", shared / "tools"
    with serving(cases, tools, [case], work / "requests.jsonl") as url:
        flags = ["--time-budget", f"{budget}s"]
        # The packages of this case's template are there, as on a machine that ran such a competition before.
        warm = work / "home" / f"warm-{case}"
        if not warm.is_file():
            run_case(case, url, cases, tools, work, ["--time-budget", "10m", "--max-candidates", "1"], work / "home")
            warm.touch()
        outcome: Outcome = run_case(case, url, cases, tools, work, flags, work / "home")
    cv = outcome.answer.get("cv") or {}
    return {**_scored(outcome.scored), "seconds": round(outcome.seconds, 1), "cv": cv, "errors": outcome.errors[-300:]}


def _measure_peer(system: str, case: str, budget: int, shared: Path, work: Path) -> dict[str, Any]:
    python, folder = environment(system, work), work / "peer-runs" / f"{system}-{case}-{budget}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    source, submission = shared / "cases" / case, folder / "submission.csv"
    script = [str(FOLDER / f"peer_{system}.py"), str(source / "competition.json"), str(source / "data")]
    command = [str(python), *script, str(budget), "0", str(submission)]
    # On a busy machine threads that wait by spinning make LightGBM a hundred times slower.
    calm = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE"}
    started = time.monotonic()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True, env=calm
        )
        try:
            process.wait(PATIENCE * budget + 60)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            process.wait()
    seconds = time.monotonic() - started
    scored = score(case, submission, shared / "cases", shared / "tools") if submission.is_file() else {}
    return {**_scored(scored), "seconds": round(seconds, 1), "errors": _tail(folder / "log") if not scored else ""}


def _scored(scored: dict[str, Any]) -> dict[str, Any]:
    return {
        "score": scored.get("score"),
        "valid": bool(scored.get("valid")),
        "greater_is_better": scored.get("greater_is_better"),
        "beats": (scored.get("leaderboard") or {}).get("percentile_beaten"),
    }


def _tail(log: Path) -> str:
    return log.read_bytes()[-300:].decode("utf-8", "replace")


def environment(system: str, work: Path) -> Path:
    """Make a peer's environment if it is not there, and return its interpreter."""
    folder = work / "environments-of-peers" / system
    if not (folder / "ready").is_file():
        shutil.rmtree(folder, ignore_errors=True)
        uv = str(Path(sys.executable).with_name("uv"))
        subprocess.run([uv, "venv", "-q", "-p", f"{sys.version_info[0]}.{sys.version_info[1]}", folder], check=True)
        python = folder / "bin" / "python"
        subprocess.run([uv, "pip", "install", "-q", "--python", python, *PEERS[system]], check=True)
        (folder / "ready").touch()
    return folder / "bin" / "python"


def summary(found: dict[str, dict[str, Any]], cases: Sequence[str], systems: Sequence[str], budget: int) -> list[str]:
    """Return the table: one line per case, then mean rank, mean normalised score, and cases won."""
    header = ["competition", *(f"{system} (s)" for system in systems), "real leaderboard beaten"]
    lines, ranks, shares = [], {system: [] for system in systems}, {system: [] for system in systems}
    for case in cases:
        results = {system: found.get(f"{case} {system} {budget}", {}) for system in systems}
        for system, (rank, share) in _standing(results).items():
            ranks[system].append(rank)
            shares[system].append(share)
        best = min((rank for rank, _ in _standing(results).values()), default=0)
        cells = [
            _cell(result, is_best=_standing(results).get(system, (0, 0))[0] == best)
            for system, result in results.items()
        ]
        beaten = results.get(OURS, {}).get("beats")
        lines.append([case, *cells, f"{beaten:.1f} %" if beaten is not None else ""])
    mean = {
        system: [f"{sum(all_[system]) / max(1, len(all_[system])):.2f}" for all_ in (ranks, shares)]
        for system in systems
    }
    lines.append(["**mean rank**", *(mean[system][0] for system in systems), ""])
    lines.append(["**mean normalised score** (best 1, worst 0)", *(mean[system][1] for system in systems), ""])
    lines.append(["**cases that we win against it**", *(_won(found, cases, system, budget) for system in systems), ""])
    return table(header, lines)


def _mean(values: Sequence[float]) -> str:
    return f"{sum(values) / len(values):.2f}" if values else ""


def _standing(results: dict[str, dict[str, Any]]) -> dict[str, tuple[float, float]]:
    """Return rank (ties share) and score normalised between the worst and the best, of each system; invalid is last."""
    values = {system: _value(result) for system, result in results.items() if result}
    known = [value for value in values.values() if value is not None]
    low, high = (min(known), max(known)) if known else (0.0, 0.0)
    standing = {}
    for system, value in values.items():
        above = sum(other is not None and (value is None or other > value) for other in values.values())
        equal = sum(other == value for other in values.values())
        share = 0.0 if value is None else (value - low) / (high - low) if high > low else 1.0
        standing[system] = (above + (equal + 1) / 2, share)
    return standing


def _value(result: dict[str, Any]) -> float | None:
    """Return a score of which greater is better, None for no valid submission."""
    if not result.get("valid") or result.get("score") is None:
        return None
    return float(result["score"]) if result["greater_is_better"] else -float(result["score"])


def _cell(result: dict[str, Any], *, is_best: bool) -> str:
    if not result:
        return ""
    if _value(result) is None:
        return f"invalid ({result['seconds']:.0f})"
    text = f"{result['score']:.5f}"
    return f"{f'**{text}**' if is_best else text} ({result['seconds']:.0f})"


def _won(found: dict[str, dict[str, Any]], cases: Sequence[str], system: str, budget: int) -> str:
    if system == OURS:
        return ""
    pairs = [(found.get(f"{case} {OURS} {budget}"), found.get(f"{case} {system} {budget}")) for case in cases]
    values = [(_value(ours), _value(peer)) for ours, peer in pairs if ours and peer]
    won = sum(ours is not None and (peer is None or ours > peer) for ours, peer in values)
    return f"{won} of {len(values)}"


if __name__ == "__main__":
    main()
