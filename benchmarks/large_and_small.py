"""Very many rows, and more columns than rows; this program writes a table in docs/benchmarks.md.

    python benchmarks/large_and_small.py [--tables 1000000x50 150x300] [--budget 120s] [--name large-and-small]

The tables are made up: a few columns carry a signal with an interaction, some are categories, the others are noise. The
private labels stay here; plain LightGBM (its defaults) is trained on the same train rows and scored on the same labels.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import lightgbm
import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.metrics import roc_auc_score
from tables import table, write_block

HEADER = [
    "table", "budget", "first scored submission", "command", "peak memory", "candidates", "AUC expected (95 %)",
    "private AUC", "inside", "plain LightGBM",
]  # fmt: skip
NUMBERS_OF_SIGNAL, CATEGORIES, LEVELS = 6, 3, 40
FEWEST_TEST_ROWS = 4_000


@dataclass(frozen=True)
class Made:
    """A competition folder and the labels of its test rows."""

    folder: Path
    private: npt.NDArray[np.int8]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tables", nargs="+", default=["1000000x50", "150x300"], help="rows of train x columns")
    parser.add_argument("--budget", default="120s")
    parser.add_argument("--name", default="")
    given = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="autokaggle-benchmark-"))
    # A first run builds the environment, which the others find in the store.
    run(make(work / "warm", 300, 10, 100), work, "60s", "--max-candidates", "1")
    rows = []
    for size in given.tables:
        train_rows, columns = map(int, size.split("x"))
        test_rows = max(train_rows // 4, FEWEST_TEST_ROWS)
        made = make(work / f"table-{size}", train_rows, columns, test_rows)
        rows.append([f"{train_rows:,} x {columns}", given.budget, *measure(made, work, given.budget)])
        print(" | ".join(rows[-1]), flush=True)
    if given.name:
        command = f"python benchmarks/large_and_small.py --tables {' '.join(given.tables)}"
        told = f"`{command} --budget {given.budget} --name {given.name}`"
        write_block(given.name, [told, "", *table(HEADER, rows)])


def make(folder: Path, train_rows: int, columns: int, test_rows: int) -> Made:
    """Write train.csv, test.csv and sample_submission.csv, and return the labels of test."""
    random = np.random.default_rng(columns)
    rows = train_rows + test_rows
    columns_made: dict[str, Any] = {"id": np.arange(rows)}
    signal = np.zeros(rows, dtype=np.float32)
    for place in range(columns):
        if place < CATEGORIES and columns > 20 and train_rows > LEVELS * 20:
            level = random.integers(0, LEVELS, rows)
            columns_made[f"kind {place}"] = pd.Categorical.from_codes(
                level, [f"level {number}" for number in range(LEVELS)]
            )
            signal += random.normal(size=LEVELS).astype(np.float32)[level] * 0.4
            continue
        values = random.normal(size=rows).astype(np.float32).round(4)
        columns_made[f"number {place}"] = values
        if place < CATEGORIES + NUMBERS_OF_SIGNAL:
            signal += 0.5 * values if place % 2 else 0.7 * np.abs(values)
    made = pd.DataFrame(columns_made)
    signal += 0.8 * made.iloc[:, -1].to_numpy() * made.iloc[:, -2].to_numpy()
    signal += random.logistic(size=rows).astype(np.float32)
    label = (signal > np.median(signal)).astype(np.int8)
    folder.mkdir()
    train, test = made.iloc[:train_rows].assign(target=label[:train_rows]), made.iloc[train_rows:]
    for name, part in (("train", train), ("test", test), ("sample_submission", test[["id"]].assign(target=0.5))):
        duckdb.from_df(part).write_csv(str(folder / f"{name}.csv"), header=True)
    return Made(folder, label[train_rows:])


def run(made: Made, work: Path, budget: str, *flags: str) -> tuple[dict[str, Any], float]:
    """Run the program on the folder; return its answer and its wall seconds."""
    command = [sys.executable, "-m", "autokaggle", "run", str(made.folder), "--metric", "roc_auc", "--no-chat"]
    command += ["--model", "none", "--json", "--quiet", "--runs-dir", str(work / "runs"), "--time-budget", budget]
    environment = {**os.environ, "AUTOKAGGLE_HOME": os.environ.get("AUTOKAGGLE_HOME", str(work / "home"))}
    started = time.monotonic()
    done = subprocess.run([*command, *flags], env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer, time.monotonic() - started


def measure(made: Made, work: Path, budget: str) -> list[str]:
    """Run the program and plain LightGBM on the folder, and return the cells of its row."""
    answer, seconds = run(made, work, budget)
    folder = Path(answer["run_dir"])
    cv = answer["cv"]
    handed_in = pd.read_csv(answer["submission"]["path"])
    private = roc_auc_score(made.private, handed_in["target"])
    records = [json.loads(path.read_text("utf-8")) for path in folder.glob("candidates/*/candidate.json")]
    memory = max((step["peak_memory_bytes"] for one in records for step in one["steps"]), default=0)
    return [
        until_scored(folder),
        f"{seconds:.0f} s",
        f"{memory / 1e9:.1f} GB",
        f"{sum(one['status'] == 'scored' for one in records)}",
        f"{cv['mean']:.4f} ({cv['low']:.4f} to {cv['high']:.4f})",
        f"{private:.4f}",
        "yes" if cv["low"] <= private <= cv["high"] else "no",
        f"{plain(made):.4f}",
    ]


def until_scored(folder: Path) -> str:
    """Tell the seconds from the end of fetch, where the budget begins, to the first submission of a candidate."""
    events = [json.loads(line) for line in (folder / "logs" / "events.jsonl").read_text("utf-8").splitlines()]
    start = next(one for one in events if one["kind"] == "stage_finished" and one["fields"]["stage"] == "fetch")
    scored = (one for one in events if one["kind"] == "best_changed" and one["fields"]["candidate"] != "constant")
    first = next(scored, None)
    if first is None:
        return "none: the best constant"
    moments = [dt.datetime.fromisoformat(one["time"]) for one in (start, first)]
    return f"{(moments[1] - moments[0]).total_seconds():.0f} s"


def plain(made: Made) -> float:
    """Return the private AUC of LightGBM with its defaults."""
    train, test = (pd.read_csv(made.folder / f"{name}.csv") for name in ("train", "test"))
    target = train.pop("target")
    texts = [name for name in train if not pd.api.types.is_numeric_dtype(train[name])]
    for part in (train, test):
        part[texts] = part[texts].astype("category")
    model = lightgbm.LGBMClassifier(verbose=-1, n_jobs=2).fit(train.drop(columns="id"), target)
    return float(roc_auc_score(made.private, model.predict_proba(test.drop(columns="id"))[:, 1]))


if __name__ == "__main__":
    main()
