"""Attempts to take more than was given. Each is small enough for a machine without any sandbox."""

from __future__ import annotations

import mmap
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

from tests.escapes.attempts.arena import attempt

MEBIBYTE = 1 << 20
SLEEP_SECONDS = 7
OUTPUT = Path(os.environ["AUTOKAGGLE_OUTPUT"])


def hold(mebibytes: int, seconds: float) -> int:
    block = b"\1" * (mebibytes * MEBIBYTE)
    time.sleep(seconds)
    return len(block)


@attempt
def memory_of_one_process(targets: dict[str, Any]) -> object:
    return hold(180, 1)


@attempt
def memory_of_many_processes(targets: dict[str, Any]) -> object:
    children = []
    for _ in range(5):
        child = os.fork()
        if child == 0:
            hold(36, 1.5)
            os._exit(0)
        children.append(child)
    return all(os.waitpid(child, 0)[1] == 0 for child in children)


@attempt
def memory_in_a_file_without_a_name(targets: dict[str, Any]) -> object:
    for _ in range(9):
        descriptor = os.memfd_create("hidden")
        os.write(descriptor, bytes(20 * MEBIBYTE))
    time.sleep(1)
    return "180 MB"


@attempt
def memory_in_temporary_folders(targets: dict[str, Any]) -> object:
    paths = [Path(folder, f"{targets['tag']}-{number}") for folder in ("/dev/shm", "/tmp") for number in range(5)]
    try:
        for path in paths:
            path.write_bytes(bytes(20 * MEBIBYTE))
        time.sleep(0.5)
        return "200 MB"
    finally:
        for path in paths:
            path.unlink(missing_ok=True)


@attempt
def fork_bomb(targets: dict[str, Any]) -> object:
    children = []
    for _ in range(150):
        child = os.fork()
        if child == 0:
            time.sleep(1.5)
            os._exit(0)
        children.append(child)
    for child in children:
        os.waitpid(child, 0)
    return len(children)


@attempt
def thread_bomb(targets: dict[str, Any]) -> object:
    threads = [threading.Thread(target=time.sleep, args=(1.5,)) for _ in range(150)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(threads)


def spin(seconds: float) -> None:
    while time.process_time() < seconds:
        pass


@attempt
def processor_of_one_process(targets: dict[str, Any]) -> object:
    spin(1.5)
    return "1.5 s"


@attempt
def processor_of_many_processes(targets: dict[str, Any]) -> object:
    children = []
    for _ in range(4):
        child = os.fork()
        if child == 0:
            spin(0.4)
            os._exit(0)
        children.append(child)
    for child in children:
        os.waitpid(child, 0)
    return "4 x 0.4 s"


@attempt
def sleep_past_the_end(targets: dict[str, Any]) -> object:
    time.sleep(SLEEP_SECONDS)
    return f"{SLEEP_SECONDS} s"


@attempt
def deafness_to_signals(targets: dict[str, Any]) -> object:
    for number in set(signal.valid_signals()) - {signal.SIGKILL, signal.SIGSTOP}:
        try:
            signal.signal(number, signal.SIG_IGN)
        except OSError:
            continue
    time.sleep(SLEEP_SECONDS)
    return f"{SLEEP_SECONDS} s"


@attempt
def standing_still(targets: dict[str, Any]) -> object:
    this, began = os.getpid(), time.monotonic()
    if os.fork() == 0:
        os.setsid()
        time.sleep(SLEEP_SECONDS)
        os.kill(this, signal.SIGCONT)
        os._exit(0)
    os.kill(this, signal.SIGSTOP)
    return time.monotonic() - began >= SLEEP_SECONDS  # the first process of a namespace cannot be stopped


@attempt
def one_large_file(targets: dict[str, Any]) -> object:
    with (OUTPUT / "large").open("wb") as stream:
        for _ in range(60):
            stream.write(bytes(MEBIBYTE))
    return "60 MB"


@attempt
def many_files_together(targets: dict[str, Any]) -> object:
    for number in range(6):
        (OUTPUT / f"part{number}").write_bytes(os.urandom(MEBIBYTE) * 10)
    time.sleep(1)
    return "60 MB"


@attempt
def filling_the_work_folder(targets: dict[str, Any]) -> object:
    for number in range(6):
        Path(f"part{number}").write_bytes(os.urandom(MEBIBYTE) * 10)
    time.sleep(1)
    return "60 MB"


@attempt
def data_in_a_removed_file(targets: dict[str, Any]) -> object:
    streams = []
    for number in range(6):
        stream = Path(f"part{number}").open("wb")  # noqa: SIM115 - it is held on purpose
        stream.write(os.urandom(MEBIBYTE) * 10)
        stream.flush()
        Path(f"part{number}").unlink()
        streams.append(stream)
    time.sleep(1)
    return "60 MB"


@attempt
def data_in_a_mapped_file(targets: dict[str, Any]) -> object:
    maps = []
    for number in range(6):
        with Path(f"part{number}").open("w+b") as stream:
            stream.truncate(10 * MEBIBYTE)
            maps.append(mmap.mmap(stream.fileno(), 10 * MEBIBYTE))
        Path(f"part{number}").unlink()
        maps[-1].write(os.urandom(MEBIBYTE) * 10)
    time.sleep(1)
    return "60 MB"


@attempt
def thousands_of_files(targets: dict[str, Any]) -> object:
    for number in range(1500):
        (OUTPUT / f"file{number}").touch()
    time.sleep(0.8)
    return "1500 files"


@attempt
def endless_log(targets: dict[str, Any]) -> object:
    for _ in range(300):
        os.write(1, b"line of no interest\n" * 512)
    return "3 MB"


@attempt
def log_without_lines(targets: dict[str, Any]) -> object:
    for _ in range(30):
        os.write(2, bytes(100_000))
    return "3 MB"


@attempt
def output_pipe_held_open(targets: dict[str, Any]) -> object:
    if os.fork() == 0:
        os.setsid()
        time.sleep(SLEEP_SECONDS)
        os._exit(0)
    return None
