"""`sandbox`; this file runs any script exactly as a candidate's scripts run: the same walls, the same limits."""

from __future__ import annotations

import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from autokaggle.cli import flags, values
from autokaggle.cli.program import Program
from autokaggle.errors import UsageError

SECONDS_BETWEEN_LOOKS = 0.1
ENDED_BY_LIMIT = 124  # as timeout(1) has it
PYTHON_NAMES = ("python", "pypy")


@click.command()
@click.argument("command", metavar="-- SCRIPT.py [ARGS]...", nargs=-1, required=True, type=click.UNPROCESSED)
@click.option("--input", "input_folder", type=flags.FOLDER, help="Folder that the script may read.")
@click.option("--output", type=flags.FOLDER, help="Folder that the script may write.")
@click.option("--work", type=flags.FOLDER, help="Scratch folder.  [default: one that is removed]")
@click.option("--environment", type=flags.FOLDER, help="Virtual environment to run it with.")
@flags.limits
@click.option("--wall", default="10m", show_default=True, help="Most time: 60s, 10m.")
@flags.allow_unsandboxed
@click.option("--json", is_flag=True, expose_value=False, help="Give the record of the step as JSON on stderr.")
@click.pass_obj
def sandbox(
    program: Program,
    /,
    command: tuple[str, ...],
    input_folder: Path | None,
    output: Path | None,
    work: Path | None,
    environment: Path | None,
    memory: int | None,
    disk: int | None,
    processes: int | None,
    wall: str,
    allow_unsandboxed: bool,
) -> None:
    """Run a script as a candidate runs.

    It sees the files beside it and those in --input, and nothing else of yours. The exit code is the script's; 124 says
    that a limit ended it.
    """
    import msgspec

    from autokaggle.plugins.manager import Plugins
    from autokaggle.skills.sandbox.executor import Job, run_job
    from autokaggle.skills.sandbox.isolation import probe_isolation
    from autokaggle.skills.sandbox.limits import default_limits

    python, script, arguments = _split(command)
    limits = default_limits(
        wall_seconds=values.parse_duration(wall, "--wall"),
        settings=program.settings(),
        memory_bytes=memory,
        disk_bytes=disk,
        processes=processes,
    )
    for flag, folder in (("--input", input_folder), ("--work", work), ("--environment", environment)):
        _check_folder(folder, flag)
    values.check_output(output, limits.file_bytes)
    Plugins(program.warn).given("isolation_backends")
    isolation = probe_isolation(allow_unsandboxed)
    program.tell(f"isolation {isolation.level} ({isolation.backend})")
    with tempfile.TemporaryDirectory(prefix="autokaggle-sandbox-") as name:
        job = Job(
            scripts=(script.name,),
            arguments=arguments,
            code=script.parent,
            input=input_folder and input_folder.absolute(),
            output=(output or Path(name) / "output").absolute(),
            work=work and work.absolute(),
            environment=environment and environment.absolute(),
            python=python,
            log=Path(name) / "log",
            limits=limits,
        )
        with _echoed(job.log):
            result = run_job(job, isolation)
    if program.json:
        facts = {**msgspec.to_builtins(result), "isolation": msgspec.to_builtins(isolation)}
        print(msgspec.json.encode(facts).decode(), file=sys.stderr)
    elif result.limit:
        program.warn(f"ended by the limit on {result.limit}")
    raise click.exceptions.Exit(ENDED_BY_LIMIT if result.limit or result.exit_code is None else result.exit_code % 256)


def _split(command: tuple[str, ...]) -> tuple[Path | None, Path, tuple[str, ...]]:
    """Read ``[PYTHON] SCRIPT.py ARGS``: a base interpreter may be named as on any command line."""
    python, rest = None, list(command)
    if Path(rest[0]).name.startswith(PYTHON_NAMES) and Path(rest[0]).suffix != ".py":
        python = Path(rest.pop(0)).absolute()
    if not rest:
        raise UsageError("No script was given.", "Write: autokaggle sandbox -- SCRIPT.py ARGS")
    script = Path(rest[0]).absolute()
    if not script.is_file():
        raise UsageError(f"There is no script {rest[0]}.", "Give the path of a Python file.")
    return python, script, tuple(rest[1:])


def _check_folder(path: Path | None, flag: str) -> None:
    if path is not None and not path.is_dir():
        raise UsageError(f"{flag} {path} is no folder.", "Give a folder that exists.")


@contextmanager
def _echoed(log: Path) -> Iterator[None]:
    """Print what the script prints while it runs; the thread only reads, since the job belongs to the caller's."""
    from autokaggle.storage.tail import Tail

    tail, done = Tail(log), threading.Event()

    def follow() -> None:
        while not done.wait(SECONDS_BETWEEN_LOOKS):
            _print(tail.new_lines())

    reader = threading.Thread(target=follow)
    reader.start()
    try:
        yield
    finally:
        done.set()
        reader.join()
        _print(tail.new_lines(also_unfinished=True))


def _print(lines: list[bytes]) -> None:
    from autokaggle.cli.text import log_line

    for line in lines:
        print(log_line(line), flush=True)
