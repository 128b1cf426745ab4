"""A run's Python environment; this file resolves, locks, builds, checks and reuses one with uv.

Wheels only, each by its hash. Nothing from an environment is ever started here: a wheel can hold code that runs
whenever its Python starts. Environments lie in a store, named by lock, Python and platform, and are shared read-only.
"""

from __future__ import annotations

import datetime as dt
import functools
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from autokaggle.errors import OutsideWorldError, UsageError
from autokaggle.records import Progress
from autokaggle.skills.sandbox.sweep import remove_tree
from autokaggle.storage.records_file import make_private_folder, write_atomically

MARKER = "autokaggle.json"
FORMAT = 1
RESOLVE_SECONDS = 300.0
BUILD_SECONDS = 1800.0
# Their tests and examples take half of the compilation and are never imported.
NEVER_IMPORTED = r"/(tests?|testing|examples?|_examples)/"
INDEX_VARIABLES = re.compile(r"UV_(DEFAULT_INDEX|INDEX(_URL)?|EXTRA_INDEX_URL|FIND_LINKS|INDEX_STRATEGY|CONFIG_FILE)")
LOCKED = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==([^\s;\\]+)", re.MULTILINE)


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
    on_progress: Callable[[Progress], None]


def build_environment(
    requirements: Iterable[str],
    store: Path,
    *,
    exclude_newer: dt.date | None = None,
    offline: bool = False,
    python: Path | None = None,
    lock: str | None = None,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> Environment:
    """Return the environment for ``requirements`` from ``store``, built now when it is not there.

    ``exclude_newer`` ignores packages uploaded after that day, so that resolving again gives the same lock. ``lock``
    skips resolving. ``python`` is a base interpreter (this program's own when None). Indexes, mirrors and
    certificates come from uv's own variables and settings.

    Raises:
        UsageError: a requirement or the lock makes no sense, or no wheel fits; uv's words say which.
        OutsideWorldError: the package index cannot be reached, or offline the store lacks it.
    """
    wanted = tuple(sorted({line.strip() for line in requirements if line.strip()}, key=str.lower))
    base = (python or Path(sys.executable)).resolve()
    request = _Request(wanted, store, exclude_newer, offline, base, python_version(base), on_progress)
    text = lock if lock is not None else _resolved(request)
    key = environment_key(text, request.version)
    folder = store / key
    if problem := check_environment(folder):
        with FileLock(make_private_folder(store) / f"{key}.lock"):
            if problem := check_environment(folder):  # another process may have built it meanwhile
                if folder.exists():
                    on_progress(Progress(text=f"building the environment again: {problem}"))
                    remove_tree(folder)
                _build(request, text, folder)
                return _environment(request, text, folder, reused=False)
    os.utime(folder / MARKER)  # the date of last use, for pruning
    return _environment(request, text, folder, reused=True)


def environment_key(lock: str, version: str) -> str:
    """Name an environment by all that decides its content."""
    parts = [str(FORMAT), lock, version, sys.implementation.name, platform.system(), platform.machine()]
    return hashlib.sha256("\n".join([*parts, *platform.libc_ver()]).encode()).hexdigest()[:32]


def check_environment(folder: Path) -> str:
    """Say in one phrase why ``folder`` cannot be used, "" when it can.

    Reads names and sizes, not contents: the store is the user's own and sandboxes see it read-only.
    """
    try:
        marker = json.loads((folder / MARKER).read_bytes())
        if not os.access(folder / "bin" / "python", os.X_OK):
            return "its Python was removed or replaced"
        if python_version((folder / "bin" / "python").resolve()) != marker["python"]:
            return "its Python has another version now"
        for name, size in marker["packages"].items():
            if (folder / name).stat().st_size != size:
                return f"{Path(name).parent.name} was changed"
    except FileNotFoundError as error:
        return "it is not built" if str(error.filename).endswith(MARKER) else "a package was removed"
    except (OSError, ValueError, KeyError, AttributeError):
        return "it is damaged"
    return ""


@functools.cache
def python_version(python: Path) -> str:
    """Ask a base interpreter for its version, without any of its packages.

    Raises:
        UsageError: it cannot be run.
    """
    if python == Path(sys.executable).resolve():
        return platform.python_version()
    line = [str(python), "-I", "-S", "-c", "import platform; print(platform.python_version())"]
    try:
        return subprocess.run(line, capture_output=True, text=True, check=True, timeout=30).stdout.strip()
    except (OSError, subprocess.SubprocessError) as error:
        raise UsageError(f"{python} cannot be run as Python.", "Name a Python interpreter.") from error


def _environment(request: _Request, lock: str, folder: Path, *, reused: bool) -> Environment:
    return Environment(
        folder=folder,
        key=folder.name,
        requirements=request.requirements,
        lock_text=lock,
        lock_sha256=hashlib.sha256(lock.encode()).hexdigest(),
        python_version=request.version,
        reused=reused,
    )


def _resolved(request: _Request) -> str:
    """Return the lock for the requirements, from the store when they were resolved before for the same day."""
    folder = make_private_folder(request.store / "resolutions")
    indexes = {name: value for name, value in os.environ.items() if INDEX_VARIABLES.fullmatch(name)}
    parts = [request.requirements, request.version, platform.system(), platform.machine(), sorted(indexes.items())]
    name = hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]
    day = request.exclude_newer.isoformat() if request.exclude_newer else dt.datetime.now(dt.UTC).date().isoformat()
    path = folder / f"{name}-{day}.lock"
    if path.is_file():
        return path.read_text("utf-8")
    if request.offline:
        earlier = sorted(known for known in folder.glob(f"{name}-*.lock") if known.name < path.name)
        if not earlier:
            raise OutsideWorldError(
                "These requirements were never resolved on this machine, and this run is offline: "
                f"{', '.join(request.requirements)}.",
                "Run once without --offline to fill the store.",
            )
        return earlier[-1].read_text("utf-8")
    lock = _resolve(request)
    write_atomically(path, lock)
    return lock


def _resolve(request: _Request) -> str:
    request.on_progress(Progress(text="resolving the environment's packages"))
    with tempfile.TemporaryDirectory(prefix="autokaggle-resolve-") as folder:
        wanted = Path(folder, "requirements.txt")
        wanted.write_text("".join(f"{line}\n" for line in request.requirements), "utf-8")
        line = ["pip", "compile", "--generate-hashes", "--only-binary", ":all:", "--no-header", "--no-annotate"]
        line += ["--python", str(request.python), "--no-python-downloads", "--quiet"]
        if request.exclude_newer:
            day_after = request.exclude_newer + dt.timedelta(days=1)
            line += ["--exclude-newer", f"{day_after.isoformat()}T00:00:00Z"]
        return _uv([*line, str(wanted)], request, RESOLVE_SECONDS, "resolve the environment's packages")


def _build(request: _Request, lock: str, folder: Path) -> None:
    """Build beside ``folder`` and rename, so that a store never holds half an environment under a key."""
    part = Path(tempfile.mkdtemp(prefix=".building-", dir=request.store))
    count = len(LOCKED.findall(lock))
    try:
        locked = part / "requirements.lock"
        locked.write_text(lock, "utf-8")
        venv = part / "venv"
        request.on_progress(Progress(text="installing packages", done=0, total=count, unit="packages"))
        line = ["venv", "--quiet", "--no-project", "--no-python-downloads", "--python", str(request.python), str(venv)]
        _uv(line, request, BUILD_SECONDS, "make the environment")
        line = ["pip", "sync", "--quiet", "--require-hashes", "--only-binary", ":all:", "--no-compile-bytecode"]
        line += ["--python", str(venv / "bin" / "python"), "--allow-empty-requirements", str(locked)]
        _uv(line, request, BUILD_SECONDS, "install the environment's packages")
        request.on_progress(Progress(text="compiling packages", done=count, total=count, unit="packages"))
        _compile(request.python, venv)
        records = sorted(venv.glob("lib/python*/site-packages/*.dist-info/RECORD"))
        packages = {str(record.relative_to(venv)): record.stat().st_size for record in records}
        marker = {"version": FORMAT, "python": request.version, "packages": packages}
        write_atomically(venv / MARKER, json.dumps(marker))
        write_atomically(venv / "requirements.lock", lock)
        venv.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _compile(python: Path, venv: Path) -> None:
    """Write bytecode, which no sandbox can; by the base interpreter without its packages, since this runs outside."""
    packages = next(iter(venv.glob("lib/python*/site-packages")))
    line = [str(python), "-I", "-S", "-m", "compileall", "-q", "-j", "0", "-x", NEVER_IMPORTED, str(packages)]
    # A file that does not compile (some ship templates of Python) fails only whoever imports it.
    subprocess.run(line, capture_output=True, check=False, timeout=BUILD_SECONDS)


def _uv(line: list[str], request: _Request, timeout_seconds: float, purpose: str) -> str:
    """Run uv and return what it printed."""
    from uv import find_uv_bin

    environment = {**_inherited(os.environ), "UV_NO_PROGRESS": "1", "NO_COLOR": "1"}
    command = [find_uv_bin(), *line, *(["--offline"] if request.offline else [])]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            env=environment,
            cwd=request.store,
            stdin=subprocess.DEVNULL,
            timeout=timeout_seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise OutsideWorldError(
            f"Could not {purpose} within {timeout_seconds:.0f} s.", "Check the connection to the package index."
        ) from error
    if done.returncode:
        raise _explained(done.stderr.strip(), purpose, request.offline)
    return done.stdout


def _inherited(environment: Mapping[str, str]) -> dict[str, str]:
    """Pass the environment on without the variables that would point uv at another project or Python."""
    unwanted = {"VIRTUAL_ENV", "UV_PROJECT", "UV_PROJECT_ENVIRONMENT", "UV_PYTHON", "PYTHONPATH", "PYTHONHOME"}
    return {name: value for name, value in environment.items() if name not in unwanted}


def _explained(complaint: str, purpose: str, offline: bool) -> UsageError | OutsideWorldError:
    message = f"Could not {purpose}: {complaint[-2000:]}"
    unreachable = ("error sending request", "Failed to fetch", "connect", "timed out", "certificate", "status code")
    if offline:
        return OutsideWorldError(message, "Run once without --offline to fill the store and uv's cache.")
    if any(word in complaint for word in unreachable):
        return OutsideWorldError(
            message,
            "Check the network, the index settings (UV_DEFAULT_INDEX) and, behind a private certificate authority, "
            "SSL_CERT_FILE.",
        )
    return UsageError(message, "Correct the requirements.")
