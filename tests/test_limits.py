"""Limits: each one ends the whole tree at once, is named in the record, and has a sane default."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from autokaggle.config import Settings
from autokaggle.records.sandbox import Isolation
from autokaggle.skills.sandbox import cgroup, group_account
from autokaggle.skills.sandbox.limits import (
    MEBIBYTE,
    MEMORY_VARIABLE,
    available_cores,
    default_limits,
    machine_memory_bytes,
    steps_at_once,
)
from autokaggle.skills.sandbox.process_tree import descendants, sample
from tests.sandbox_jobs import EVERY_LEVEL, PARTIAL, STRONG, make_job, need, run

# A machine that is busy elsewhere may be late once.
TRIES = 5

BREACHES: dict[str, tuple[str, dict[str, Any]]] = {
    "wall": ("import time\ntime.sleep(120)", {"wall_seconds": 0.7}),
    "cpu": ("import os\nos.fork()\nwhile True: pass", {"cpu_seconds": 0.8}),
    "memory": ("block = b'x' * (200 << 20)\nimport time\ntime.sleep(120)", {"memory_bytes": 150 * MEBIBYTE}),
    "processes": (
        "import os, time\nfor _ in range(60):\n    if os.fork() == 0: break\ntime.sleep(120)",
        {"processes": 30},
    ),
    "disk": (
        """
        import os, time
        for number in range(8):
            with open(os.environ["AUTOKAGGLE_OUTPUT"] + f"/{number}", "wb") as stream:
                stream.write(b"x" * (1 << 20))
        time.sleep(120)
        """,
        {"disk_bytes": 4 * MEBIBYTE},
    ),
    "inodes": (
        "import time\nfor number in range(500): open(str(number), 'w').close()\ntime.sleep(120)",
        {"inodes": 200},
    ),
    "log": ("while True: print('x' * 1000)", {"log_bytes": 200_000}),
}


@EVERY_LEVEL
@pytest.mark.parametrize("limit", BREACHES)
def test_a_limit_ends_the_step_and_is_named(tmp_path: Path, isolation: Isolation, limit: str) -> None:
    text, bounds = BREACHES[limit]
    others = psutil.Process().children(recursive=True)
    result, log = run(make_job(tmp_path, text, bounds=bounds), isolation)
    # Had it come late, the limit on wall time would have been the first.
    assert (result.limit, result.exit_code) == (limit, None)
    assert log.endswith(f"[stopped: limit {limit}]\n")
    assert set(psutil.Process().children(recursive=True)) <= set(others)


@pytest.mark.parametrize(
    "text",
    [
        "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(120)",
        "import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)",
        "import os, time\nif os.fork() == 0: os.setsid(); os.fork()\ntime.sleep(120)",
        "while True: pass",
    ],
    ids=["ignores signals", "stops itself", "changes its session", "spins"],
)
@EVERY_LEVEL
def test_the_wall_limit_is_kept_to_half_a_second(tmp_path: Path, isolation: Isolation, text: str) -> None:
    for _ in range(TRIES):
        result, _ = run(make_job(tmp_path, text, bounds={"wall_seconds": 0.8}), isolation)
        assert result.limit == "wall"
        assert result.seconds >= 0.8
        if result.seconds <= 1.3:
            return
    pytest.fail(f"the last of {TRIES} jobs had {result.seconds:.1f} s")


def test_memory_of_several_processes_counts_together(tmp_path: Path) -> None:
    text = """
    import os, time
    for _ in range(4):
        if os.fork() == 0:
            block = b"x" * (60 << 20)
            time.sleep(120)
    time.sleep(120)
    """
    result, _ = run(make_job(tmp_path, text, bounds={"memory_bytes": 150 * MEBIBYTE}), STRONG)
    assert result.limit == "memory"


def test_memory_shared_by_forks_counts_once(tmp_path: Path) -> None:
    text = """
    import mmap, os, time
    block = mmap.mmap(-1, 80 << 20)
    block.write(b"x" * (80 << 20))
    children = []
    for _ in range(4):
        if (child := os.fork()) == 0:
            sum(block[::4096])
            time.sleep(0.5)
            os._exit(0)
        children.append(child)
    for child in children:
        os.waitpid(child, 0)
    """
    result, _ = run(make_job(tmp_path, text, bounds={"memory_bytes": 280 * MEBIBYTE}), STRONG)
    assert (result.limit, result.exit_code) == (None, 0)


@pytest.mark.parametrize(
    "text",
    [
        "import os, time\nf = os.memfd_create('x')\nfor _ in range(200): os.write(f, b'x' * (1 << 20))\ntime.sleep(99)",
        "import time\nfor n in '/dev/shm', '/tmp': open(n + '/x', 'wb').write(b'x' * (60 << 20))\ntime.sleep(120)",
    ],
    ids=["file without a name", "temporary folders"],
)
def test_files_in_memory_count_as_memory(tmp_path: Path, text: str) -> None:
    result, _ = run(
        make_job(tmp_path, text, bounds={"memory_bytes": 100 * MEBIBYTE, "file_bytes": 1024 * MEBIBYTE}), STRONG
    )
    assert result.limit == "memory"


def test_temporary_folders_are_bounded(tmp_path: Path) -> None:
    text = "open('/tmp/x', 'wb').write(b'x' * (20 << 20))"
    result, log = run(make_job(tmp_path, text, bounds={"temporary_bytes": 8 * MEBIBYTE}), STRONG)
    assert result.exit_code == 1
    assert "No space left on device" in log


@EVERY_LEVEL
def test_no_file_grows_beyond_its_limit(tmp_path: Path, isolation: Isolation) -> None:
    text = "import os\nos.truncate(os.open('sparse', os.O_CREAT | os.O_RDWR), 1 << 40)"
    result, log = run(make_job(tmp_path, text), isolation)
    assert result.exit_code == 1
    assert "File too large" in log


@EVERY_LEVEL
def test_the_log_is_capped(tmp_path: Path, isolation: Isolation) -> None:
    text = "import os\nfor _ in range(40): os.write(2, b'x' * (1 << 20))"
    result, log = run(make_job(tmp_path, text, bounds={"log_bytes": 300_000}), isolation)
    assert result.limit == "log"
    assert 300_000 <= len(log) < 301_000


def test_a_grandchild_that_keeps_the_output_open_delays_nothing(tmp_path: Path) -> None:
    text = "import os, time\nif os.fork() == 0:\n    os.setsid()\n    time.sleep(120)\nprint('done')"
    for isolation in (STRONG, PARTIAL):
        result, log = run(make_job(tmp_path, text), isolation)
        assert (result.exit_code, result.limit, log) == (0, None, "done\n")
        assert result.seconds < 30


def test_a_breach_right_before_the_end_is_seen(tmp_path: Path) -> None:
    text = "import os\nopen('/out/x', 'wb').write(b'x' * (6 << 20))\nos._exit(0)"
    result, _ = run(make_job(tmp_path, text, bounds={"disk_bytes": 4 * MEBIBYTE}), STRONG)
    assert result.limit == "disk"


def test_defaults_come_from_the_machine(tmp_path: Path) -> None:
    limits = default_limits(folder=tmp_path)
    assert limits.threads == available_cores() >= 1
    assert MEBIBYTE < limits.memory_bytes < machine_memory_bytes()
    assert limits.file_bytes <= limits.disk_bytes <= 20 * 1024 * MEBIBYTE
    given = default_limits(wall_seconds=5, memory_bytes=7, cpu_seconds=2, threads=1, disk_bytes=9, folder=tmp_path)
    assert (given.wall_seconds, given.memory_bytes, given.cpu_seconds, given.threads, given.disk_bytes) == (
        5,
        7,
        2,
        1,
        9,
    )


def test_settings_come_before_the_machine_and_arguments_before_settings(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, runs_dir=tmp_path, memory_bytes=70, disk_bytes=60, processes=50)
    set_ = default_limits(settings=settings, folder=tmp_path)
    assert (set_.memory_bytes, set_.disk_bytes, set_.processes) == (70, 60, 50)
    given = default_limits(settings=settings, memory_bytes=7, disk_bytes=6, folder=tmp_path)
    assert (given.memory_bytes, given.disk_bytes, given.processes) == (7, 6, 50)
    one_of_two = default_limits(settings=settings, processes=9, threads=3, folder=tmp_path, beside=2)
    assert (one_of_two.memory_bytes, one_of_two.threads, one_of_two.disk_bytes, one_of_two.processes) == (70, 1, 60, 9)


def test_steps_at_once_get_the_memory_that_was_asked_for_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def memory(asked: int | None, beside: int) -> int:
        return default_limits(memory_bytes=asked, folder=tmp_path, beside=beside).memory_bytes

    monkeypatch.setenv(MEMORY_VARIABLE, "1000")  # of which 800 are for generated code
    assert [memory(None, count) for count in (1, 2)] == [800, 400]
    assert [memory(100, count) for count in (1, 8)] == [100, 100]
    assert memory(100, 16) == 50  # all of them together have no more
    assert [memory(2000, count) for count in (1, 2)] == [2000, 1000]  # a cluster may have more than this machine
    assert [steps_at_once(16, asked) for asked in (None, 10, 100, 500, 2000)] == [16, 16, 8, 1, 1]


def test_a_control_group_is_bounded_and_removed() -> None:
    if not cgroup.can_make_cgroup():
        pytest.skip("this machine lets us make no control group")
    folders = cgroup.make_cgroup(default_limits(memory_bytes=64 * MEBIBYTE))
    try:
        enter = "from autokaggle.skills.sandbox.group_account import enter; enter(sys.argv[1:])"
        program = f"import sys; {enter}; b'x' * (200 << 20)"
        done = subprocess.run([sys.executable, "-c", program, *folders])
        assert done.returncode == -9
        assert group_account.ran_out_of_memory(folders)
    finally:
        group_account.remove(folders)
    assert not any(Path(folder).exists() for folder in folders)


def test_a_control_group_left_by_a_killed_program_is_removed_later() -> None:
    if not cgroup.can_make_cgroup():
        pytest.skip("this machine lets us make no control group")
    old, young = (cgroup.make_cgroup(default_limits()) for _ in range(2))
    try:
        for folder in old:
            os.utime(folder, (1, 1))
        cgroup.can_make_cgroup.cache_clear()
        assert cgroup.can_make_cgroup()
        assert not any(Path(folder).exists() for folder in old)
        assert all(Path(folder).exists() for folder in young)
    finally:
        group_account.remove([*old, *young])


def test_a_scope_of_systemd_holds_the_whole_sandbox_and_shows_nothing_inside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    need(STRONG)
    stand_in = tmp_path / "systemd-run"  # makes no scope, but starts its command as the real one does: by exec
    stand_in.write_text(
        f'#!/bin/sh\necho "$@" > {tmp_path}/asked\nwhile [ "$1" != -- ]; do shift; done\nshift\nexec "$@"\n'
    )
    stand_in.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/secret")
    monkeypatch.setattr(cgroup, "can_make_cgroup", lambda: False)
    monkeypatch.setattr(cgroup, "scope_holds", lambda: True)
    text = "import os, time\nprint('XDG_RUNTIME_DIR' in os.environ)\ntime.sleep(0.2)"
    result, log = run(make_job(tmp_path, text), STRONG)
    assert (result.exit_code, result.limit) == (0, None)
    assert log == "False\n"
    assert f"-p MemoryMax={300 * MEBIBYTE} -p MemorySwapMax=0" in (tmp_path / "asked").read_text()
    killed, _ = run(make_job(tmp_path, "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)"), STRONG)
    assert killed.limit == "memory"


def test_a_scope_that_bounds_nothing_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in = tmp_path / "systemd-run"
    stand_in.write_text("#!/bin/sh\necho max\n")
    stand_in.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    cgroup.scope_holds.cache_clear()
    try:
        assert not cgroup.scope_holds()
    finally:
        cgroup.scope_holds.cache_clear()


def test_the_tree_is_found_by_either_way_of_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(20)'])"
    with subprocess.Popen([sys.executable, "-c", text], start_new_session=True) as process:
        parent = psutil.Process(process.pid)
        while len(parent.children(recursive=True)) < 1:
            time.sleep(0.02)
        expected = {child.pid for child in parent.children(recursive=True)}
        by_children = set(descendants(process.pid))
        monkeypatch.setattr("autokaggle.skills.sandbox.process_tree._has_children_files", lambda _: False)
        by_scan = set(descendants(process.pid))
        monkeypatch.setattr("autokaggle.skills.sandbox.process_tree.IS_LINUX", False)
        by_psutil = set(descendants(process.pid))
        usage = sample(process.pid)
        for child in expected:
            psutil.Process(child).kill()
        process.kill()
    assert by_children == by_scan == by_psutil == expected
    assert usage.threads >= 1
    assert usage.memory_bytes > MEBIBYTE
