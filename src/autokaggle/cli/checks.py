"""What a run needs of this machine; this file looks at each and says what is missing and what to do.

A check never raises for what it found: that is its finding. Nothing is changed, but for making the program's home.
"""

from __future__ import annotations

import platform
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from autokaggle.config import Settings
from autokaggle.errors import AutoKaggleError
from autokaggle.records.event import Finding

MODEL_KEYS = ("GOOGLE_API_KEY", "GEMINI_API_KEY", "OPENAI_API_KEY", "ANTHROPIC_API_KEY")
LITTLE_DISK_BYTES, TOO_LITTLE_DISK_BYTES = 5_000_000_000, 1_000_000_000
LITTLE_MEMORY_BYTES = 2_000_000_000


def check_machine(settings: Settings, *, offline: bool) -> Iterator[Finding]:
    """Look at everything that a run of any competition needs; ``offline`` asks no package index."""
    from autokaggle.plugins.manager import Plugins
    from autokaggle.skills.sandbox.diagnose import diagnose

    Plugins().given("isolation_backends")
    yield from diagnose(offline=offline)
    for name, check in MACHINE_CHECKS.items():
        yield guarded(name, partial(check, settings))


def guarded(name: str, check: Callable[[], Finding]) -> Finding:
    """Return what a check finds; one that cannot be carried out is itself a failure with that name."""
    try:
        return check()
    except AutoKaggleError as error:
        return Finding(name, "fail", error.message, error.next_step)
    except OSError as error:
        return Finding(name, "fail", f"{error.strerror or error} ({error.filename}).")


def _machine(settings: Settings) -> Finding:
    from autokaggle.skills.sandbox.limits import available_cores, machine_memory_bytes

    memory = machine_memory_bytes()
    detail = f"Python {platform.python_version()}, {available_cores()} cores, {memory / 1e9:.1f} GB of memory"
    if memory < LITTLE_MEMORY_BYTES:
        return Finding("machine", "warn", detail, "Large competitions need more memory; candidates may be ended by it.")
    return Finding("machine", "ok", detail)


def _gpu(settings: Settings) -> Finding:
    from autokaggle.skills.sandbox.gpu import device_files, find_gpu
    from autokaggle.skills.sandbox.isolation import probe_isolation

    if not device_files():
        return Finding("GPU", "ok", "none; none is needed")
    found = find_gpu(probe_isolation(allow_unsandboxed=True))
    if found.name:
        return Finding(
            "GPU", "ok", f"{found.name}: XGBoost trains on it where tables are large, and images are seen on it"
        )
    return Finding("GPU", "warn", f"not used: {found.trouble}", "Put that right, or go on without it: runs need none.")


def _disk(settings: Settings) -> Finding:
    from autokaggle.storage.records_file import make_private_folder

    places = {make_private_folder(settings.home), existing_folder(settings.runs_dir)}
    tightest = min(places, key=lambda place: shutil.disk_usage(place).free)
    free = shutil.disk_usage(tightest).free
    detail = f"{free / 1e9:.1f} GB free at {tightest}"
    if free < LITTLE_DISK_BYTES:
        step = "Free space (`autokaggle cache prune --all`), or point AUTOKAGGLE_HOME and --runs-dir to a larger disk."
        return Finding("disk", "fail" if free < TOO_LITTLE_DISK_BYTES else "warn", detail, step)
    return Finding("disk", "ok", detail)


def _index(settings: Settings) -> Finding:
    from autokaggle.storage.state_store import StateStore

    with StateStore(settings.state) as store:
        store.check()
        return Finding("index of runs", "ok", f"{len(store.runs())} runs in {settings.state}")


def _credentials(settings: Settings) -> Finding:
    from autokaggle.errors import ActionNeeded
    from autokaggle.skills.competition.credentials import find_credentials
    from autokaggle.storage.secrets_vault import SecretsVault

    try:
        found = find_credentials(settings.environment, Path.home(), SecretsVault(settings.home))
    except ActionNeeded as error:
        # Not a failure: the demo and local folders need no account.
        return Finding("Kaggle account", "warn", error.message, error.next_step)
    return Finding("Kaggle account", "ok", f"{found.form} from {found.source}")


def _plugins(settings: Settings) -> Finding:
    from autokaggle.plugins.manager import Plugins

    known = Plugins().put_in_force().known.values()
    problems = [problem for plugin in known for problem in plugin.problems]
    if problems:
        return Finding("plugins", "warn", " ".join(problems), "Mend or remove the package; runs go on without it.")
    names = ", ".join(plugin.name for plugin in known if plugin.package)
    return Finding("plugins", "ok", names or "none are installed")


def _model(settings: Settings) -> Finding:
    keys = [name for name in MODEL_KEYS if settings.environment.get(name)]
    if keys:
        return Finding("language model", "ok", f"{', '.join(keys)} is set; --model NAME lets one take part")
    return Finding("language model", "ok", "no key is set, and none is needed: the built-in strategist decides")


MACHINE_CHECKS: dict[str, Callable[[Settings], Finding]] = {
    "machine": _machine,
    "GPU": _gpu,
    "disk": _disk,
    "index of runs": _index,
    "Kaggle account": _credentials,
    "language model": _model,
    "plugins": _plugins,
}


def existing_folder(folder: Path) -> Path:
    """Return the folder, or the nearest parent that is there."""
    return next(place for place in (folder, *folder.parents) if place.is_dir())
