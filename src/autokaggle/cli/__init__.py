"""What a person types and reads: the only place that prints, and where errors become exit codes."""

from __future__ import annotations

import io
import os
import sys
import warnings
from typing import TYPE_CHECKING

from autokaggle.errors import RunInterrupted
from autokaggle.orchestrator.signals import hear_no_more, terminate_like_interrupt

if TYPE_CHECKING:
    from autokaggle.cli.program import Program

ANYWHERE = ("--quiet", "--debug")


def start() -> int:
    """Run the program as a process of its own, and return its exit code.

    From the first moment SIGTERM is heard like Ctrl-C, and neither leaves a trace, not even while the process ends.
    What libraries warn of is shown only where Python is told to.
    """
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
    try:
        with terminate_like_interrupt():
            code = main()
            hear_no_more()
    except KeyboardInterrupt:
        # Before anything could be asked to end in order, or once more while it did.
        hear_no_more()
        print("autokaggle: Interrupted.", file=sys.stderr)
        code = RunInterrupted.exit_code
    return code


def main(arguments: list[str] | None = None, program: Program | None = None) -> int:
    """Carry out one command and return its exit code; ``arguments`` are those after the program's name."""
    from autokaggle.cli.application import run_command_line
    from autokaggle.cli.failures import report_failure
    from autokaggle.cli.program import Program

    # Whatever is written, by us, by libraries or by candidates, is the user's alone.
    os.umask(0o077)
    _open_streams()
    given = sys.argv[1:] if arguments is None else list(arguments)
    end = given.index("--") if "--" in given else len(given)
    ours = given[:end]
    program = program or Program()
    # Known before anything is parsed, since a command line that cannot be parsed is answered in the same way.
    program.json = "--json" in ours
    program.quiet = "--quiet" in ours
    program.debug = "--debug" in ours or os.environ.get("AUTOKAGGLE_DEBUG", "") not in ("", "0")
    try:
        run_command_line([word for word in ours if word not in ANYWHERE] + given[end:], program)
        sys.stdout.flush()
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the last place that can say what happened
        return report_failure(error, program)
    return 0


def _open_streams() -> None:
    """Make output possible where it was closed (``>&-``), and harmless where a locale cannot show a character."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115 - open to the end
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
