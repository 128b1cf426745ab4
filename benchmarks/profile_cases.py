"""Profile a folder of competition cases and compare with their right answers; this program writes docs/benchmarks.md.

    python benchmarks/profile_cases.py --shared DIR [--name NAME]

The profiler gets data/ and pages/ of each case alone, in a copy of its own; the answers are those of the case's
competition.json. Each case is profiled twice: as it is, and without its sample submission, which gives most away. A
wrong guess is shown with the right answer and the guess's confidence.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from tables import table, write_block

from autokaggle.records.data_profile import DataProfile, Guess
from autokaggle.skills.competition.pages import evaluation_text
from autokaggle.skills.dataset.data_profiler import profile_dataset
from autokaggle.skills.scoring.metrics import identify_metric

HEADER = ["competition", "sample", "files", "id", "target", "task", "metric", "validation", "seconds"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shared", type=Path, required=True, help="the folder that holds cases/")
    parser.add_argument("--name", default="", help="the block of docs/benchmarks.md to write")
    options = parser.parse_args()
    lines = []
    for case in sorted(path for path in (options.shared / "cases").iterdir() if path.is_dir()):
        answers = json.loads((case / "competition.json").read_text("utf-8"))
        for has_sample in (True, False) if answers["files"].get("sample_submission") else (True,):
            lines.append(compare(case, answers, has_sample=has_sample))
            print(*lines[-1], sep=" | ", flush=True)
    right = [sum(line[place] == "yes" for line in lines) for place in range(2, 7)]
    lines.append([f"right of {len(lines)}", "", *map(str, right), "", ""])
    print(*table(HEADER, lines), sep="\n")
    if options.name:
        command = f"`python benchmarks/profile_cases.py --shared DIR --name {options.name}`"
        write_block(options.name, [command, "", *table(HEADER, lines)])


def compare(case: Path, answers: dict[str, Any], *, has_sample: bool) -> list[str]:
    """Profile one case; return its line of the table."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        shutil.copytree(case / "data", data)
        if not has_sample:
            (data / answers["files"]["sample_submission"]).unlink()
        pages = {path.stem: path.read_text("utf-8") for path in sorted((case / "pages").glob("*.md"))}
        _, evaluation = evaluation_text(pages)
        metric = identify_metric("", evaluation or "\n\n".join(pages.values()))
        started = time.perf_counter()
        profile = profile_dataset(data, Path(folder) / "tables", pages, metric_wording=metric.wording)
        seconds = time.perf_counter() - started
    split = profile.split
    return [
        case.name,
        ("yes" if answers["files"].get("sample_submission") else "none") if has_sample else "removed",
        _files(profile, answers["files"], has_sample=has_sample),
        _judge(profile.id_guess, ", ".join(profile.id_columns), answers["id_column"]),
        _judge(profile.target_guess, ", ".join(profile.target_columns), ", ".join(answers["target_columns"])),
        _judge(profile.task_guess, profile.task_type, answers["task_type"]),
        "yes" if metric.metric == answers["metric_id"] else f"{metric.metric} ({metric.confidence:.2f})",
        f"{split.scheme} {split.column or ''}".strip(),
        f"{seconds:.1f}",
    ]


def _files(profile: DataProfile, wanted: dict[str, str | None], *, has_sample: bool) -> str:
    found = {file.role: file for file in profile.files}
    for role, name in wanted.items():
        given = found.get(role)  # type: ignore[call-overload]
        expected = name if has_sample or role != "sample_submission" else None
        if (given.name if given else None) != expected:
            return f"{role}: {given.name if given else 'none'}, not {expected} ({given.confidence if given else 0:.2f})"
    return "yes"


def _judge(guess: Guess, found: str, right: str) -> str:
    return "yes" if found == right else f"{found or 'none'}, not {right} ({guess.confidence:.2f})"


if __name__ == "__main__":
    main()
