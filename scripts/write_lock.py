"""Write uv.lock and constraints.txt: every version that an installation takes, with hashes, and no registry's address.

Run it after changing a dependency; ``--upgrade`` takes the newest versions. docs/design/libraries.md says why the
lock names no registry, and what each command of uv makes of that.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# What uv needs to learn the project's dependencies.
PROJECT = ("pyproject.toml", "README.md", "LICENSE", "src/autokaggle/__init__.py", "uv.lock")
# A name that no machine can have. Source: RFC 2606.
NOWHERE = "https://registry.invalid"
HEADER = "# written by scripts/write_lock.py\n"
UV = (sys.executable, "-m", "uv", "--quiet")
EXPORT = ("export", "--frozen", "--all-extras", "--no-emit-project", "--no-hashes", "--no-annotate", "--no-header")


def main(arguments: list[str] | None = None) -> int:
    """Lock a copy of the project and write both files; return uv's exit code when it fails, then nothing is written."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions")
    upgrade = ["--upgrade"] if parser.parse_args(arguments).upgrade else []
    with tempfile.TemporaryDirectory() as scratch:
        copy = copied(Path(scratch))
        done = subprocess.run([*UV, "lock", *upgrade], cwd=copy, check=False)
        if done.returncode:
            return done.returncode
        pinned = subprocess.run([*UV, *EXPORT], cwd=copy, check=True, capture_output=True, text=True).stdout
        lock = (copy / "uv.lock").read_text("utf-8")
    (ROOT / "uv.lock").write_text(without_registry(lock), "utf-8")
    (ROOT / "constraints.txt").write_text(pinned, "utf-8")
    return 0


def copied(folder: Path) -> Path:
    """Copy what uv reads of the project into ``folder`` and return it."""
    for name in PROJECT:
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
    return folder


def without_registry(lock: str) -> str:
    """Return the lock with names, versions, files and hashes, without addresses and without what the project asks for.

    Since the latter is missing, ``uv sync`` locks anew against the registry that is configured where it runs, and
    keeps all versions that it finds.
    """
    lock = re.sub(r'(?<=registry = ")[^"]*', f"{NOWHERE}/simple", lock)
    lock = re.sub(r'(?<=url = ")[^"]*/', f"{NOWHERE}/", lock)
    lock = re.sub(r', upload-time = "[^"]*"', "", lock)
    return HEADER + re.sub(r"\[package\.metadata\]\n(?:.+\n)*\n", "", lock)


if __name__ == "__main__":
    sys.exit(main())
