"""The pipelines that are blended; this file runs their scripts, each in a process of its own.

A member lies in ``code/members/NAME`` as it was when it ran alone, and writes to ``output/members/NAME``.
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
    """One pipeline and its weight in the blend."""

    name: str
    weight: float

    @property
    def code(self) -> Path:
        return files.HERE / "members" / self.name

    @property
    def output(self) -> Path:
        return files.output_folder() / "members" / self.name


def read_members() -> list[Member]:
    """Return the members that ``config.yaml`` lists."""
    return [Member(str(entry["name"]), float(entry["weight"])) for entry in files.config()["members"]]


def run_members(script: str) -> None:
    """Run one script of every member, one after another; what is left of the time is shared among those to come."""
    members = read_members()
    for position, member in enumerate(members):
        print(f"{member.name}: {script}", flush=True)
        variables = _variables(member, len(members) - position)
        result = subprocess.run([sys.executable, str(member.code / script)], env=variables, check=False)
        if result.returncode:
            raise SystemExit(f"Member {member.name} failed in {script} with exit code {result.returncode}.")


def _variables(member: Member, left: int) -> dict[str, str]:
    # Python's safe path would hide the member's own files from its scripts.
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"}
    variables |= {"AUTOKAGGLE_INPUT": str(files.input_folder()), "AUTOKAGGLE_OUTPUT": str(member.output)}
    if deadline := variables.get("AUTOKAGGLE_DEADLINE"):
        now = time.time()
        variables["AUTOKAGGLE_DEADLINE"] = f"{now + (float(deadline) - now) / left:.1f}"
    return variables
