"""Settings; this file merges flags, environment, ``.env``, config.toml and defaults, in this order of strength.

A secret read from ``.env`` stays in the returned settings: it is never put into ``os.environ``, so no child sees it.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from autokaggle.errors import UsageError

CONFIG_FILE = "config.toml"


@dataclass(frozen=True)
class Settings:
    """Where things are and which services to use.

    ``environment`` is the process environment over ``.env`` over config.toml's ``[environment]`` table: the one
    place that credentials and service URLs are looked up in.
    """

    home: Path
    runs_dir: Path
    kaggle_url: str | None = None
    model: str | None = None
    skip_execution: bool = False
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)

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
    """Merge every source of settings; ``runs_dir`` is the flag and wins.

    Raises:
        UsageError: config.toml or ``.env`` cannot be read.
    """
    process = dict(os.environ if environment is None else environment)
    from_file = _config_file(process)
    merged = {**from_file, **_dotenv(folder or Path.cwd()), **process}
    return Settings(
        home=_home(merged),
        runs_dir=runs_dir or Path(merged.get("AUTOKAGGLE_RUNS_DIR") or "runs"),
        kaggle_url=merged.get("AUTOKAGGLE_KAGGLE_URL") or None,
        model=merged.get("AUTOKAGGLE_MODEL") or None,
        skip_execution=merged.get("AUTOKAGGLE_SKIP_EXECUTION", "").lower() in {"1", "true", "yes"},
        environment=merged,
    )


def _home(merged: Mapping[str, str]) -> Path:
    if chosen := merged.get("AUTOKAGGLE_HOME"):
        return Path(chosen).expanduser().absolute()
    data_home = merged.get("XDG_DATA_HOME")
    return (Path(data_home) if data_home else Path("~/.local/share").expanduser()) / "autokaggle"


def _config_file(process: Mapping[str, str]) -> dict[str, str]:
    """Read config.toml: top-level keys are the names of AUTOKAGGLE_ variables in lower case without the prefix."""
    config_home = process.get("XDG_CONFIG_HOME")
    path = (Path(config_home) if config_home else Path("~/.config").expanduser()) / "autokaggle" / CONFIG_FILE
    if not path.is_file():
        return {}
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"Cannot read {path}: {error}.", "Correct the file or remove it.") from error
    named = {f"AUTOKAGGLE_{key.upper()}": str(value) for key, value in content.items() if not isinstance(value, dict)}
    return {**named, **{key: str(value) for key, value in content.get("environment", {}).items()}}


def _dotenv(folder: Path) -> dict[str, str]:
    path = folder / ".env"
    if not path.is_file():
        return {}
    from dotenv import dotenv_values

    try:
        values = dotenv_values(path, interpolate=False)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"Cannot read {path}: {error}.", "Correct the file or remove it.") from error
    return {key: value for key, value in values.items() if value}
