"""Ways to build walls around a job; this file lists ours, best first, and takes in those of plugins.

A backend says whether it may be tried here and turns an order into one behind its walls. Which one holds is found out
by ``isolation.py``, which runs a probe behind each: nobody is believed.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from autokaggle.errors import AutoKaggleError
from autokaggle.records.sandbox import IsolationLevel
from autokaggle.skills.sandbox import bubblewrap, gpu, landlock, seatbelt, seccomp
from autokaggle.skills.sandbox.interpreter import Interpreter
from autokaggle.skills.sandbox.job import INSIDE, Job, Layout, command_of, variables_of
from autokaggle.skills.sandbox.order import Order
from autokaggle.skills.sandbox.supervisor import FILTER_PLACE, STATUS_PLACE

Wrap = Callable[[Order, Job, Layout, Interpreter], Order]


@dataclass(frozen=True)
class Backend:
    """One way to build walls.

    ``level`` is what it promises. ``missing()`` says why it is out of the question here, "" when it may be tried.
    ``wrap(order, job, layout, interpreter)`` returns the order with its command behind the walls; ``layout`` holds the
    job's real folders. The probe must not get out of them, or the backend is not used.
    """

    name: str
    level: IsolationLevel
    missing: Callable[[], str]
    wrap: Wrap


def backends() -> list[Backend]:
    """List the backends for this system, best first: by level, then ours before those of plugins."""
    known = [*built_in_backends(), *PLUGGED.values()]
    return sorted(known, key=lambda backend: ("strong", "partial", "none").index(backend.level))


def built_in_backends() -> list[Backend]:
    """List ours for this system."""
    if sys.platform == "darwin":
        return [Backend("sandbox-exec", "partial", _no_sandbox_exec, _behind_seatbelt)]
    return [
        Backend("bubblewrap", "strong", _no_bubblewrap, _behind_bubblewrap),
        Backend("landlock", "partial", _no_landlock, _behind_landlock),
    ]


def find_backend(name: str) -> Backend:
    """Raises:
    AutoKaggleError: there is no such backend on this system.
    """
    for backend in backends():
        if backend.name == name:
            return backend
    raise AutoKaggleError(
        f"There is no isolation backend {name!r}.", "Start a new run; `autokaggle plugins` lists the backends."
    )


# Backends of plugins by name, in the order in which they came.
PLUGGED: dict[str, Backend] = {}


def _no_sandbox_exec() -> str:
    return "" if seatbelt.find_program() else "the program is not there."


def _no_bubblewrap() -> str:
    return _no_filter() if bubblewrap.find_bubblewrap() else "the program bwrap is not installed."


def _no_landlock() -> str:
    abi = landlock.landlock_abi()
    if abi < landlock.LEAST_ABI:
        return f"the kernel offers version {abi}, {landlock.LEAST_ABI} is needed."
    return _no_filter()


def _no_filter() -> str:
    return "" if seccomp.is_supported() else "no seccomp filter is known for this processor."


def _devices(job: Job) -> list[Path]:
    return gpu.device_files() if job.wants_gpu else []


def _behind_seatbelt(unwrapped: Order, job: Job, real: Layout, interpreter: Interpreter) -> Order:
    return {**unwrapped, "command": seatbelt.wrap(unwrapped["command"], layout=real, interpreter=interpreter)}


def _behind_landlock(unwrapped: Order, job: Job, real: Layout, interpreter: Interpreter) -> Order:
    return {
        **unwrapped,
        # There are no semaphores without /dev/shm; joblib would find out by itself, and warn.
        "variables": {**unwrapped["variables"], "JOBLIB_MULTIPROCESSING": "0"},
        "rules": landlock.rules(real, interpreter, _devices(job)),
        "filter": seccomp.assemble(has_namespaces=False),
    }


def _behind_bubblewrap(unwrapped: Order, job: Job, real: Layout, interpreter: Interpreter) -> Order:
    program = bubblewrap.find_bubblewrap()
    if program is None:
        raise AutoKaggleError("bubblewrap was removed since it was probed.", "Install it again, then resume the run.")
    seen = dataclasses.replace(INSIDE, input=INSIDE.input if real.input else None)
    environment = bubblewrap.ENVIRONMENT_INSIDE if interpreter.environment else None
    executable = interpreter.executable
    if interpreter.environment and environment:
        executable = environment / executable.relative_to(interpreter.environment)
    line = bubblewrap.wrap(
        program,
        command_of(job, seen, executable),
        layout=real,
        seen=seen,
        interpreter=interpreter,
        variables=variables_of(job, seen, environment),
        limits=job.limits,
        devices=_devices(job),
        filter_place=FILTER_PLACE,
        status_place=STATUS_PLACE,
    )
    return {
        **unwrapped,
        "command": line,
        # bubblewrap's first process inside keeps the environment that it was started with, readable in /proc.
        "variables": {"PATH": bubblewrap.SYSTEM_SEARCH_PATH},
        "filter": seccomp.assemble(has_namespaces=True),
        "temporary_folders": ["/tmp", "/dev/shm"],  # noqa: S108
    }
