"""Attempts on other processes and on the kernel's seldom used doors."""

from __future__ import annotations

import ctypes
import fcntl
import os
import resource
import time
from pathlib import Path
from typing import Any

from tests.escapes.attempts.arena import LIBC, attempt, reaches_the_kernel, system_call

SEIZE = 0x4206
GET_NO_NEW_PRIVILEGES = 39
PUSH_KEYSTROKE = 0x5412


@attempt
def life_after_the_end(targets: dict[str, Any]) -> object:
    if os.fork() == 0:
        os.setsid()
        if os.fork():
            os._exit(0)
        nowhere = os.open("/dev/null", os.O_RDWR)
        for descriptor in range(3):
            os.dup2(nowhere, descriptor)
        for _ in range(60):
            with Path(os.environ["AUTOKAGGLE_OUTPUT"], "beats").open("a") as stream:
                stream.write("x")
            time.sleep(0.05)
        os._exit(0)
    time.sleep(0.3)
    return None


@attempt
def signal_to_another_process(targets: dict[str, Any]) -> object:
    os.kill(targets["prey"], 0)
    return "the signal was taken"


@attempt
def signal_to_the_program(targets: dict[str, Any]) -> object:
    os.kill(targets["program"], 0)
    return "the signal was taken"


@attempt
def sight_of_other_processes(targets: dict[str, Any]) -> object:
    return [path.name for path in Path("/proc").iterdir() if path.name == str(targets["prey"])]


@attempt
def tracing_another_process(targets: dict[str, Any]) -> object:
    return LIBC.ptrace(SEIZE, targets["prey"], None, None) == 0


@attempt
def tracing_at_all(targets: dict[str, Any]) -> object:
    return LIBC.ptrace(0, 0, None, None) == 0


@attempt
def memory_of_another_by_system_call(targets: dict[str, Any]) -> object:
    return reaches_the_kernel(310, targets["prey"], 0, 0, 0, 0, 0)


@attempt
def descriptors_of_another_process(targets: dict[str, Any]) -> object:
    handle = os.pidfd_open(targets["prey"])
    return system_call(438, handle, 0, 0) >= 0


@attempt
def limits_of_another_process(targets: dict[str, Any]) -> object:
    return resource.prlimit(targets["prey"], resource.RLIMIT_CORE, (0, 0))


@attempt
def priority_of_another_process(targets: dict[str, Any]) -> object:
    os.setpriority(os.PRIO_PROCESS, targets["prey"], 5)
    return "the priority was set"


@attempt
def processor_of_another_process(targets: dict[str, Any]) -> object:
    os.sched_setaffinity(targets["prey"], os.sched_getaffinity(0))
    return "the processors were set"


@attempt
def higher_priority(targets: dict[str, Any]) -> object:
    return os.nice(-5)


@attempt
def real_time_scheduling(targets: dict[str, Any]) -> object:
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    return "real time"


@attempt
def keystrokes_for_a_terminal(targets: dict[str, Any]) -> object:
    _, terminal = os.openpty()
    fcntl.ioctl(terminal, PUSH_KEYSTROKE, b" ")
    return "pushed"


@attempt
def controlling_terminal(targets: dict[str, Any]) -> object:
    return os.open("/dev/tty", os.O_RDWR)


@attempt
def programs_with_more_rights(targets: dict[str, Any]) -> object:
    return "setuid programs work" if LIBC.prctl(GET_NO_NEW_PRIVILEGES, 0, 0, 0, 0) == 0 else None


@attempt
def capabilities(targets: dict[str, Any]) -> object:
    lines = Path("/proc/self/status").read_text().splitlines()
    return [line for line in lines if line.startswith("CapEff") and int(line.split()[1], 16)]


@attempt
def program_in_the_kernel(targets: dict[str, Any]) -> object:
    return reaches_the_kernel(321, 9999, 0, 0)


@attempt
def performance_counters(targets: dict[str, Any]) -> object:
    return reaches_the_kernel(298, 0, 0, -1, -1, 0)


@attempt
def page_faults_in_user_space(targets: dict[str, Any]) -> object:
    return reaches_the_kernel(323, 0xFFFF)


@attempt
def list_of_mounts(targets: dict[str, Any]) -> object:
    return reaches_the_kernel(458, 0, 0, 0, 0)


@attempt
def facts_of_a_mount(targets: dict[str, Any]) -> object:
    return reaches_the_kernel(457, 0, 0, 0, 0)


@attempt
def pages_of_another_process(targets: dict[str, Any]) -> object:
    return reaches_the_kernel(279, targets["prey"], 0, 0, 0, 0, 0xFFFF)


@attempt
def key_ring(targets: dict[str, Any]) -> object:
    return reaches_the_kernel(250, 9999, 0, 0, 0, 0)


@attempt
def kernel_module(targets: dict[str, Any]) -> object:
    return reaches_the_kernel(313, -1, 0, 0)


@attempt
def another_kernel(targets: dict[str, Any]) -> object:
    return reaches_the_kernel(246, 0, 0, 0, 0xFFFF)


@attempt
def restart_of_the_machine(targets: dict[str, Any]) -> object:
    return reaches_the_kernel(169, 0, 0, 0)  # without the magic numbers it does nothing


@attempt
def name_of_the_machine(targets: dict[str, Any]) -> object:
    name = os.uname().nodename.encode()
    return LIBC.sethostname(name, len(name)) == 0


@attempt
def clock_of_the_machine(targets: dict[str, Any]) -> object:
    moment = ctypes.create_string_buffer(16)
    return reaches_the_kernel(227, 9999, ctypes.addressof(moment))


@attempt
def memory_that_outlives_its_process(targets: dict[str, Any]) -> object:
    return LIBC.shmget(targets["memory_key"], 4096, 0o1600) >= 0
