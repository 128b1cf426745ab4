"""Which GPU of NVIDIA a step can use, and which of its files must be seen; this file looks, and asks the driver.

Nothing heavy is loaded: the driver is asked by its own program, and only where there is a device file.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from autokaggle.records.sandbox import Isolation

DEVICES = Path("/dev")
DRIVER = Path("/proc/driver/nvidia")
# Beside the cards' own files; CUDA opens all three.
SHARED_DEVICES = ("nvidiactl", "nvidia-uvm", "nvidia-uvm-tools")
NEEDED_DEVICES = ("nvidiactl", "nvidia-uvm")
QUESTION = ("--query-gpu=name,memory.total", "--format=csv,noheader,nounits")
ANSWER_SECONDS = 10.0
LONGEST_ANSWER = 1 << 16
# Some cards share the machine's memory and tell none of their own: it is "[N/A]".
CARD = re.compile(r"(?P<name>.*\S), *(?:(?P<memory>\d{1,9})|\[.*\])\s*")
MEBIBYTE = 1 << 20
LONGEST_NAME, LONGEST_TROUBLE = 60, 200
# It says which cards a process may use; job schedulers set it.
CHOICE = "CUDA_VISIBLE_DEVICES"
NO_CARD = ("", "-1", "none")
# Those that know how to show a step the device files; of "none" nothing is hidden.
BACKENDS = ("bubblewrap", "landlock", "none")


@dataclass(frozen=True)
class GpuFinding:
    """``name`` is of the card that a step can use, with its memory; where it is "", ``trouble`` says why."""

    name: str = ""
    trouble: str = ""


def find_gpu(isolation: Isolation | None = None) -> GpuFinding:
    """Look for a GPU that a step behind these walls (any, when None) can use."""
    if trouble := _missing_device() or _wall(isolation):
        return GpuFinding(trouble=trouble)
    try:
        cards = list(_cards())
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        said = str(error).strip().partition("\n")[0]
        return GpuFinding(trouble=f"the driver does not answer: {_plain(said, LONGEST_TROUBLE)}")
    if not cards:
        return GpuFinding(trouble="the driver knows no card")
    return GpuFinding(cards[0] if len(cards) == 1 else f"{cards[0]}, the first of {len(cards)}")


def device_files() -> list[Path]:
    """List the device files of all cards and those that they share; none where there is no card."""
    cards = sorted(DEVICES.glob("nvidia[0-9]*"))
    shared = [DEVICES / name for name in SHARED_DEVICES]
    return [*cards, *(path for path in shared if path.exists())] if cards else []


def leaves_proc_writable() -> bool:
    """Say whether /proc may be left writable inside, as CUDA wants it: to name its threads it writes there.

    Another user than root can write nothing in there but what is its own. To root files of /proc are doors to the
    whole machine.
    """
    return os.geteuid() != 0


def _missing_device() -> str:
    if not device_files():
        return f"there is no {DEVICES / 'nvidia0'}"
    if os.environ.get(CHOICE, "0").strip().lower() in NO_CARD:
        return f"{CHOICE} says that none may be used"
    for name in NEEDED_DEVICES:
        if not (DEVICES / name).exists():
            return f"there is no {DEVICES / name}; as root, `nvidia-modprobe -u -c=0` makes it"
    closed = [path for path in device_files() if not os.access(path, os.R_OK | os.W_OK)]
    return f"you may not open {closed[0]}" if closed else ""


def _wall(isolation: Isolation | None) -> str:
    if isolation is None:
        return ""
    if isolation.backend not in BACKENDS:
        return f"{isolation.backend} shows no devices to generated code"
    if isolation.backend == "bubblewrap" and not leaves_proc_writable():
        return "generated code that runs as root is shown /proc read-only, and CUDA writes there: be an ordinary user"
    return ""


def _cards() -> Iterator[str]:
    """Yield name and memory of each card.

    Raises:
        OSError, ValueError, subprocess.SubprocessError: the driver does not answer, or not as it should.
    """
    program = shutil.which("nvidia-smi")
    if program is None:
        for path in sorted(DRIVER.glob("gpus/*/information")):
            facts = dict(line.split(":", 1) for line in path.read_text("utf-8").splitlines() if ":" in line)
            yield _plain(facts.get("Model", "NVIDIA"))
        return
    for row in _asked(program).splitlines():
        if card := CARD.fullmatch(row):
            size = f", {int(card['memory']) * MEBIBYTE / 1e9:.0f} GB" if card["memory"] else ""
            yield (_plain(card["name"]) or "NVIDIA") + size


def _asked(program: str) -> str:
    """Return what the driver's program says; it is ended when it says too much or takes too long.

    Where the driver hangs even a killed program stays: nobody waits for its end.
    """
    end, said = time.monotonic() + ANSWER_SECONDS, b""
    process = subprocess.Popen(
        [program, *QUESTION],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    assert process.stdout is not None
    try:
        while select.select([process.stdout], [], [], max(0.0, end - time.monotonic()))[0]:
            more = os.read(process.stdout.fileno(), LONGEST_ANSWER)
            said += more
            if len(said) > LONGEST_ANSWER:
                raise ValueError("nvidia-smi says more than it was asked")
            if not more:
                exit_code = process.wait(max(0.0, end - time.monotonic()))
                break
        else:
            raise TimeoutError(f"nvidia-smi did not end within {ANSWER_SECONDS:.0f} seconds")
    finally:
        process.stdout.close()
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(1.0)
    answer = said.decode("utf-8")
    if exit_code:
        raise OSError(answer.strip() or f"nvidia-smi ended with exit code {exit_code}")
    return answer


def _plain(text: str, longest: int = LONGEST_NAME) -> str:
    return "".join(character for character in text.strip() if character.isprintable())[:longest]
