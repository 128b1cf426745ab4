"""A Python that has imported the libraries of pipelines and forks for each script; this file is both of its ends.

To import them takes seconds of a processor, longer than most pipelines of tests take to fit. As a program it reads
orders, one JSON object a line, and answers each with an exit code.
"""

from __future__ import annotations

import atexit
import importlib
import json
import os
import runpy
import signal
import subprocess
import sys
import traceback
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

LIBRARIES = (
    "joblib", "lightgbm", "pandas", "pyarrow.parquet", "scipy.sparse", "sklearn.decomposition", "sklearn.ensemble",
    "sklearn.feature_extraction.text", "sklearn.kernel_approximation", "sklearn.linear_model", "sklearn.neighbors",
    "sklearn.neural_network", "sklearn.preprocessing", "sklearn.svm", "threadpoolctl", "yaml",
)  # fmt: skip
LONGEST_SECONDS = 600
ROOT = Path(__file__).resolve().parents[1]


class WarmPython:
    """The client; warnings are errors in what it runs."""

    def __init__(self) -> None:
        command = [sys.executable, "-W", "error", "-m", "tests.warm_python"]
        # A fork has only the thread that forked: none may hold a lock of a library meanwhile.
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        self._process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        atexit.register(self.close)

    def run(self, scripts: Sequence[Path], folder: Path, variables: Mapping[str, str], log: Path) -> int:
        """Run scripts one after another in one fork, as if by hand in ``folder``; return its exit code."""
        order = {"scripts": [str(each) for each in scripts], "folder": str(folder), "log": str(log)}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({**order, "variables": dict(variables)}) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def close(self) -> None:
        """End the process: it reads no more orders."""
        self._process.communicate()


def main() -> None:
    """Carry out orders until there are no more."""
    for library in LIBRARIES:
        importlib.import_module(library)
    for line in sys.stdin:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads
            child = os.fork()
        if not child:
            _carry_out(json.loads(line))
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _carry_out(order: dict[str, Any]) -> None:
    """Be the fork: run the scripts, and end without what the parent has left to do."""
    signal.alarm(LONGEST_SECONDS)
    os.chdir(order["folder"])
    os.environ.update(order["variables"])
    log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    for stream in (1, 2):
        os.dup2(log, stream)
    code = 1
    try:
        for script in order["scripts"]:
            sys.argv = [script]
            sys.path[0] = str(Path(script).parent)
            runpy.run_path(script, run_name="__main__")
        code = 0
    except SystemExit as ending:
        code = ending.code if isinstance(ending.code, int) else int(ending.code is not None)
    except BaseException:  # noqa: BLE001 -- the end of this process
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
