"""Settings; this file merges flags, environment, ``.env``, config.toml and defaults, in this order of strength.

A secret read from ``.env`` stays in the returned settings: it is never put into ``os.environ``, so no child sees it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from autokaggle.errors import UsageError

CONFIG_FILE = "config.toml"
# Keys of config.toml; each is also a variable: AUTOKAGGLE_ and the key in capitals.
CONFIG_KEYS = ("home", "runs_dir", "kaggle_url", "model", "skip_execution", "memory", "disk", "processes")
YES = frozenset({"1", "true", "yes", "on"})
NO = frozenset({"", "0", "false", "no", "off"})
# Keys of Kaggle and of language models; no program that we start needs them.
KEYS = re.compile(r"KAGGLE_\w+|(GOOGLE|GEMINI|OPENAI|ANTHROPIC|OLLAMA)_API_KEY|AUTOKAGGLE_MODEL_KEY")
SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)i?b?", re.IGNORECASE)
SIZE_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
SMALLEST_BYTES = 16 << 20  # with less, no Python starts
LARGEST_BYTES = 1 << 50
FEWEST_PROCESSES = 8
MOST_PROCESSES = 1 << 22  # more than these, no kernel counts


@dataclass(frozen=True)
class Settings:
    """Where things are and which services to use.

    ``environment`` is the process environment over ``.env`` over config.toml's ``[environment]`` table: the one
    place that credentials and service URLs are looked up in. ``memory_bytes``, ``disk_bytes`` and ``processes`` bound
    every step of generated code; None leaves it to the machine.
    """

    home: Path
    runs_dir: Path
    kaggle_url: str | None = None
    model: str | None = None
    skip_execution: bool = False
    memory_bytes: int | None = None
    disk_bytes: int | None = None
    processes: int | None = None
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    # Names of variables that come from `.env` or config.toml: their values are nobody else's business.
    private_names: frozenset[str] = frozenset()

    @property
    def cache(self) -> Path:
        """Downloaded competition files, content-addressed."""
        return self.home / "cache"

    @property
    def environments(self) -> Path:
        """Built run environments, named by lock, Python and platform."""
        return self.home / "environments"

    @property
    def state(self) -> Path:
        """The SQLite file of runs, stages, candidates and events."""
        return self.home / "state.sqlite3"


def load_settings(
    environment: Mapping[str, str] | None = None, folder: Path | None = None, runs_dir: Path | None = None
) -> Settings:
    """Merge every source of settings; ``runs_dir`` is the flag and wins. ``folder`` (default: here) holds ``.env``.

    Raises:
        UsageError: config.toml or ``.env`` cannot be read, or a setting makes no sense.
    """
    process = dict(os.environ if environment is None else environment)
    here = (folder or _working_folder()).absolute()
    # An empty variable is no setting: it must not hide what a file says.
    given = {name: value for name, value in process.items() if value}
    written = {**_config_file(process), **_dotenv(here)}
    merged = {**written, **given}
    return Settings(
        home=_home(merged),
        runs_dir=here / (runs_dir or _expanded(merged.get("AUTOKAGGLE_RUNS_DIR", "runs"), merged)),
        kaggle_url=_url(merged, "AUTOKAGGLE_KAGGLE_URL"),
        model=merged.get("AUTOKAGGLE_MODEL"),
        skip_execution=_switch(merged, "AUTOKAGGLE_SKIP_EXECUTION"),
        memory_bytes=_size(merged, "AUTOKAGGLE_MEMORY"),
        disk_bytes=_size(merged, "AUTOKAGGLE_DISK"),
        processes=_processes(merged, "AUTOKAGGLE_PROCESSES"),
        environment=merged,
        private_names=frozenset(written),
    )


def without_keys(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that a program which we start may see."""
    return {name: value for name, value in environment.items() if not KEYS.fullmatch(name)}


def read_size(text: str, name: str) -> int:
    """Read an amount of memory or disk: ``512M``, ``1.5G``, in powers of 1024; return bytes.

    Raises:
        UsageError: it is no such amount, too little for any Python to start, or beyond 1 PiB; ``name`` is the flag or
            setting.
    """
    match = SIZE.fullmatch(text.strip())
    count = float(match.group(1)) * SIZE_UNITS[match.group(2).lower()] if match else 0.0
    if not SMALLEST_BYTES <= count <= LARGEST_BYTES:
        raise UsageError(
            f"{name} {text[:80]!r} is no usable amount of memory or disk.", "Write it like 512M or 1.5G, up to 1024T."
        )
    return int(count)


def _size(merged: Mapping[str, str], name: str) -> int | None:
    return read_size(merged[name], name) if name in merged else None


def _processes(merged: Mapping[str, str], name: str) -> int | None:
    value = merged.get(name)
    if value is None:
        return None
    count = float(value) if value.strip().isdecimal() else 0.0  # int() takes no thousands of digits
    if not FEWEST_PROCESSES <= count <= MOST_PROCESSES:
        raise UsageError(
            f"{name} is {value[:80]!r}, no usable number of processes.", f"Give {FEWEST_PROCESSES} to {MOST_PROCESSES}."
        )
    return int(count)


def _home(merged: Mapping[str, str]) -> Path:
    if chosen := merged.get("AUTOKAGGLE_HOME"):
        return _expanded(chosen, merged).absolute()
    return _base_folder(merged, "XDG_DATA_HOME", "~/.local/share") / "autokaggle"


def _working_folder() -> Path:
    try:
        return Path.cwd()
    except FileNotFoundError as error:
        raise UsageError("The working folder was deleted.", "Change to a folder that exists.") from error


def _config_file(process: Mapping[str, str]) -> dict[str, str]:
    """Read config.toml: CONFIG_KEYS at the top, and variables of any name in the table ``[environment]``."""
    path = _base_folder(process, "XDG_CONFIG_HOME", "~/.config") / "autokaggle" / CONFIG_FILE
    if not path.is_file():
        return {}
    import tomllib

    try:
        content = tomllib.loads(path.read_text("utf-8-sig"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"Cannot read {path}: {error}.", "Correct the file or remove it.") from error
    variables = content.pop("environment", {})
    if not isinstance(variables, dict):
        raise UsageError(f"`environment` in {path} is no table.", "Write [environment] and NAME = 'value' lines below.")
    if unknown := sorted(set(content) - set(CONFIG_KEYS)):
        raise UsageError(f"{path} has unknown settings: {', '.join(unknown)}.", f"Known: {', '.join(CONFIG_KEYS)}.")
    named = {f"AUTOKAGGLE_{key.upper()}": _plain(value, key, path) for key, value in content.items()}
    return {**named, **{str(name): _plain(value, name, path) for name, value in variables.items()}}


def _plain(value: Any, key: str, path: Path) -> str:
    if not isinstance(value, str | int | float):
        raise UsageError(f"`{key}` in {path} is neither text, a number nor true or false.", "Correct the file.")
    return str(value)


def _dotenv(folder: Path) -> dict[str, str]:
    path = folder / ".env"
    if not path.is_file():
        return {}
    from dotenv import dotenv_values

    try:
        values = dotenv_values(path, interpolate=False, encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"Cannot read {path}: {error}.", "Correct the file or remove it.") from error
    return {key: value for key, value in values.items() if value}


def _url(merged: Mapping[str, str], name: str) -> str | None:
    value = merged.get(name)
    if value is None:
        return None
    try:
        parts = urlsplit(value)
        is_usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_usable = False
    if not is_usable:
        raise UsageError(f"{name} is no address: {value!r}.", "Give one like http://127.0.0.1:8000.")
    return value.rstrip("/")


def _switch(merged: Mapping[str, str], name: str) -> bool:
    value = merged.get(name, "").strip().lower()
    if value not in YES | NO:
        raise UsageError(f"{name} is {value!r}, neither yes nor no.", "Set it to 1 or 0.")
    return value in YES


def _base_folder(environment: Mapping[str, str], name: str, default: str) -> Path:
    """Return the folder that ``name`` gives, else ``default``. The XDG rules ignore a relative folder."""
    chosen = environment.get(name, "")
    return Path(chosen) if chosen.startswith("/") else _expanded(default, environment)


def _expanded(text: str, environment: Mapping[str, str]) -> Path:
    """Replace a leading ``~`` by the user's home as ``environment`` says it, which need not be this process's."""
    if text != "~" and not text.startswith("~/"):
        return Path(text)
    try:
        user_home = Path(environment["HOME"]) if environment.get("HOME") else Path.home()
    except RuntimeError as error:
        raise UsageError(
            "This user has no home folder.", "Set HOME, or AUTOKAGGLE_HOME and XDG_CONFIG_HOME."
        ) from error
    return user_home / text[2:]
