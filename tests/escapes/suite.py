"""Run the escape attempts and judge them; this file also is a program: ``python -m tests.escapes.suite --how strong``.

An attempt *escaped* when it says so and is right, or when the outside sees what it did. It *held* when it was stopped.
Anything else is *broken*: an attempt that shows nothing is no proof of a wall.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import fnmatch
import json
import os
import re
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal, NamedTuple, get_args

from autokaggle.records.sandbox import Isolation
from autokaggle.skills.sandbox import gpu
from autokaggle.skills.sandbox.executor import Job, run_job
from autokaggle.skills.sandbox.limits import MEBIBYTE, Limits
from tests.escapes.world import ATTEMPTS, World, make_world

How = Literal["strong", "gpu", "partial", "none", "plain"]
ISOLATIONS = {
    "strong": Isolation(level="strong", backend="bubblewrap"),
    "gpu": Isolation(level="strong", backend="bubblewrap"),
    "partial": Isolation(level="partial", backend="landlock"),
    "none": Isolation(level="none", backend="none"),
}
LIMITS = Limits(
    wall_seconds=5,
    cpu_seconds=1,
    memory_bytes=120 * MEBIBYTE,
    processes=60,
    file_bytes=24 * MEBIBYTE,
    disk_bytes=40 * MEBIBYTE,
    inodes=500,
    log_bytes=MEBIBYTE,
    temporary_bytes=120 * MEBIBYTE,
)
SCRIPT = "tests/escapes/attempts/run.py"
PLAIN_SECONDS = 90.0
SECRET_VARIABLE = "AK_TEST_SECRET"
VERDICT = re.compile(r"^(ESCAPED|HELD) (.*)$", re.MULTILINE)


class Verdict(NamedTuple):
    attempt: str
    outcome: Literal["escaped", "held", "broken"]
    why: str
    seconds: float


class Ending(NamedTuple):
    """How one attempt ended, whatever ran it."""

    exit_code: int | None
    limit: str | None
    seconds: float
    log: str
    shown: str


def attempt_names(files: str = "*.py") -> list[str]:
    """List every attempt, in file order."""
    names = []
    for path in sorted(ATTEMPTS.glob(files)):
        names += re.findall(r"^@attempt\ndef (\w+)", path.read_text("utf-8"), re.MULTILINE)
    return names


def run_suite(how: How, names: list[str], workers: int = 4) -> list[Verdict]:
    """Run attempts side by side, each in a world of its own."""
    os.environ[SECRET_VARIABLE] = "set before each attempt"
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(lambda name: run_one(how, name), names))


def run_one(how: How, name: str) -> Verdict:
    """Run and judge one attempt."""
    began = time.monotonic()
    with make_world() as world, _leaked_descriptor(world), _visitor(world):
        ending = _run(how, name, world)
        if name == "module_for_the_next_step":
            world.targets["step"] = 2
            ending = _run(how, name, world)
        if how == "plain":
            _act_as_a_naive_parent(world)
        outcome, why = _judge(name, world, ending)
        world.kill_leftovers()
        _remove_shared_memory(world)
    return Verdict(name, outcome, why[:200], round(time.monotonic() - began, 2))


def _run(how: How, name: str, world: World) -> Ending:
    arguments = (name, json.dumps(world.targets))
    if how == "plain":
        return _run_plainly(arguments, world)
    job = Job(
        scripts=(SCRIPT,),
        arguments=arguments,
        code=world.run / "code",
        input=world.run / "input",
        output=world.run / "output",
        work=world.run / "work",
        log=world.run / "log",
        environment=Path(sys.prefix),
        limits=LIMITS,
        wants_gpu=how == "gpu",
    )
    result = run_job(job, ISOLATIONS[how])
    log = job.log.read_bytes()
    return Ending(result.exit_code, result.limit, result.seconds, log.decode("utf-8", "replace"), _as_shown(log))


def _stand_in_for_devices(folder: Path) -> None:
    """Let files take the place of a GPU's: their walls are what is tried."""
    for name in ("nvidia0", "nvidiactl", "nvidia-uvm"):
        (folder / name).touch()
    gpu.DEVICES = folder


def _run_plainly(arguments: tuple[str, ...], world: World) -> Ending:
    """Run the attempt as a program without a sandbox would: a subprocess, a time-out, a pipe to the end."""
    folders = {f"AUTOKAGGLE_{name.upper()}": str(world.run / name) for name in ("input", "output")}
    environment = {**os.environ, **folders, "HOME": str(world.home), SECRET_VARIABLE: world.secret}
    (world.run / "env").mkdir(exist_ok=True)
    environment["VIRTUAL_ENV"] = str(world.run / "env")
    began = time.monotonic()
    with contextlib.suppress(subprocess.TimeoutExpired):
        done = subprocess.run(
            [sys.executable, "-B", str(world.run / "code" / SCRIPT), *arguments],
            env={**environment, "PYTHONPATH": f"{world.run / 'work'}:{world.run / 'code'}"},
            cwd=world.run / "work",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            close_fds=False,
            timeout=PLAIN_SECONDS,
        )
        text = done.stdout.decode("utf-8", "replace")
        return Ending(done.returncode, None, time.monotonic() - began, text, text)
    return Ending(None, None, time.monotonic() - began, "", "")


def _as_shown(log: bytes) -> str:
    """Give the log as the command line shows it."""
    from autokaggle.cli.text import log_line

    return "\n".join(log_line(line) for line in log.split(b"\n"))


def _act_as_a_naive_parent(world: World) -> None:
    """Do to the output what programs without a sandbox do: load the model."""
    model = world.run / "output" / "model.joblib"
    if model.is_file():
        subprocess.run([sys.executable, "-c", f"import pickle; pickle.load(open({str(model)!r}, 'rb'))"])


def _judge(name: str, world: World, ending: Ending) -> tuple[Literal["escaped", "held", "broken"], str]:
    said = VERDICT.findall(ending.log)
    if name in JUDGES:
        seen = JUDGES[name](world, ending)
        return ("escaped", seen) if seen else ("held", f"nothing is left ({said[-1][1] if said else 'it was ended'})")
    if trap := _trap_in(world.run / "output"):
        return "escaped", trap
    if ending.limit and name in attempt_names("exhaust.py"):
        return "held", f"limit {ending.limit} after {ending.seconds:.1f} s"
    if said:
        return ("escaped" if said[-1][0] == "ESCAPED" else "held"), said[-1][1]
    if ending.limit:
        return "held", f"limit {ending.limit} after {ending.seconds:.1f} s"
    if ending.exit_code in (137, 159):
        return "held", "killed"
    return "broken", f"exit code {ending.exit_code}: {ending.log[-150:]!r}"


def _trap_in(output: Path) -> str:
    """Say what in the output could hurt whoever walks, opens or copies it."""
    if output.is_symlink():
        return "the output folder became a link"
    pending = [(output, 0)]
    while pending:
        folder, depth = pending.pop()
        if depth > 40 or len(str(folder)) > 3500:
            return "a tree without a bottom"
        if folder.stat().st_mode & 0o700 != 0o700:
            return f"{folder.name} cannot be read"
        for entry in list(os.scandir(folder)):
            facts = entry.stat(follow_symlinks=False)
            if stat.S_ISDIR(facts.st_mode):
                pending.append((folder / entry.name, depth + 1))
            elif not stat.S_ISREG(facts.st_mode) or facts.st_nlink > 1 or facts.st_mode & 0o7000:
                return f"{entry.name!a} is {stat.filemode(facts.st_mode)} with {facts.st_nlink} links"
            if facts.st_size > 1 << 35 or not entry.name.isprintable():
                return f"{entry.name!a} of {facts.st_size} bytes"
    return ""


def _beats_on(world: World, ending: Ending) -> str:
    beats = world.run / "output" / "beats"
    if not beats.is_file():
        return ""
    before = beats.stat().st_size
    time.sleep(0.4)
    return "it is still running" if beats.stat().st_size > before else ""


def _datagram_came(world: World, ending: Ending) -> str:
    time.sleep(0.05)
    with contextlib.suppress(BlockingIOError):
        return world.datagrams.recv(64).decode()
    return ""


def _exists(path: Callable[[World], Path]) -> Callable[[World, Ending], str]:
    return lambda world, _: f"{path(world)} is there" if path(world).exists() else ""


def _mode_changed(world: World, ending: Ending) -> str:
    mode = (world.home / ".ssh/id_ed25519").stat().st_mode & 0o777
    return "anybody can write it now" if mode == 0o666 else ""


def _time_changed(world: World, ending: Ending) -> str:
    return "it is from 1970 now" if (world.home / ".bashrc").stat().st_mtime == 1 else ""


def _shown_raw(world: World, ending: Ending) -> str:
    return "control characters reach the screen" if re.search("[\x1b\x07\x9b]", ending.shown) else ""


def _log_is_large(world: World, ending: Ending) -> str:
    return f"{len(ending.log)} characters" if len(ending.log) > 2 * LIMITS.log_bytes else ""


def _was_waited_for(world: World, ending: Ending) -> str:
    return f"the parent waited {ending.seconds:.1f} s" if ending.seconds > 4 else ""


JUDGES: dict[str, Callable[[World, Ending], str]] = {
    "life_after_the_end": _beats_on,
    "udp_datagram": _datagram_came,
    "file_for_the_machines_temporary_folder": _exists(lambda world: Path(world.targets["temporary_mark"])),
    "file_in_shared_memory": _exists(lambda world: Path("/dev/shm", world.tag)),
    "mode_of_a_file_in_the_home": _mode_changed,
    "time_of_a_file_in_the_home": _time_changed,
    "pickle_that_runs_code": _exists(lambda world: Path(world.targets["pickle_mark"])),
    "log_that_steers_a_terminal": _shown_raw,
    "endless_log": _log_is_large,
    "log_without_lines": _log_is_large,
    "output_pipe_held_open": _was_waited_for,
}


@contextlib.contextmanager
def _leaked_descriptor(world: World) -> Iterator[None]:
    """Hold a secret open as a careless library would: for children to inherit."""
    descriptor = os.open(world.home / ".kaggle/kaggle.json", os.O_RDONLY)
    os.set_inheritable(descriptor, True)
    try:
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _visitor(world: World) -> Iterator[None]:
    """Knock all the time at the port on which an attempt may listen."""
    done = threading.Event()

    def knock() -> None:
        while not done.wait(0.05):
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", world.targets["free_port"]), 0.2).close()

    thread = threading.Thread(target=knock, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _remove_shared_memory(world: World) -> None:
    libc = ctypes.CDLL(None)
    if (segment := libc.shmget(world.targets["memory_key"], 0, 0)) >= 0:
        libc.shmctl(segment, 0, None)


def main() -> int:
    """Print a verdict a line; end with 1 unless every attempt held."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--how", choices=list(get_args(How)), default="strong")
    parser.add_argument("--only", default="*", help="patterns of names, with commas")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    names = [name for pattern in options.only.split(",") for name in fnmatch.filter(attempt_names(), pattern)]
    with tempfile.TemporaryDirectory() as folder:
        if options.how == "gpu":
            _stand_in_for_devices(Path(folder))
        verdicts = run_suite(options.how, list(dict.fromkeys(names)))
    if options.json:
        print(json.dumps([verdict._asdict() for verdict in verdicts]))
    else:
        for verdict in verdicts:
            print(f"{verdict.outcome:8} {verdict.attempt:40} {verdict.seconds:5.1f} s  {verdict.why[:110]}")
        outcomes = [verdict.outcome for verdict in verdicts]
        print(f"{len(verdicts)} attempts:", {outcome: outcomes.count(outcome) for outcome in sorted(set(outcomes))})
    return int(any(verdict.outcome != "held" for verdict in verdicts))


if __name__ == "__main__":
    sys.exit(main())
