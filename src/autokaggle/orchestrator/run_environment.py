"""The environment that a run's code works in; this file builds it within the budget and links it into ``env/``."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from autokaggle.errors import OutsideWorldError
from autokaggle.orchestrator.context import RunContext
from autokaggle.orchestrator.journal import progress_listener
from autokaggle.skills.sandbox.environment import Environment, build_environment
from autokaggle.storage.records_file import write_atomically


def prepare_environment(context: RunContext, requirements: Iterable[str]) -> Environment:
    """Build the environment, or reuse it from the store; leave requirements, lock and link in ``env/``.

    Where the package index does not answer, the newest environment that was built for the same requirements is used,
    with a warning.

    Raises:
        OutsideWorldError: the index cannot be reached, or not in time, and the store has no such environment.
    """
    wanted = tuple(requirements)
    try:
        environment = _build(context, wanted, context.run.options.offline)
    except OutsideWorldError as error:
        if context.run.options.offline:
            raise
        environment = _build(context, wanted, offline=True)
        context.journal.tell("warning", f"{error.message} An environment that was built earlier is used.")
    folder = context.folder
    write_atomically(folder.requirements, "".join(f"{line}\n" for line in environment.requirements))
    write_atomically(folder.requirements_lock, environment.lock_text)
    folder.venv.unlink(missing_ok=True)
    folder.venv.symlink_to(environment.folder, target_is_directory=True)
    context.save(lock_sha256=environment.lock_sha256, python=environment.python_version)
    return environment


def _build(context: RunContext, requirements: tuple[str, ...], offline: bool) -> Environment:
    return build_environment(
        requirements,
        context.settings.environments,
        exclude_newer=dt.date.fromisoformat(context.run.created[:10]),
        offline=offline,
        timeout_seconds=context.budget.left_for_search_seconds,
        on_progress=progress_listener(context.journal, "search"),
    )
