"""The environment that a run's code works in; this file builds it from the lock and links it into ``env/``."""

from __future__ import annotations

import datetime as dt

import msgspec

from autokaggle.orchestrator.context import RunContext
from autokaggle.records import Progress
from autokaggle.skills.sandbox.environment import Environment, build_environment
from autokaggle.storage.records_file import write_atomically


def prepare_environment(context: RunContext, requirements: tuple[str, ...]) -> Environment:
    """Build the environment, or reuse it from the store; leave requirements, lock and link in ``env/``.

    Raises:
        OutsideWorldError: the package registry cannot be reached and the store does not have the environment.
    """
    folder = context.folder

    def report(progress: Progress) -> None:
        if context.cancelled.is_set():
            raise KeyboardInterrupt
        context.journal.tell("progress", stage="search", text=progress.text, done=progress.done, total=progress.total)

    environment = build_environment(
        requirements,
        context.settings.environments,
        exclude_newer=dt.date.fromisoformat(context.run.created[:10]),
        offline=context.run.options.offline,
        on_progress=report,
    )
    write_atomically(folder.requirements, "".join(f"{line}\n" for line in requirements))
    write_atomically(folder.requirements_lock, environment.lock_text)
    if folder.venv.is_symlink():
        folder.venv.unlink()
    folder.venv.symlink_to(environment.folder, target_is_directory=True)
    context.save(
        msgspec.structs.replace(context.run, lock_sha256=environment.lock_sha256, python=environment.python_version)
    )
    return environment
