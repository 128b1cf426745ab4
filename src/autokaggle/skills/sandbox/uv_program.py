"""Calling uv; this file runs it with the user's own index settings and turns its refusals into errors."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from autokaggle.config import without_keys
from autokaggle.errors import AutoKaggleError, DiskTrouble, OutsideWorldError, UsageError
from autokaggle.storage.disk import disk_trouble

ASK_SECONDS = 30.0
# What decides which packages there are; a resolution is remembered under these.
INDEX_VARIABLES = re.compile(
    r"UV_(DEFAULT_INDEX|INDEX|INDEX_URL|EXTRA_INDEX_URL|NO_INDEX|FIND_LINKS|INDEX_STRATEGY|CONFIG_FILE|PRERELEASE"
    r"|CONSTRAINT|OVERRIDE|RESOLUTION)"
)
# These point uv at another project or Python than the one that is meant.
FOREIGN_VARIABLES = frozenset({"VIRTUAL_ENV", "UV_PROJECT", "UV_PROJECT_ENVIRONMENT", "UV_PYTHON", "PYTHONHOME"})
UNREACHABLE = ("error sending request", "failed to fetch", "connect", "timed out", "certificate", "status code", "dns")


def run_uv(line: list[str], *, purpose: str, folder: Path, timeout_seconds: float, offline: bool = False) -> str:
    """Run ``uv`` in ``folder`` and return what it printed.

    uv does not read pip's settings; its own (UV_DEFAULT_INDEX, UV_FIND_LINKS, ...) and SSL_CERT_FILE are passed on.

    Raises:
        UsageError: the packages that were asked for cannot be had; uv's words say why.
        OutsideWorldError: the package index cannot be reached, or offline the cache lacks something.
    """
    from uv import find_uv_bin

    environment = {name: value for name, value in without_keys(os.environ).items() if name not in FOREIGN_VARIABLES}
    environment |= {"UV_NO_PROGRESS": "1", "NO_COLOR": "1", "UV_PYTHON_DOWNLOADS": "never"}
    command = [find_uv_bin(), *line, *(["--offline"] if offline else [])]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            env=environment,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            timeout=timeout_seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise OutsideWorldError(
            f"Could not {purpose} within {timeout_seconds:.0f} s.", "Check the connection to the package index."
        ) from error
    if done.returncode:
        raise _explained(done.stderr.strip(), purpose, offline)
    return done.stdout


def uv_version() -> str:
    """Return uv's name and version.

    Raises:
        AutoKaggleError: uv cannot be run.
    """
    try:
        return run_uv(
            ["--version"], purpose="ask uv for its version", folder=Path("/"), timeout_seconds=ASK_SECONDS
        ).strip()
    except FileNotFoundError as error:
        raise AutoKaggleError("uv is not installed.", "Install AutoKaggle again; uv is one of its packages.") from error


def index_trouble(package: str) -> str:
    """Ask the package index for ``package``, past every cache; return what went wrong, "" when it answered."""
    line = ["pip", "compile", "--quiet", "--no-cache", "--no-deps", "--only-binary", ":all:", "requirements.in"]
    with tempfile.TemporaryDirectory(prefix="autokaggle-index-") as name:
        Path(name, "requirements.in").write_text(f"{package}\n", "utf-8")
        try:
            run_uv(line, purpose="ask the package index", folder=Path(name), timeout_seconds=ASK_SECONDS)
        except AutoKaggleError as error:
            return error.message
    return ""


def index_settings(environment: Mapping[str, str]) -> list[tuple[str, str]]:
    """List the variables that decide which packages there are."""
    return sorted((name, value) for name, value in environment.items() if INDEX_VARIABLES.fullmatch(name))


def _explained(complaint: str, purpose: str, offline: bool) -> UsageError | OutsideWorldError:
    # uv draws its causes as a tree; a message is one line.
    said = " ".join(_without_credentials(complaint[-2000:]).replace("╰─▶", "").replace("├─▶", "").split())
    message = f"Could not {purpose}: {said}"
    if trouble := disk_trouble(OSError(complaint)):
        return DiskTrouble(message, trouble.next_step)
    if offline:
        return OutsideWorldError(message, "Run once without --offline to fill the store and uv's cache.")
    if any(word in complaint.lower() for word in UNREACHABLE):
        return OutsideWorldError(
            message,
            "Check the network, the index settings (UV_DEFAULT_INDEX) and, behind a private certificate authority, "
            "SSL_CERT_FILE.",
        )
    return UsageError(message, "Correct the requirements, or the lock.")


def _without_credentials(text: str) -> str:
    """Take names and passwords out of addresses: index settings may hold them."""
    return re.sub(r"(?<=://)[^/@\s]+@", "", text)
