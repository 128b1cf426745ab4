"""The first code that runs inside the sandbox; this file runs a step's scripts one after another in one interpreter.

It imports nothing of ours and is started as a program: FOLDER COUNT SCRIPT... ARGUMENT...
A script that raises ends the chain with exit code 1, ``sys.exit(0)`` does not end it.
"""

import sys
import traceback
from types import ModuleType


def run_scripts(folder: str, scripts: list[str], arguments: list[str]) -> int:
    """Run each script as ``__main__`` with ``folder`` first on the path; return the exit code of the chain."""
    sys.path.insert(0, folder)
    for script in scripts:
        path = f"{folder}/{script}"
        sys.argv = [path, *arguments]
        code = _run(path)
        sys.stdout.flush()
        sys.stderr.flush()
        if code:
            return code
    return 0


def _run(path: str) -> int:
    main = ModuleType("__main__")
    main.__file__ = path
    sys.modules["__main__"] = main
    try:
        with open(path, "rb") as stream:  # noqa: PTH123 - pathlib would cost a cold start some milliseconds
            program = compile(stream.read(), path, "exec")
        exec(program, main.__dict__)  # noqa: S102
    except SystemExit as leaving:
        return _exit_code(leaving.code)
    except BaseException as error:  # noqa: BLE001 - whatever it is, it belongs into the log
        frames = error.__traceback__
        traceback.print_exception(type(error), error, frames.tb_next if frames else None)
        return 1
    return 0


def _exit_code(code: object) -> int:
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF
    print(code, file=sys.stderr)  # noqa: T201
    return 1


if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    count = int(sys.argv[2])
    sys.exit(run_scripts(sys.argv[1], sys.argv[3 : 3 + count], sys.argv[3 + count :]))
