"""What an attempt is; this file registers attempts and runs one by name inside the sandbox.

An attempt returns evidence when it got out; it returns nothing when it did not, or when only the outside can judge.
Standard library only: this package is copied into the code folder of a job.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import sys
from collections.abc import Callable
from typing import Any

Attempt = Callable[[dict[str, Any]], object]
MODULES = ("change_files", "exhaust", "leave_traps", "reach_network", "read_secrets", "touch_processes")
ATTEMPTS: dict[str, Attempt] = {}
LIBC = ctypes.CDLL(None, use_errno=True)


def attempt(function: Attempt) -> Attempt:
    """Register an attempt under its name."""
    ATTEMPTS[function.__name__] = function
    return function


def run_attempt(name: str, targets: dict[str, Any]) -> None:
    """Print one line with the verdict as seen from inside, and leave without further ado."""
    try:
        evidence = ATTEMPTS[name](targets)
        verdict = f"ESCAPED {evidence}" if evidence else "HELD nothing came of it"
    except (OSError, MemoryError, RuntimeError) as error:
        verdict = f"HELD {type(error).__name__}: {error}"
    os.write(1, ("\n" + ascii(verdict)[1:-1] + "\n").encode())
    os._exit(0)


def system_call(number: int, *arguments: int) -> int:
    """Make a raw call; return its result, or the negative error number."""
    result: int = LIBC.syscall(number, *(ctypes.c_long(argument) for argument in arguments))
    return result if result >= 0 else -ctypes.get_errno()


def reaches_the_kernel(number: int, *arguments: int) -> str:
    """Say whether a call with senseless arguments is refused for its arguments, which means that it is open."""
    result = system_call(number, *arguments)
    return "" if result in (-1, -38) else f"the call answers {result}"


def main() -> None:
    for name in MODULES:
        importlib.import_module(f"tests.escapes.attempts.{name}")
    run_attempt(sys.argv[1], json.loads(sys.argv[2]))
