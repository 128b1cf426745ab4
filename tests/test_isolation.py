"""Isolation: the level is what a probe shows; the filter, the rules and the profile say what they should."""

from __future__ import annotations

import errno
import os
import platform
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from autokaggle.errors import ActionNeeded
from autokaggle.skills.sandbox import bubblewrap, landlock, seatbelt, seccomp
from autokaggle.skills.sandbox.backends import backends
from autokaggle.skills.sandbox.diagnose import diagnose
from autokaggle.skills.sandbox.interpreter import find_interpreter
from autokaggle.skills.sandbox.isolation import how_to_install, probe_isolation, self_test
from autokaggle.skills.sandbox.job import INSIDE, Layout
from tests.sandbox_jobs import PARTIAL, SMALL, STRONG, UNSANDBOXED, need

ALLOW, KILL = 0x7FFF0000, 0x80000000
MACHINES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}


# ---------------------------------------------------------------- the level


def test_the_best_level_that_holds_is_found() -> None:
    need(STRONG)
    found = probe_isolation()
    assert (found.level, found.backend, found.reason) == ("strong", "bubblewrap", "")


def test_without_bubblewrap_the_level_is_partial_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    need(PARTIAL)
    monkeypatch.setattr(bubblewrap, "find_bubblewrap", lambda: None)
    found = probe_isolation()
    assert (found.level, found.backend) == ("partial", "landlock")
    assert "bwrap is not installed" in found.reason


def test_without_any_walls_a_run_is_refused_unless_it_was_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bubblewrap, "find_bubblewrap", lambda: None)
    monkeypatch.setattr(landlock, "landlock_abi", lambda: 3)
    with pytest.raises(ActionNeeded, match="offers version 3, 4 is needed") as caught:
        probe_isolation()
    assert "--allow-unsandboxed" in caught.value.next_step
    found = probe_isolation(allow_unsandboxed=True)
    assert (found.level, found.backend) == ("none", "none")
    assert "bubblewrap: " in found.reason
    assert "landlock: " in found.reason


def test_allowing_no_walls_does_not_take_them_away() -> None:
    need(STRONG)
    assert probe_isolation(allow_unsandboxed=True).level == "strong"


@pytest.mark.parametrize(
    ("namespaces", "reached"),
    [
        (tuple(part for part in bubblewrap.NAMESPACES if part != "--unshare-net"), "the host's network"),
        ((*bubblewrap.NAMESPACES, "--bind", "/var/tmp", "/var/tmp"), "a file beside the job"),
        (tuple(part for part in bubblewrap.NAMESPACES if part != "--unshare-pid"), "a signal to the host's processes"),
    ],
)
def test_walls_with_a_hole_are_not_taken_for_strong(
    monkeypatch: pytest.MonkeyPatch, namespaces: tuple[str, ...], reached: str
) -> None:
    need(STRONG)
    monkeypatch.setattr(tempfile, "tempdir", "/var/tmp")
    monkeypatch.setattr(bubblewrap, "NAMESPACES", namespaces)
    found = probe_isolation(allow_unsandboxed=True)
    assert found.level != "strong"
    assert reached in found.reason


def test_a_bubblewrap_that_cannot_work_here_is_passed_over(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / "bwrap"
    broken.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr(bubblewrap, "find_bubblewrap", lambda: broken)
    found = probe_isolation(allow_unsandboxed=True)
    assert found.level != "strong"
    assert "No permissions to create new namespace" in found.reason


def test_the_self_test_gets_out_where_nothing_holds_it() -> None:
    free = self_test(UNSANDBOXED)
    assert len(free.attempted) == 5
    assert free.reached == free.attempted
    need(STRONG)
    assert self_test(STRONG).reached == ()


@pytest.mark.parametrize(
    ("release", "command"),
    [
        ('ID=debian\nVERSION_ID="12"', "apt-get install bubblewrap"),
        ('ID=linuxmint\nID_LIKE="ubuntu debian"', "apt-get install bubblewrap"),
        ("ID=fedora", "dnf install bubblewrap"),
        ("ID=arch", "pacman -S bubblewrap"),
        ("ID=unheard-of", "from your system's packages"),
    ],
)
def test_the_way_to_bubblewrap_fits_the_system(monkeypatch: pytest.MonkeyPatch, release: str, command: str) -> None:
    monkeypatch.setattr(Path, "read_text", lambda *_: release)
    assert command in how_to_install()


def test_the_systems_bubblewrap_comes_before_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "bwrap"
    other.write_text("#!/bin/sh\n")
    other.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    system = shutil.which("bwrap", path=bubblewrap.SYSTEM_SEARCH_PATH)
    assert bubblewrap.find_bubblewrap() == Path(system or other)


def test_the_diagnosis_covers_every_part() -> None:
    facts = {fact.name: fact for fact in diagnose(offline=True)}
    assert {"isolation", "self-test", "uv"} <= set(facts)
    if sys.platform.startswith("linux"):
        assert {"bubblewrap", "Landlock", "seccomp", "control group", "user"} <= set(facts)
        assert (facts["user"].status == "warn") == (os.geteuid() == 0)
    assert all(fact.next_step for fact in facts.values() if fact.status != "ok")
    if probe_isolation(allow_unsandboxed=True).level == "strong":
        assert facts["self-test"].detail == "all 5 attempts to get out were stopped"


def test_the_diagnosis_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bubblewrap, "find_bubblewrap", lambda: None)
    monkeypatch.setattr(landlock, "landlock_abi", lambda: 0)
    facts = {fact.name: fact for fact in diagnose(offline=True)}
    assert facts["isolation"].status == "fail"
    assert facts["bubblewrap"].detail == "not installed"
    assert "does not offer it" in facts["Landlock"].detail


# ---------------------------------------------------------------- the system call filter


def decide(program: bytes, machine: str, number: int, *arguments: int) -> int:
    """Run a filter as the kernel does and return its verdict."""
    data = struct.pack("=IIQ6Q", number, MACHINES[machine], 0, *(*arguments, *[0] * (6 - len(arguments))))
    instructions = list(struct.iter_unpack("=HBBI", program))
    at = accumulator = 0
    while True:
        code, if_true, if_false, value = instructions[at]
        at += 1
        if code == 0x06:
            return int(value)
        if code == 0x20:
            accumulator = struct.unpack_from("=I", data, value)[0]
            continue
        holds = {0x15: accumulator == value, 0x35: accumulator >= value, 0x45: bool(accumulator & value)}[code]
        at += if_true if holds else if_false


def refused(number: int) -> int:
    return 0x00050000 | number


@pytest.mark.parametrize("has_namespaces", [True, False])
@pytest.mark.parametrize("machine", MACHINES)
def test_refused_calls_are_refused_and_others_pass(machine: str, has_namespaces: bool) -> None:
    program = seccomp.assemble(has_namespaces=has_namespaces, machine=machine)
    column = list(MACHINES).index(machine)
    for name, numbers in seccomp.REFUSED_CALLS.items():
        if (number := numbers[column]) is not None:
            assert decide(program, machine, number) == refused(errno.EPERM), name
    assert decide(program, machine, seccomp.CLONE3[column]) == refused(errno.ENOSYS)
    for call in ("read", "openat", "mmap", "futex", "execve", "getrandom", "epoll_ctl"):
        number = {
            "read": (0, 63),
            "openat": (257, 56),
            "mmap": (9, 222),
            "futex": (202, 98),
            "execve": (59, 221),
            "getrandom": (318, 278),
            "epoll_ctl": (233, 21),
        }[call][column]
        assert decide(program, machine, number) == ALLOW, call


@pytest.mark.parametrize("machine", MACHINES)
def test_calls_of_newer_kernels_are_known(machine: str) -> None:
    bare = seccomp.assemble(has_namespaces=False, machine=machine)
    # Since Linux 5.1 a call has the same number on every processor.
    for number in (457, 458, 470):  # statmount, listmount, listns
        assert decide(bare, machine, number) == refused(errno.EPERM)
    for number in (463, 466, 469):  # setxattrat, removexattrat, file_setattr
        assert decide(bare, machine, number) == refused(0)


@pytest.mark.parametrize("machine", MACHINES)
def test_arguments_decide_where_a_call_has_two_faces(machine: str) -> None:
    column = list(MACHINES).index(machine)
    walled = seccomp.assemble(has_namespaces=True, machine=machine)
    bare = seccomp.assemble(has_namespaces=False, machine=machine)
    clone, ioctl, call = seccomp.CLONE[column], seccomp.IOCTL[column], seccomp.SOCKET[column]
    assert decide(walled, machine, clone, 0x11) == ALLOW
    assert decide(walled, machine, clone, 0x3D0F00) == ALLOW  # how the C library makes a thread
    assert decide(walled, machine, clone, 0x10000011) == refused(errno.EPERM)
    assert decide(walled, machine, ioctl, 1, 0x5401) == ALLOW
    assert decide(walled, machine, ioctl, 1, 0x5412) == refused(errno.EPERM)
    # The kernel looks at the low half alone, and so must the filter.
    assert decide(walled, machine, ioctl, 1, 0x5412 | 1 << 40) == refused(errno.EPERM)
    assert decide(walled, machine, call, socket.AF_UNIX) == ALLOW
    assert decide(bare, machine, call, socket.AF_UNIX) == refused(errno.EACCES)
    for other in (0, socket.AF_INET, socket.AF_INET6, 16, 17, 38, 40, 44):
        assert decide(walled, machine, call, other) == refused(errno.EAFNOSUPPORT)
    fchmod = seccomp.METADATA["fchmod"][column]
    assert fchmod is not None
    assert decide(walled, machine, fchmod, 3, 0o755) == ALLOW
    assert decide(walled, machine, fchmod, 3, 0o4755) == refused(errno.EPERM)
    assert decide(bare, machine, fchmod, 3, 0o755) == refused(0)
    prlimit = seccomp.OTHER_PROCESS["prlimit64"][0][column]
    assert decide(walled, machine, prlimit, 0) == ALLOW
    assert decide(walled, machine, prlimit, 77) == refused(errno.EPERM)


def test_other_ways_to_number_calls_are_closed() -> None:
    program = seccomp.assemble(has_namespaces=True, machine="x86_64")
    assert decide(program, "aarch64", 0) == KILL
    assert decide(program, "x86_64", 0x40000000 | 101) == refused(errno.ENOSYS)
    assert not seccomp.is_supported("riscv64")
    assert seccomp.is_supported() == (platform.machine() in ("x86_64", "aarch64", "arm64"))


def test_the_numbers_are_those_of_this_machines_headers() -> None:
    header = Path(f"/usr/include/{platform.machine()}-linux-gnu/asm/unistd_64.h")
    if not header.is_file() or platform.machine() != "x86_64":
        pytest.skip("the kernel's headers are not installed")
    known = {
        parts[1].removeprefix("__NR_"): int(parts[2])
        for parts in map(str.split, header.read_text().splitlines())
        if len(parts) == 3 and parts[1].startswith("__NR_") and parts[2].isdigit()
    }
    named = {name: numbers[0] for name, numbers in {**seccomp.REFUSED_CALLS, **seccomp.METADATA}.items()}
    named |= {name: numbers[0] for name, (numbers, _) in seccomp.OTHER_PROCESS.items()}
    assert {name: number for name, number in named.items() if name in known and known[name] != number} == {}
    assert len(set(named) & set(known)) > 60


# ---------------------------------------------------------------- command line, rules, profile


def test_the_command_line_is_an_allow_list(tmp_path: Path) -> None:
    layout = Layout(code=tmp_path / "c", output=tmp_path / "o", work=tmp_path / "w", driver=tmp_path / "d")
    line = bubblewrap.wrap(
        Path("/usr/bin/bwrap"),
        ["/env/bin/python"],
        layout=layout,
        seen=INSIDE,
        interpreter=find_interpreter(Path(sys.prefix), None),
        variables={"A": "1"},
        limits=SMALL,
        filter_place="F",
        status_place="S",
    )
    text = " ".join(line)
    assert f"--bind {tmp_path}/o /out" in text
    assert f"--ro-bind {tmp_path}/c /code" in text
    assert "/in" not in line
    assert text.index("--remount-ro /proc ") < text.index("--chdir /work --remount-ro / --seccomp F")
    writable = [line[position + 2] for position, part in enumerate(line) if part == "--bind"]
    assert writable == ["/work", "/out"]
    # Hardly above what the samples end the step at: on a busy machine a fork bomb is done before the next one.
    assert SMALL.processes == 64
    assert not shutil.which("prlimit") or "--nproc=81" in line
    shown = [line[position + 1] for position, part in enumerate(line) if part.startswith("--ro-bind")]
    assert not [
        path for path in shown if Path(path) in (Path("/"), Path("/home"), Path("/etc"), Path("~").expanduser())
    ]


def test_landlock_confines_a_process_for_good(tmp_path: Path) -> None:
    if landlock.landlock_abi() < landlock.LEAST_ABI:
        pytest.skip("the kernel offers no Landlock of that version")
    for name in ("open", "closed"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    program = f"""
import os, sys
from pathlib import Path
from autokaggle.skills.sandbox import landlock
landlock.restrict({{"read": ["/usr", "/nowhere"], "write": [{str(tmp_path / "open")!r}], "device": ["/dev/null"]}})
print(Path({str(tmp_path / "open/file")!r}).read_text())
Path({str(tmp_path / "open/new")!r}).write_text("x")
for action in (
    lambda: Path({str(tmp_path / "closed/file")!r}).read_text(),
    lambda: Path({str(tmp_path / "closed/new")!r}).write_text("x"),
    lambda: os.symlink("a", {str(tmp_path / "open/link")!r}),
    lambda: os.kill({os.getpid()}, 0),
):
    try:
        action()
        print("done")
    except OSError as error:
        print(type(error).__name__)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.split() == ["open", *["PermissionError"] * 4], done.stderr


def test_the_profile_for_macos_denies_by_default_and_quotes_no_path(tmp_path: Path) -> None:
    odd = tmp_path / 'a"b) (allow default'
    layout = Layout(code=odd / "c", output=odd / "o", work=odd / "w", driver=odd / "d", input=odd / "i")
    line = seatbelt.wrap(["python", "x"], layout=layout, interpreter=find_interpreter(Path(sys.prefix), None))
    profile = line[line.index("-p") + 1]
    assert profile.startswith("(version 1)\n(deny default)")
    assert "(deny network*)" in profile
    assert str(odd) not in profile
    assert profile.count("(") == profile.count(")")
    written = profile.split("(allow file-write* ")[1].split("\n")[0]
    values = dict(part.split("=", 1) for part in line if "=" in part and not part.startswith("("))
    assert {values[name] for name in values if f'"{name}"' in written} == {str(odd / "o"), str(odd / "w")}
    assert line[-2:] == ["python", "x"]


def test_on_macos_the_only_backend_is_sandbox_exec(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    (only,) = backends()
    assert (only.name, only.level) == ("sandbox-exec", "partial")
    assert "sandbox-exec" in how_to_install()


def test_links_to_a_python_are_shown_hop_by_hop(tmp_path: Path) -> None:
    base = tmp_path / "pythons" / "cpython-3.11.9"
    (base / "bin").mkdir(parents=True)
    (base / "bin" / "python3.11").write_text("#!/bin/sh\n")
    (base / "bin" / "python3.11").chmod(0o755)
    (tmp_path / "pythons" / "cpython-3.11").symlink_to("cpython-3.11.9")
    venv = tmp_path / "venv"
    (venv / "bin").mkdir(parents=True)
    (venv / "pyvenv.cfg").write_text("home = x\n")
    (venv / "bin" / "python").symlink_to("python3")
    (venv / "bin" / "python3").symlink_to(tmp_path / "pythons" / "cpython-3.11" / "bin" / "python3.11")
    found = find_interpreter(venv, None)
    assert found.environment == venv
    assert found.homes == (tmp_path / "pythons" / "cpython-3.11", base)
    assert find_interpreter(None, venv / "bin" / "python").environment == venv
