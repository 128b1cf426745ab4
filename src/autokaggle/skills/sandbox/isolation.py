"""Which walls this machine can build; this file finds out by building them and looking out from inside.

Nothing is inferred from versions or settings of the kernel: a probe script runs as any job does and reports what it
could reach. A run never uses a lower level than it was allowed to.
"""

from __future__ import annotations

import os
import socket
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import msgspec

from autokaggle.errors import ActionNeeded, AutoKaggleError
from autokaggle.records.sandbox import Isolation
from autokaggle.skills.sandbox import landlock
from autokaggle.skills.sandbox.backends import Backend, backends
from autokaggle.skills.sandbox.executor import Job, run_job
from autokaggle.skills.sandbox.limits import MEBIBYTE, Limits

PROBE_SECONDS = 20.0
SIGNAL_ATTEMPT = "a signal to the host's processes"
PROBE = """
import json, os, socket, sys
secret, port, name, process = sys.argv[1:]
def talk():
    try:
        socket.create_connection(("127.0.0.1", int(port)), 1).close()
    except OSError:
        if not sys.platform.startswith("linux"):
            raise
        # It belongs to a network as a port does, and no filter of calls is in its way.
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(chr(0) + name)
attempted, reached = [], []
def attempt(name, action):
    attempted.append(name)
    try:
        action()
        reached.append(name)
    except OSError:
        pass
attempt("a file beside the job", lambda: open(secret).close())
attempt("the host's network", talk)
attempt("writing to the code", lambda: open(__file__, "a").close())
attempt("a signal to the host's processes", lambda: os.kill(int(process), 0))
attempt("the host's temporary folder", lambda: open(os.path.dirname(secret) + "/left", "w").close())
with open(os.environ["AUTOKAGGLE_OUTPUT"] + "/probe.json", "w") as stream:
    json.dump({"attempted": attempted, "reached": reached}, stream)
"""


class SelfTest(msgspec.Struct, frozen=True):
    """What the probe script tried and what of it worked; ``trouble`` says why it could not even run."""

    attempted: tuple[str, ...] = ()
    reached: tuple[str, ...] = ()
    trouble: str = ""


def probe_isolation(allow_unsandboxed: bool = False) -> Isolation:
    """Return the highest level that holds on this machine, with the reason why it is not a higher one.

    Raises:
        ActionNeeded: none holds, and running without walls was not allowed.
    """
    reasons: list[str] = []
    for backend in backends():
        trouble = backend.missing() or try_backend(backend)
        if not trouble:
            return Isolation(level=backend.level, backend=backend.name, reason=" ".join(reasons))
        reasons.append(f"{backend.name}: {trouble}")
    if allow_unsandboxed:
        return Isolation(level="none", backend="none", reason=" ".join(reasons))
    raise ActionNeeded(
        f"Generated code cannot be isolated on this machine. {' '.join(reasons)}",
        f"{how_to_install()} To run it with your own rights all the same, add --allow-unsandboxed.",
    )


def try_backend(backend: Backend) -> str:
    """Run the self-test behind ``backend``; return what went wrong, "" when the walls held."""
    found = self_test(Isolation(level=backend.level, backend=backend.name))
    if found.trouble:
        return found.trouble
    reached = list(found.reached)
    if backend.name == "landlock" and landlock.landlock_abi() < landlock.SIGNAL_ABI and SIGNAL_ATTEMPT in reached:
        reached.remove(SIGNAL_ATTEMPT)  # docs/security.md lists it among what this level does not stop there
    return f"the probe reached {', '.join(reached)}." if reached else ""


def self_test(isolation: Isolation) -> SelfTest:
    """Run a script at this level that tries to get out in five ways, as any job runs."""
    with ExitStack() as closing:
        folder = Path(closing.enter_context(tempfile.TemporaryDirectory(prefix="autokaggle-")))
        port = closing.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1]
        if sys.platform.startswith("linux"):
            door = closing.enter_context(socket.socket(socket.AF_UNIX))
            door.bind(f"\0{folder.name}")
            door.listen()
        (folder / "code").mkdir()
        (folder / "code" / "probe.py").write_text(PROBE, "utf-8")
        (folder / "secret").write_text("visible", "utf-8")
        job = Job(
            scripts=("probe.py",),
            arguments=(str(folder / "secret"), str(port), folder.name, str(os.getpid())),
            code=folder / "code",
            output=folder / "output",
            log=folder / "log",
            limits=Limits(wall_seconds=PROBE_SECONDS, memory_bytes=512 * MEBIBYTE),
        )
        try:
            result = run_job(job, isolation)
            found = msgspec.json.decode((folder / "output" / "probe.json").read_bytes(), type=SelfTest)
        except AutoKaggleError as error:
            return SelfTest(trouble=error.message)
        except (OSError, msgspec.MsgspecError):
            return SelfTest(trouble=f"the probe ended with exit code {result.exit_code} and no finding.")
    return found


def how_to_install() -> str:
    """Say how to get bubblewrap on this system."""
    if sys.platform == "darwin":
        return "sandbox-exec is part of macOS: restore /usr/bin/sandbox-exec."
    try:
        release = Path("/etc/os-release").read_text("utf-8")
    except OSError:
        release = ""
    facts = dict(line.split("=", 1) for line in release.splitlines() if "=" in line)
    family = f"{facts.get('ID', '')} {facts.get('ID_LIKE', '')}".replace('"', "").split()
    commands = {
        "debian": "sudo apt-get install bubblewrap",
        "ubuntu": "sudo apt-get install bubblewrap",
        "fedora": "sudo dnf install bubblewrap",
        "rhel": "sudo dnf install bubblewrap",
        "suse": "sudo zypper install bubblewrap",
        "arch": "sudo pacman -S bubblewrap",
        "alpine": "sudo apk add bubblewrap",
    }
    command = next((commands[name] for name in family if name in commands), "")
    return f"Install bubblewrap: {command}." if command else "Install bubblewrap from your system's packages."
