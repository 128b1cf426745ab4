"""What isolates generated code on this machine and what feeds its environments; this file looks at each in turn.

Nothing is changed and nothing is raised: a finding says what was found and what to do about it.
"""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Literal

from autokaggle.errors import AutoKaggleError
from autokaggle.records.event import Finding
from autokaggle.records.sandbox import Isolation
from autokaggle.skills.sandbox import bubblewrap, cgroup, landlock, seccomp
from autokaggle.skills.sandbox.isolation import how_to_install, probe_isolation, self_test
from autokaggle.skills.sandbox.limits import machine_memory_bytes
from autokaggle.skills.sandbox.uv_program import index_trouble, uv_version

SOUND_BUBBLEWRAP = (0, 12, 0)
BUBBLEWRAP_WEAKNESS = "CVE-2026-87766: it follows links while it mounts"
INDEX_PROBE = "threadpoolctl"


def diagnose(*, offline: bool = False) -> Iterator[Finding]:
    """Look at isolation, limits and environments, one fact after another; ``offline`` asks no package index."""
    isolation = probe_isolation(allow_unsandboxed=True)
    checks: list[Callable[[], Finding]] = [partial(_level, isolation), partial(_self_test, isolation)]
    if sys.platform.startswith("linux"):
        checks += [_bubblewrap, _landlock, _seccomp, _control_group, _root]
    checks += [_uv, *([] if offline else [_index])]
    for check in checks:
        yield check()


def _level(isolation: Isolation) -> Finding:
    detail = f"level {isolation.level}" + (f" by {isolation.backend}" if isolation.level != "none" else "")
    if isolation.level == "strong":
        return Finding("isolation", "ok", detail)
    status: Literal["warn", "fail"] = "warn" if isolation.level == "partial" else "fail"
    return Finding("isolation", status, f"{detail}. {isolation.reason}".strip(), how_to_install())


def _self_test(isolation: Isolation) -> Finding:
    if isolation.level == "none":
        return Finding("self-test", "fail", "there are no walls to test", how_to_install())
    found = self_test(isolation)
    if found.trouble or found.reached:
        detail = found.trouble or f"these attempts got out: {', '.join(found.reached)}"
        return Finding("self-test", "fail", detail, "Do not run code that you have not read on this machine.")
    return Finding("self-test", "ok", f"all {len(found.attempted)} attempts to get out were stopped")


def _bubblewrap() -> Finding:
    program = bubblewrap.find_bubblewrap()
    if program is None:
        return Finding("bubblewrap", "warn", "not installed", how_to_install())
    done = subprocess.run([str(program), "--version"], capture_output=True, text=True, timeout=10, check=False)
    version = tuple(int(part) for part in re.findall(r"\d+", done.stdout)[:3])
    detail = f"{'.'.join(map(str, version)) or 'unknown version'} at {program}"
    if version < SOUND_BUBBLEWRAP:
        # A warning would come up on nearly every distribution, for a weakness that our mounts do not touch.
        detail += f" (known weakness {BUBBLEWRAP_WEAKNESS}; AutoKaggle mounts nothing where a job can write)"
    return Finding("bubblewrap", "ok", detail)


def _landlock() -> Finding:
    version = landlock.landlock_abi()
    if version >= landlock.LEAST_ABI:
        return Finding("Landlock", "ok", f"version {version}")
    detail = f"version {version}, {landlock.LEAST_ABI} is needed" if version else "the kernel does not offer it"
    return Finding("Landlock", "warn", detail, "It serves only where bubblewrap does not work: Linux 6.7 has it.")


def _seccomp() -> Finding:
    if not seccomp.is_supported():
        detail = f"no filter is known for {platform.machine()}"
        return Finding("seccomp", "fail", detail, "Use a machine with an x86_64 or aarch64 processor.")
    count = len(seccomp.assemble(has_namespaces=True)) // seccomp.INSTRUCTION_BYTES
    return Finding("seccomp", "ok", f"{len(seccomp.REFUSED_CALLS)} system calls refused, {count} instructions")


def _control_group() -> Finding:
    if cgroup.can_make_cgroup():
        return Finding("control group", "ok", "the kernel bounds memory and processes of each step")
    if cgroup.scope_holds():
        return Finding("control group", "ok", "the user's systemd bounds memory and processes of each step")
    memory = f"{machine_memory_bytes() / 1e9:.1f} GB"
    detail = f"none can be made: memory (of {memory}) and processes are sampled 20 times a second instead"
    return Finding("control group", "warn", detail, "A systemd user session gives exact limits; this works too.")


def _root() -> Finding:
    if os.geteuid() != 0:
        return Finding("user", "ok", "not root")
    pattern = Path("/proc/sys/kernel/core_pattern")
    detail = "running as root: a hole in the kernel would give away the whole machine"
    if os.access(pattern, os.W_OK):
        detail += "; /proc is shown read-only to generated code for that reason"
    return Finding("user", "warn", detail, "Run AutoKaggle as an ordinary user where you can.")


def _uv() -> Finding:
    try:
        return Finding("uv", "ok", uv_version())
    except AutoKaggleError as error:
        return Finding("uv", "fail", error.message, error.next_step)


def _index() -> Finding:
    trouble = index_trouble(INDEX_PROBE)
    if trouble:
        step = "Check the network, UV_DEFAULT_INDEX and SSL_CERT_FILE; with --offline only known environments work."
        return Finding("package index", "warn", trouble, step)
    return Finding("package index", "ok", "it answers")
