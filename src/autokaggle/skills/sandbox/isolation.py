"""Which walls this machine can build; this file finds out by building them and looking out from inside.

Nothing is inferred from versions or settings of the kernel: a probe script runs as any job does and reports what it
could reach. A run never uses a lower level than it was allowed to.
"""

from __future__ import annotations

import json
import socket
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import msgspec

from autokaggle.errors import ActionNeeded, AutoKaggleError
from autokaggle.records import Isolation, IsolationLevel
from autokaggle.skills.sandbox import bubblewrap, landlock, seatbelt, seccomp
from autokaggle.skills.sandbox.executor import Job, run_job
from autokaggle.skills.sandbox.limits import MEBIBYTE, Limits

PROBE_SECONDS = 20.0
PROBE = """
import ctypes, json, os, socket, sys
secret, port = sys.argv[1:]
reached = []
def attempt(name, action):
    try:
        action()
        reached.append(name)
    except OSError:
        pass
attempt("a file beside the job", lambda: open(secret).close())
attempt("the host's network", lambda: socket.create_connection(("127.0.0.1", int(port)), 1).close())
attempt("writing to the code", lambda: open(__file__, "a").close())
libc = ctypes.CDLL(None, use_errno=True)
if libc.unshare(0x10000000) == 0:
    reached.append("a new user namespace")
with open(os.environ["AUTOKAGGLE_OUTPUT"] + "/probe.json", "w") as stream:
    json.dump({"reached": reached}, stream)
"""


class _Finding(msgspec.Struct):
    reached: list[str]


@dataclass(frozen=True)
class Backend:
    """One way to build walls; ``missing`` says why it is out of the question here, "" when it may be tried."""

    name: str
    level: IsolationLevel
    missing: str


def probe_isolation(allow_unsandboxed: bool = False) -> Isolation:
    """Return the highest level that holds on this machine, with the reason why it is not a higher one.

    Raises:
        ActionNeeded: none holds, and running without walls was not allowed.
    """
    reasons: list[str] = []
    for backend in backends():
        trouble = backend.missing or try_backend(backend)
        if not trouble:
            return Isolation(level=backend.level, backend=backend.name, reason=" ".join(reasons))
        reasons.append(f"{backend.name}: {trouble}")
    if allow_unsandboxed:
        return Isolation(level="none", backend="none", reason=" ".join(reasons))
    raise ActionNeeded(
        f"Generated code cannot be isolated on this machine. {' '.join(reasons)}",
        f"{how_to_install()} To run it with your own rights all the same, add --allow-unsandboxed.",
    )


def backends() -> list[Backend]:
    """List the backends for this system, best first."""
    if sys.platform == "darwin":
        return [Backend("sandbox-exec", "partial", "" if seatbelt.find_program() else "the program is not there.")]
    filtered = "" if seccomp.is_supported() else "no seccomp filter is known for this processor."
    found = "" if bubblewrap.find_bubblewrap() else "the program bwrap is not installed."
    abi = landlock.landlock_abi()
    recent = "" if abi >= landlock.LEAST_ABI else f"the kernel offers version {abi}, {landlock.LEAST_ABI} is needed."
    return [
        Backend("bubblewrap", "strong", found or filtered),
        Backend("landlock", "partial", recent or filtered),
    ]


def try_backend(backend: Backend) -> str:
    """Run the probe script behind ``backend``; return what went wrong, "" when the walls held."""
    isolation = Isolation(level=backend.level, backend=backend.name)
    with (
        tempfile.TemporaryDirectory(prefix="autokaggle-probe-") as name,
        socket.create_server(("127.0.0.1", 0)) as door,
    ):
        folder = Path(name)
        (folder / "code").mkdir()
        (folder / "code" / "probe.py").write_text(PROBE, "utf-8")
        (folder / "secret").write_text("visible", "utf-8")
        job = Job(
            scripts=("probe.py",),
            arguments=(str(folder / "secret"), str(door.getsockname()[1])),
            code=folder / "code",
            output=folder / "output",
            log=folder / "log",
            limits=Limits(wall_seconds=PROBE_SECONDS, memory_bytes=512 * MEBIBYTE),
        )
        try:
            result = run_job(job, isolation)
            finding = json.loads((folder / "output" / "probe.json").read_bytes()[: 1 << 16])
            reached = msgspec.convert(finding, _Finding).reached
        except AutoKaggleError as error:
            return error.message
        except (OSError, ValueError):
            return f"the probe ended with exit code {result.exit_code} and no finding."
    return f"the probe reached {', '.join(reached)}." if reached else ""


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
