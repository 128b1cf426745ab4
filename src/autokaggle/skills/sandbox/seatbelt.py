"""Isolation by macOS's sandbox-exec; this file writes the profile that denies everything and allows what a job needs.

It shares the host's processes and cannot hide that files exist; see docs/security.md.
"""

from __future__ import annotations

import os
from pathlib import Path

from autokaggle.skills.sandbox.interpreter import Interpreter
from autokaggle.skills.sandbox.job import Layout

PROGRAM = Path("/usr/bin/sandbox-exec")
SYSTEM_READ = (
    *("/usr/lib", "/usr/bin", "/bin", "/usr/share", "/System", "/Library/Apple", "/private/var/db/dyld"),
    # where Homebrew keeps the libraries that its Python links to
    *("/opt/homebrew/opt", "/opt/homebrew/Cellar", "/usr/local/opt", "/usr/local/Cellar"),
)
SYSTEM_FILES = ("/dev/null", "/dev/zero", "/dev/urandom", "/dev/random", "/private/etc/localtime")

PROFILE = """\
(version 1)
(deny default)
(allow process-fork)
(allow process-exec* {executables})
(allow signal (target same-sandbox))
(allow process-info* (target same-sandbox))
(allow sysctl-read)
(allow file-read-metadata)
(allow file-map-executable {readable})
(allow file-read* {readable})
(allow file-write* {writable})
(allow file-write-data (literal "/dev/null") (literal "/dev/zero"))
(allow ipc-posix-sem)
(deny network*)
(deny mach-lookup)
"""


def find_program() -> Path | None:
    """Return sandbox-exec when this system has it."""
    return PROGRAM if os.access(PROGRAM, os.X_OK) else None


def wrap(command: list[str], *, layout: Layout, interpreter: Interpreter) -> list[str]:
    """Put ``command`` under a profile; paths go in as parameters, so that no name can end a rule."""
    folders = [layout.code, layout.driver, layout.input, interpreter.environment, *interpreter.homes]
    shown = [*SYSTEM_READ, *(str(folder) for folder in folders if folder)]
    written = [str(layout.output), str(layout.work)]
    parameters: dict[str, str] = {}
    readable = _rules("subpath", shown + written, "R", parameters) + _rules("literal", SYSTEM_FILES, "F", parameters)
    programs = [*("/usr/bin", "/bin"), *(str(folder) for folder in folders[3:] if folder)]
    profile = PROFILE.format(
        executables=" ".join(_rules("subpath", programs, "X", parameters)),
        readable=" ".join([*readable, '(literal "/")']),
        writable=" ".join(_rules("subpath", written, "W", parameters)),
    )
    defined = [part for name, value in parameters.items() for part in ("-D", f"{name}={value}")]
    return [str(PROGRAM), *defined, "-p", profile, *command]


def _rules(kind: str, paths: list[str] | tuple[str, ...], prefix: str, parameters: dict[str, str]) -> list[str]:
    names = {f"{prefix}{number}": path for number, path in enumerate(paths)}
    parameters.update(names)
    return [f'({kind} (param "{name}"))' for name in names]
