"""How a call of the program ends; this file turns every error into one message, one exit code, and a trace to look up.

Nothing else decides an exit code: the codes themselves stand in ``errors.py``.
"""

from __future__ import annotations

import datetime as dt
import os
import re
import select
import sys
import traceback
from pathlib import Path

import click

from autokaggle.cli.program import Program, write_json
from autokaggle.errors import AutoKaggleError, RunInterrupted, UsageError
from autokaggle.orchestrator.signals import is_interrupt
from autokaggle.storage.disk import disk_trouble

SECRET_NAME = re.compile(r"(_KEY|TOKEN|SECRET|PASSWORD)$", re.IGNORECASE)
SECRET_PARTS = re.compile(r"[^:\"{},\s]{8,}")


def report_failure(error: BaseException, program: Program) -> int:
    """Tell the person what happened and what to do next; return the exit code."""
    if isinstance(error, click.exceptions.Exit):
        return error.exit_code
    if isinstance(error, BrokenPipeError) and _reader_is_gone():
        return 0
    failure = _as_failure(error, program)
    if program.debug:
        print(_trace(error, program), file=sys.stderr, end="")
    try:
        _tell(failure, program)
    except BrokenPipeError:
        _reader_is_gone()  # nobody hears of the failure, but the exit code still says it
    return failure.exit_code


def _tell(failure: AutoKaggleError, program: Program) -> None:
    lines = [f"autokaggle: {_printable(failure.message)}", *map(_printable, failure.next_step.splitlines())]
    print("\n".join(lines), file=sys.stderr)
    if program.json:
        write_json(_facts(failure, program))
        sys.stdout.flush()


def _as_failure(error: BaseException, program: Program) -> AutoKaggleError:
    if isinstance(error, AutoKaggleError):
        return error
    if isinstance(error, click.ClickException):
        return _usage(error)
    if is_interrupt(error) or isinstance(error, click.Abort | EOFError):
        resume = f"Go on with: autokaggle resume {program.folder.id}" if program.folder else ""
        return RunInterrupted("Interrupted; what was finished is kept." if program.folder else "Interrupted.", resume)
    then = f"go on with: autokaggle resume {program.folder.id}" if program.folder else "try again"
    if trouble := disk_trouble(error, then):
        return trouble
    log = _keep_trace(error, program)
    what = f"{type(error).__name__}: {error}".splitlines()[0][:300]
    where = f"The details are in {log}; `--debug` shows them here." if log else "`--debug` shows the details."
    return AutoKaggleError(f"Unexpected error, our fault: {_without_secrets(what, program)}", where)


def _usage(error: click.ClickException) -> UsageError:
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "autokaggle"
    message = error.format_message().strip()
    return UsageError(" ".join(message.split()), f"`{path} --help` lists what is allowed.")


def _facts(failure: AutoKaggleError, program: Program) -> dict[str, object]:
    status = "interrupted" if isinstance(failure, RunInterrupted) else "failed"
    return {
        "run_id": program.folder.id if program.folder else None,
        "run_dir": str(program.folder.path) if program.folder else None,
        "status": status,
        **program.facts,
        "error": {"message": failure.message, "next_step": failure.next_step, "exit_code": failure.exit_code},
    }


def _keep_trace(error: BaseException, program: Program) -> Path | None:
    """Append the trace to the run's log, or to a file in the program's home; None when neither can be written."""
    try:
        folder = program.folder.logs if program.folder else program.settings().home
        path = program.folder.run_log if program.folder else folder / "errors.log"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        stamp = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "w", encoding="utf-8") as log:
            log.write(f"{stamp} error\n{_trace(error, program)}")
    except (OSError, AutoKaggleError):
        return None
    return path


def _trace(error: BaseException, program: Program) -> str:
    return _without_secrets("".join(traceback.format_exception(error)), program)


def _without_secrets(text: str, program: Program) -> str:
    """Blank the values of settings that are secrets: a library may put one into its message."""
    try:
        environment = {**program.settings().environment, **os.environ}
    except AutoKaggleError:
        environment = dict(os.environ)
    for name, value in environment.items():
        # A value may be `username:key` or JSON, of which a message may show the key alone.
        for part in SECRET_PARTS.findall(value) if SECRET_NAME.search(name) else ():
            text = text.replace(part, f"<{name}>")
    return text


def _printable(text: str) -> str:
    from autokaggle.orchestrator.journal import printable

    return printable(text)


def _reader_is_gone() -> bool:
    """Say whether nobody reads stdout or stderr any more, and then point them away so that the exit stays quiet."""
    gone = False
    for stream in (sys.stdout, sys.stderr):
        poll = select.poll()
        poll.register(stream.fileno(), 0)
        if any(event & select.POLLERR for _, event in poll.poll(0)):
            gone = True
            devnull = os.open(os.devnull, os.O_WRONLY)
            os.dup2(devnull, stream.fileno())
            os.close(devnull)
    return gone
