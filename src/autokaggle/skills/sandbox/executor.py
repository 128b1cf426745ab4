"""Running a job behind walls; this file picks the backend that the probe found and returns what happened as a record.

The walls are the backend's, limits and their record are the supervisor's. Nothing that a job writes is parsed here.
"""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import functools
import marshal
import os
import select
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from autokaggle.config import without_keys
from autokaggle.errors import AutoKaggleError, UsageError
from autokaggle.records.sandbox import Isolation, StepResult
from autokaggle.skills.sandbox import cgroup
from autokaggle.skills.sandbox.backends import find_backend
from autokaggle.skills.sandbox.interpreter import find_interpreter
from autokaggle.skills.sandbox.job import DRIVER, Job, Layout, command_of, variables_of
from autokaggle.skills.sandbox.limits import Limits
from autokaggle.skills.sandbox.order import MARK, Order, Outcome
from autokaggle.skills.sandbox.supervisor import STATUS_PLACE
from autokaggle.skills.sandbox.sweep import remove_tree, sweep
from autokaggle.storage.records_file import make_private_folder

__all__ = ["KILLED_EXIT_CODE", "Job", "SandboxLost", "run_job"]

KILLED_EXIT_CODE = 137  # 128 and the number of SIGKILL
POLL_SECONDS = 0.05
GRACE_SECONDS = 10.0  # beyond the wall limit, for a supervisor that is itself starved


class SandboxLost(AutoKaggleError):
    """A sandbox, or the process that watches it, was killed; nothing is known of what its job did."""


def run_job(job: Job, isolation: Isolation, cancelled: threading.Event | None = None) -> StepResult:
    """Run the scripts of ``job`` and wait for their end, a limit, or ``cancelled``.

    A failing script is a result. Afterwards ``job.output`` holds plain files and folders only, and has the mode that it
    had before. The calling thread must live as long as the job; several threads may run jobs at once.

    Raises:
        UsageError: a script, folder or interpreter of the job does not exist.
        AutoKaggleError: the walls could not be built, or the supervisor died.
    """
    _check(job)
    mode = stat.S_IMODE(job.output.stat().st_mode)
    is_given = job.work is not None
    with _working_folder(job) as work:
        job = dataclasses.replace(job, work=work)
        order = _order(job, isolation)
        if not is_given:
            order["scratch"] = str(work)
        outcome = _supervise(_in_control_group(order, job.limits), cancelled)
    if outcome["trouble"]:
        # Killed before it had begun, walls are not to blame.
        kind = SandboxLost if outcome["exit_code"] == KILLED_EXIT_CODE else AutoKaggleError
        raise kind(
            f"The sandbox could not be built: {outcome['trouble']}", "Run `autokaggle doctor` to see what is missing."
        )
    removed = sweep(job.output, job.limits.file_bytes, mode)
    if removed:
        with job.log.open("a", encoding="utf-8") as log:
            log.writelines(f"[removed from output: {line}]\n" for line in removed)
    return StepResult(
        script=" ".join(job.scripts),
        exit_code=outcome["exit_code"],
        limit=outcome["limit"],  # type: ignore[arg-type]
        seconds=round(outcome["seconds"], 3),
        cpu_seconds=round(outcome["cpu_seconds"], 3),
        peak_memory_bytes=outcome["peak_memory_bytes"],
        written_bytes=outcome["written_bytes"],
    )


def _check(job: Job) -> None:
    for script in job.scripts:
        if not (job.code / script).is_file():
            raise UsageError(f"There is no script {script} in {job.code}.", "Name a file of the code folder.")
    if job.input and not job.input.is_dir():
        raise UsageError(f"There is no input folder {job.input}.", "Name an existing folder.")
    home = Path("~").expanduser()
    for folder in (job.code, job.input):
        if folder and home.is_relative_to(folder.resolve()):
            raise UsageError(
                f"{folder} holds the whole home folder, which generated code must not see.",
                "Put the scripts, and the input, into folders of their own.",
            )
    for folder in (job.output, job.work):
        if folder and any(
            kept and kept.resolve().is_relative_to(folder.resolve()) for kept in (home, job.code, job.input)
        ):
            raise UsageError(
                f"{folder} holds the code, the input or the home folder, which generated code must not write.",
                "Name a folder of its own.",
            )
    make_private_folder(job.output)


@contextlib.contextmanager
def _working_folder(job: Job) -> Iterator[Path]:
    if job.work:
        yield make_private_folder(job.work)
        return
    folder = Path(tempfile.mkdtemp(prefix="autokaggle-work-"))
    try:
        yield folder
    finally:
        if folder.exists():  # the supervisor never came to it
            remove_tree(folder)


def _order(job: Job, isolation: Isolation) -> Order:
    assert job.work is not None
    interpreter = find_interpreter(job.environment, job.python)
    real = Layout(
        code=job.code.resolve(),
        output=job.output.resolve(),
        work=job.work.resolve(),
        driver=DRIVER.resolve(),
        input=job.input.resolve() if job.input else None,
    )
    unwrapped = Order(
        command=command_of(job, real, interpreter.executable),
        variables=variables_of(job, real, interpreter.environment),
        folder=str(real.work),
        log=str(job.log.absolute()),
        mark=str(job.log.absolute().with_name(MARK.format(log=job.log.name))),
        watched_folders=[str(real.work), str(real.output)],
        limits=dataclasses.asdict(job.limits),
    )
    if isolation.backend == "none":
        return unwrapped
    return find_backend(isolation.backend).wrap(unwrapped, job, real, interpreter)


def _in_control_group(order: Order, limits: Limits) -> Order:
    if cgroup.can_make_cgroup():
        return {**order, "groups": cgroup.make_cgroup(limits)}
    # A scope needs the address of the user's bus, which only bubblewrap keeps from the code.
    if STATUS_PLACE in order["command"] and (scope := cgroup.scope_command(limits)):
        address = {name: os.environ[name] for name in cgroup.BUS_VARIABLES if name in os.environ}
        variables = {**order["variables"], **address}
        return {**order, "command": [*scope, *order["command"]], "variables": variables, "is_in_scope": True}
    return order


def _supervise(order: Order, cancelled: threading.Event | None) -> Outcome:
    """Hand ``order`` to a supervisor; closing its standard input, as our death does, ends the job."""
    deadline = time.monotonic() + float(order["limits"]["wall_seconds"]) + GRACE_SECONDS
    pipe = subprocess.PIPE
    # A session of its own: Ctrl-C is the program's to answer, and ends the supervisor by the pipe.
    with subprocess.Popen(
        _supervisor_command(),
        stdin=pipe,
        stdout=pipe,
        stderr=pipe,
        start_new_session=True,
        env=without_keys(os.environ),
    ) as process:
        assert process.stdin and process.stdout
        answered = select.poll()
        answered.register(process.stdout, select.POLLIN)
        try:
            with process.stdin, contextlib.suppress(BrokenPipeError):
                process.stdin.write(marshal.dumps(dict(order)))
                process.stdin.flush()
                while not answered.poll(1000 * POLL_SECONDS):
                    if time.monotonic() > deadline or (cancelled and cancelled.is_set()):
                        break
            process.stdin = None
            answer, complaint = process.communicate(timeout=GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            answer, complaint = process.communicate()
        except KeyboardInterrupt:
            process.wait()  # its pipe is closed: it kills the tree and ends
            raise
    try:
        outcome: Outcome = ast.literal_eval(answer.decode())
    except (ValueError, SyntaxError) as error:
        detail = complaint.decode(errors="replace").strip().rpartition("\n")[2]
        raise SandboxLost(
            f"The process that watches the sandbox died (exit code {process.returncode}). {detail}".strip(),
            "Resume the run; if it happens again, report it with the run's log.",
        ) from error
    return outcome


@functools.cache
def _supervisor_command() -> list[str]:
    """Start this program's own Python without its site packages' start-up code, for speed."""
    import autokaggle

    roots = [Path(str(autokaggle.__file__)).parents[1]]
    if not sys.platform.startswith("linux"):
        import psutil

        roots.append(Path(psutil.__file__).parents[1])
    program = f"import sys; sys.path += {[str(root) for root in roots]!r}; "
    program += "from autokaggle.skills.sandbox.supervisor import main; main()"
    return [sys.executable, "-I", "-S", "-c", program]
