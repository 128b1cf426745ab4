"""The pipelines that are blended; this file runs their scripts, each in a process of its own.

A member lies in ``code/members/NAME`` as it was when it ran alone, and writes to ``output/members/NAME``. One that
lists folds is run on each of them alone (``AUTOKAGGLE_FOLD``) and writes to ``output/members/NAME/folds/K``: so it was
scored.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import files


@dataclass(frozen=True)
class Member:
    """One pipeline and its weight in the blend; ``folds`` are those that it runs on one by one."""

    name: str
    weight: float
    folds: tuple[int, ...] = ()

    @property
    def code(self) -> Path:
        return files.HERE / "members" / self.name

    @property
    def output(self) -> Path:
        return files.output_folder() / "members" / self.name

    def fold_output(self, fold: int) -> Path:
        """Where the run on one fold writes."""
        return self.output / "folds" / str(fold)


def read_members() -> list[Member]:
    """Return the members that ``config.yaml`` lists."""
    return [
        Member(str(entry["name"]), float(entry["weight"]), tuple(entry.get("folds", ())))
        for entry in files.config()["members"]
    ]


def run_members(script: str) -> None:
    """Run one script of every member, one after another; what is left of the time is shared among those to come."""
    runs: list[tuple[Member, int | None]] = [
        (member, fold) for member in read_members() for fold in member.folds or (None,)
    ]
    for position, (member, fold) in enumerate(runs):
        name = member.name if fold is None else f"{member.name}, fold {fold}"
        print(f"{name}: {script}", flush=True)
        variables = _variables(member, fold, len(runs) - position)
        result = subprocess.run([sys.executable, str(member.code / script)], env=variables, check=False)
        if result.returncode:
            raise SystemExit(f"Member {name} failed in {script} with exit code {result.returncode}.")


def _variables(member: Member, fold: int | None, left: int) -> dict[str, str]:
    # Python's safe path would hide the member's own files from its scripts.
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"}
    output = member.output if fold is None else member.fold_output(fold)
    variables |= {"AUTOKAGGLE_INPUT": str(files.input_folder()), "AUTOKAGGLE_OUTPUT": str(output)}
    if fold is not None:
        variables["AUTOKAGGLE_FOLD"] = str(fold)
    if deadline := variables.get("AUTOKAGGLE_DEADLINE"):
        now = time.time()
        variables["AUTOKAGGLE_DEADLINE"] = f"{now + (float(deadline) - now) / left:.1f}"
    return variables
