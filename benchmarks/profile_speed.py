"""Profile a large CSV beside one bare DuckDB pass; this program writes the table in docs/benchmarks.md.

    python benchmarks/profile_speed.py [--rows 10000000] [--folder DIR] [--repeat N] [--peer PYTHON] [--name NAME]

It makes a competition of twelve feature columns (10 million rows: 1.5 GB), and measures wall seconds, processor seconds
and peak memory of each program in a process of its own. The bare passes read the file with the types that DuckDB finds:
*scan* counts and takes the range of every column, *statistics* also estimates distinct values, mean, deviation and
the ten commonest values, *convert* writes parquet. The profile does all of that, and the rest besides; the goal is 1.3
times the *statistics* pass. PYTHON is an interpreter with ydata-profiling, which gets a tenth of the rows. Where other
work shares the machine, processor seconds are the fairer ratio; each program runs N times in turn, and the run that
took the fewest counts.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tables import table, write_block

COLUMNS = {
    "id": "i",
    "amount": "round(random() * 1000, 6)",
    "distance": "round(random() * 1e6, 4)",
    "ratio": "round(random(), 10)",
    "weight": "CASE WHEN random() < .05 THEN NULL ELSE round(random() * 50, 8) END",
    "age": "CAST(random() * 100 AS INTEGER)",
    "zone": "CAST(random() * 100000 AS INTEGER)",
    "colour": "['red', 'green', 'blue', 'violet'][1 + CAST(random() * 3.99 AS INTEGER)]",
    "city": "'city_' || CAST(random() * 500 AS INTEGER)",
    "moment": "TIMESTAMP '2020-01-01' + to_seconds(CAST(random() * 1e8 AS INTEGER))",
    "grade": "CASE WHEN random() < .1 THEN NULL ELSE CAST(random() * 9 AS INTEGER) END",
    "code": "md5(CAST(i AS VARCHAR))",
    "comment": "'seen in week ' || CAST(random() * 52 AS INTEGER)",
}
TARGET = ("is_late", "CAST(random() < .3 AS INTEGER)")
NUMBERS = ("id", "amount", "distance", "ratio", "weight", "age", "zone", "grade")

ONE_PASS, PROFILED = "DuckDB: statistics", "`autokaggle profile`"

MAKE = """
import sys, duckdb
rows, folder, features, target, first = int(sys.argv[1]), *sys.argv[2:]
duckdb.execute("SET threads = 1; SET enable_progress_bar = false; SELECT setseed(.5)")
for name, count, columns in (("train", rows, features + ", " + target), ("test", rows // 100, features)):
    duckdb.execute(f"COPY (SELECT {columns} FROM range({count}) t(i)) TO '{folder}/{name}.csv' (HEADER)")
duckdb.execute(f"COPY (SELECT id, 0 AS {first} FROM '{folder}/test.csv') TO '{folder}/sample_submission.csv' (HEADER)")
"""
QUERY = "import sys, duckdb; duckdb.execute(sys.argv[1]).fetchall()"
PROFILE = """
import sys
from pathlib import Path
from autokaggle.skills.dataset.data_profiler import profile_dataset
profile_dataset(Path(sys.argv[1]), Path(sys.argv[2]), {})
"""
PEER = """
import sys, pandas
from ydata_profiling import ProfileReport
ProfileReport(pandas.read_csv(sys.argv[1]), minimal=True, progress_bar=False).to_json()
"""


@dataclass(frozen=True)
class Cost:
    """What a program took."""

    seconds: float
    processor_seconds: float
    peak_bytes: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--folder", type=Path, default=None, help="where 3 GB may be written; it is emptied again")
    parser.add_argument("--peer", default=None, help="an interpreter that can import ydata_profiling")
    parser.add_argument("--name", default="", help="the block of docs/benchmarks.md to write")
    parser.add_argument("--repeat", type=int, default=2, help="how often to run each program")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        lines = measure(options.rows, options.repeat, Path(folder), options.peer)
    header = ["program", "rows", "file", "seconds", "processor seconds", "peak memory", "of one pass"]
    print(*table(header, lines), sep="\n")
    if options.name:
        command = f"`python benchmarks/profile_speed.py --peer PYTHON --name {options.name}`"
        write_block(options.name, [command, "", *table(header, lines)])


def measure(rows: int, repeat: int, folder: Path, peer: str | None) -> list[list[str]]:
    """Measure a tenth of the rows and all rows; one line per program."""
    lines: list[list[str]] = []
    profiles: list[Cost] = []
    for count in (rows // 10, rows):
        data = folder / str(count)
        data.mkdir()
        make_competition(count, data)
        size = f"{(data / 'train.csv').stat().st_size / 1e9:.2f} GB"
        programs = {name: (QUERY, sql) for name, sql in bare_passes(data, folder).items()}
        programs[PROFILED] = (PROFILE, str(data), str(folder / f"tables-{count}"))
        rounds = [{name: run(*program) for name, program in programs.items()} for _ in range(repeat)]
        costs = {name: min((one[name] for one in rounds), key=lambda cost: cost.processor_seconds) for name in programs}
        if peer and count < rows:
            costs["ydata-profiling, minimal"] = run(PEER, str(data / "train.csv"), python=peer)
        profiles.append(costs[PROFILED])
        lines += [line(name, count, size, cost, costs[ONE_PASS]) for name, cost in costs.items()]
    small, large = profiles
    growth = [f"{large.seconds / small.seconds:.1f} x", f"{large.processor_seconds / small.processor_seconds:.1f} x"]
    lines.append([PROFILED, "ten times the rows", "", *growth, "", ""])
    return lines


def line(name: str, rows: int, size: str, cost: Cost, bare: Cost) -> list[str]:
    """Return one line of the table; the last cell divides its seconds and processor seconds by the bare pass's."""
    ratio = f"{cost.seconds / bare.seconds:.2f}, {cost.processor_seconds / bare.processor_seconds:.2f}"
    seconds = [f"{cost.seconds:.1f}", f"{cost.processor_seconds:.1f}"]
    return [name, f"{rows:,}", size, *seconds, f"{cost.peak_bytes / 1e6:,.0f} MB", ratio]


def make_competition(rows: int, folder: Path) -> None:
    """Write train, test (one row in a hundred) and sample submission."""
    features = ", ".join(f"{sql} AS {name}" for name, sql in COLUMNS.items())
    name, sql = TARGET
    subprocess.run([sys.executable, "-c", MAKE, str(rows), folder, features, f"{sql} AS {name}", name], check=True)


def bare_passes(data: Path, folder: Path) -> dict[str, str]:
    """Return the SQL of each bare pass over train."""
    source = f"'{data / 'train.csv'}'"
    names = [*COLUMNS, TARGET[0]]
    scan = [f"count({name}), min({name}), max({name})" for name in names]
    more = [f"approx_count_distinct({name}), approx_top_k({name}, 10)" for name in names]
    more += [f"avg({name}), stddev_pop({name})" for name in NUMBERS]
    return {
        "DuckDB: scan": f"SELECT {', '.join(scan)} FROM {source}",
        ONE_PASS: f"SELECT {', '.join([*scan, *more])} FROM {source}",
        "DuckDB: convert": f"COPY (FROM {source}) TO '{folder / 'bare.parquet'}'",
    }


def run(program: str, *arguments: str, python: str = sys.executable) -> Cost:
    """Run Python code in a process of its own and wait for it."""
    started = time.perf_counter()
    process = subprocess.Popen([python, "-c", program, *arguments], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"a program ended with {process.returncode}: {program.strip().splitlines()[-1]}")
    return Cost(time.perf_counter() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)


if __name__ == "__main__":
    main()
