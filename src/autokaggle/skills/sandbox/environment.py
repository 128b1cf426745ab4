"""A run's Python environment; this file resolves, locks, builds and reuses one with uv.

Wheels only, each by its hash. Nothing from an environment is ever started here: a wheel can hold code that runs
whenever its Python starts. Environments lie in a store, named by lock, Python and platform, and are shared read-only.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import math
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from autokaggle.config import without_keys
from autokaggle.errors import OutsideWorldError
from autokaggle.records.event import Progress
from autokaggle.skills.sandbox.environment_store import (
    BUILDING,
    RESOLUTIONS,
    check_environment,
    environment_key,
    environment_lock,
    mark_as_built,
    mark_as_used,
    python_version,
)
from autokaggle.skills.sandbox.sweep import remove_tree
from autokaggle.skills.sandbox.uv_program import index_settings, run_uv
from autokaggle.storage.records_file import make_private_folder, write_atomically

RESOLVE_SECONDS = 300.0
BUILD_SECONDS = 1800.0
# Their tests and examples take half of the compilation and are never imported.
NEVER_IMPORTED = r"/(tests?|testing|examples?|_examples)/"
LOCKED = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==[^\s;\\]+", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Environment:
    """A built environment: ``folder`` is a virtual environment in the store, never to be written again."""

    folder: Path
    key: str
    requirements: tuple[str, ...]
    lock_text: str
    lock_sha256: str
    python_version: str
    reused: bool


@dataclass(frozen=True)
class _Request:
    requirements: tuple[str, ...]
    store: Path
    exclude_newer: dt.date | None
    offline: bool
    python: Path
    version: str
    end: float
    on_progress: Callable[[Progress], None]

    def seconds(self, at_most: float) -> float:
        """Return how long the next step may take."""
        return max(1.0, min(at_most, self.end - time.monotonic()))


def build_environment(
    requirements: Iterable[str],
    store: Path,
    *,
    exclude_newer: dt.date | None = None,
    offline: bool = False,
    python: Path | None = None,
    lock: str | None = None,
    timeout_seconds: float = math.inf,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> Environment:
    """Return the environment for ``requirements`` from ``store``, built now when it is not there.

    ``exclude_newer`` ignores packages uploaded after that day, so that resolving again gives the same lock. ``lock``
    skips resolving. ``python`` is a base interpreter (this program's own when None). Indexes, mirrors and
    certificates come from uv's own variables and settings. ``timeout_seconds`` is for resolving and building together.

    Raises:
        UsageError: a requirement or the lock makes no sense, or no wheel fits; uv's words say which.
        OutsideWorldError: the package index cannot be reached, or not in time, or offline the store lacks it.
    """
    from autokaggle.skills.sandbox.requirements import check_lock

    wanted = _normal(requirements)
    base = (python or Path(sys.executable)).resolve()
    end = time.monotonic() + timeout_seconds
    request = _Request(wanted, store, exclude_newer, offline, base, python_version(base), end, on_progress)
    text = _resolved(request) if lock is None else lock
    folder = store / environment_key(text, request.version)
    reused = not check_environment(folder)
    if not reused:
        with environment_lock(store, folder.name):
            problem = check_environment(folder)  # another process may have built it meanwhile
            reused = not problem
            if problem:
                check_lock(text)
                if folder.exists():
                    on_progress(Progress(text=f"building the environment again: {problem}"))
                    remove_tree(folder)
                _build(request, text, folder)
    return _in_use(request, text, folder, reused)


def find_environment(requirements: Iterable[str], store: Path, exclude_newer: dt.date) -> Environment | None:
    """Return the environment for ``requirements`` if it was resolved for that day and lies in ``store`` whole.

    Takes a moment, and asks nobody.
    """
    wanted = _normal(requirements)
    base = Path(sys.executable).resolve()
    request = _Request(wanted, store, exclude_newer, True, base, python_version(base), math.inf, lambda _: None)
    path = _resolution(request)
    if not path.is_file():
        return None
    text = path.read_text("utf-8")
    folder = store / environment_key(text, request.version)
    return None if check_environment(folder) else _in_use(request, text, folder, reused=True)


def _normal(requirements: Iterable[str]) -> tuple[str, ...]:
    from autokaggle.skills.sandbox.requirements import plain_requirement

    return tuple(sorted({plain_requirement(line) for line in requirements if line.strip()}, key=str.lower))


def _in_use(request: _Request, lock: str, folder: Path, reused: bool) -> Environment:
    mark_as_used(folder)
    return Environment(
        folder=folder,
        key=folder.name,
        requirements=request.requirements,
        lock_text=lock,
        lock_sha256=hashlib.sha256(lock.encode()).hexdigest(),
        python_version=request.version,
        reused=reused,
    )


def _resolution(request: _Request) -> Path:
    """Return where the lock for the requirements lies once they are resolved for the request's day."""
    folder = make_private_folder(request.store / RESOLUTIONS)
    system = [request.version, platform.system(), platform.machine()]
    parts = [request.requirements, system, index_settings(os.environ)]
    name = hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]
    day = request.exclude_newer.isoformat() if request.exclude_newer else dt.datetime.now(dt.UTC).date().isoformat()
    return folder / f"{name}-{day}.lock"


def _resolved(request: _Request) -> str:
    """Return the lock for the requirements, from the store when they were resolved before for the same day."""
    path = _resolution(request)
    if path.is_file():
        return path.read_text("utf-8")
    if not request.offline:
        write_atomically(path, lock := _resolve(request))
        return lock
    name = path.name.partition("-")[0]
    earlier = sorted(known for known in path.parent.glob(f"{name}-*.lock") if known.name < path.name)
    if not earlier:
        raise OutsideWorldError(
            "No package index could be asked, and these requirements were never resolved on this machine: "
            f"{', '.join(request.requirements)}.",
            "Check the network (`autokaggle doctor` asks the index), then run once without --offline.",
        )
    return earlier[-1].read_text("utf-8")


def _resolve(request: _Request) -> str:
    request.on_progress(Progress(text="resolving the environment's packages"))
    line = ["pip", "compile", "--quiet", "--generate-hashes", "--only-binary", ":all:", "--no-header", "--no-annotate"]
    line += ["--python", str(request.python)]
    if request.exclude_newer:
        day_after = request.exclude_newer + dt.timedelta(days=1)
        line += ["--exclude-newer", f"{day_after.isoformat()}T00:00:00Z"]
    with tempfile.TemporaryDirectory(prefix="autokaggle-resolve-") as name:
        Path(name, "requirements.in").write_text("".join(f"{line}\n" for line in request.requirements), "utf-8")
        return run_uv(
            [*line, "requirements.in"],
            purpose="resolve the environment's packages",
            folder=Path(name),
            timeout_seconds=request.seconds(RESOLVE_SECONDS),
        )


def _build(request: _Request, lock: str, folder: Path) -> None:
    """Build beside ``folder`` and rename, so that a store never holds half an environment under a key.

    Whoever builds holds the key's lock, so other parts for the same key are of builds that were killed.
    """
    for left in request.store.glob(f"{BUILDING}{folder.name}-*"):
        remove_tree(left)
    part = Path(tempfile.mkdtemp(prefix=f"{BUILDING}{folder.name}-", dir=request.store))
    count = len(LOCKED.findall(lock))
    try:
        venv = part / "venv"
        (part / "requirements.lock").write_text(lock, "utf-8")
        request.on_progress(Progress(text="installing packages", done=0, total=count, unit="packages"))
        for line in _build_lines(request.python, venv):
            run_uv(
                line,
                purpose="install the environment's packages",
                folder=part,
                timeout_seconds=request.seconds(BUILD_SECONDS),
                offline=request.offline and line[0] == "pip",
            )
        request.on_progress(Progress(text="compiling packages", done=count, total=count, unit="packages"))
        _compile(request.python, venv)
        (part / "requirements.lock").rename(venv / "requirements.lock")
        mark_as_built(venv, request.version)
        venv.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _build_lines(python: Path, venv: Path) -> list[list[str]]:
    sync = ["pip", "sync", "--quiet", "--require-hashes", "--only-binary", ":all:", "--no-compile-bytecode"]
    sync += ["--allow-empty-requirements", "--python", str(venv / "bin" / "python"), "requirements.lock"]
    return [["venv", "--quiet", "--no-project", "--python", str(python), str(venv)], sync]


def _compile(python: Path, venv: Path) -> None:
    """Write bytecode, which no sandbox can; by the base interpreter without its packages, since this runs outside."""
    packages = next(iter(venv.glob("lib/python*/site-packages")))
    line = [str(python), "-I", "-S", "-m", "compileall", "-q", "-j", "0", "-x", NEVER_IMPORTED, str(packages)]
    # A file that does not compile (some ship templates of Python) fails only whoever imports it.
    subprocess.run(line, capture_output=True, check=False, timeout=BUILD_SECONDS, env=without_keys(os.environ))
