"""The escape suite: nothing gets out at level strong, little at partial, most under a plain subprocess."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.escapes.suite import How, Verdict, attempt_names, run_suite
from tests.sandbox_jobs import PARTIAL, STRONG, need

# What level partial does not stop; docs/security.md says the same in words.
KNOWN_AT_PARTIAL = {"existence_of_a_secret", "interfaces_of_the_machine", "time_of_a_file_in_the_home"}
NOBODY = 65534
SHARE_OF_PLAIN_ESCAPES = {True: 0.8, False: 0.6}  # as root, as an ordinary user


def test_there_are_enough_attempts_of_every_kind() -> None:
    names = attempt_names()
    assert len(names) >= 60
    assert len(set(names)) == len(names)


def outcomes(verdicts: list[Verdict], outcome: str) -> dict[str, str]:
    return {verdict.attempt: verdict.why for verdict in verdicts if verdict.outcome == outcome}


def assert_held(verdicts: list[Verdict], known: set[str] | frozenset[str] = frozenset()) -> None:
    assert outcomes(verdicts, "broken") == {}
    assert {name: why for name, why in outcomes(verdicts, "escaped").items() if name not in known} == {}
    assert len(verdicts) == len(attempt_names())


@pytest.mark.slow
def test_nothing_escapes_at_level_strong() -> None:
    need(STRONG)
    assert_held(run_suite("strong", attempt_names()))


@pytest.mark.slow
def test_level_partial_stops_all_but_what_its_list_says() -> None:
    need(PARTIAL)
    assert_held(run_suite("partial", attempt_names()), KNOWN_AT_PARTIAL)


@pytest.mark.slow
def test_under_a_plain_subprocess_most_attempts_escape() -> None:
    names = attempt_names()
    verdicts = run_suite("plain", names)
    assert outcomes(verdicts, "broken") == {}
    escaped = outcomes(verdicts, "escaped")
    assert len(escaped) >= SHARE_OF_PLAIN_ESCAPES[os.geteuid() == 0] * len(names)
    assert set(escaped) >= KNOWN_AT_PARTIAL


@pytest.fixture(scope="module")
def ordinary_python() -> Iterator[Path]:
    """Copy the program and the suite to where a user without rights can run them; give the Python that does."""
    if os.geteuid() != 0:
        pytest.skip("these tests already run as an ordinary user")
    system_python = shutil.which(f"python{sys.version_info.major}.{sys.version_info.minor}", path="/usr/bin")
    if system_python is None:
        pytest.skip("the system has no Python of this version that another user could run")
    folder = Path("/tmp/autokaggle-ordinary-user")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    line = [system_python, "-m", "venv", "--without-pip", str(folder / "venv")]
    made = subprocess.run(line, capture_output=True, text=True)
    if made.returncode:
        pytest.skip(f"the system's Python makes no environments: {made.stderr[-200:]}")
    packages = next((folder / "venv").glob("lib/python*/site-packages"))
    for name in ("autokaggle", "msgspec", "dotenv", "filelock", "psutil", "packaging"):
        origin = sys.modules.get(name) or __import__(name)
        shutil.copytree(Path(str(origin.__file__)).parent, packages / name)
    shutil.copytree(Path(__file__).parent / "escapes", packages / "tests" / "escapes")
    (packages / "tests" / "__init__.py").touch()
    subprocess.run(["chmod", "-R", "a+rX", str(folder)], check=True)
    yield folder / "venv" / "bin" / "python"
    shutil.rmtree(folder)


def run_as_nobody(python: Path, how: How, only: str = "*") -> list[Verdict]:
    done = subprocess.run(
        [python, "-m", "tests.escapes.suite", "--how", how, "--only", only, "--json"],
        user=NOBODY,
        group=NOBODY,
        extra_groups=[],
        cwd=python.parents[2],
        env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent"},
        capture_output=True,
        text=True,
    )
    assert done.returncode in (0, 1), done.stderr[-2000:]
    return [Verdict(**verdict) for verdict in json.loads(done.stdout)]


@pytest.mark.slow
@pytest.mark.parametrize(("how", "known"), [("strong", set()), ("partial", KNOWN_AT_PARTIAL)])
def test_as_an_ordinary_user_it_is_the_same(ordinary_python: Path, how: How, known: set[str]) -> None:
    need(STRONG if how == "strong" else PARTIAL)
    assert_held(run_as_nobody(ordinary_python, how), known)


@pytest.mark.slow
def test_what_a_step_sees_more_of_for_a_gpu_is_no_way_out(ordinary_python: Path) -> None:
    """Its /proc can be written to, for CUDA: what lies there are attempts on memory, processes and the kernel."""
    need(STRONG)
    verdicts = run_as_nobody(ordinary_python, "gpu", "*memory*,*process*,*kernel*,standing_still")
    assert len(verdicts) > 10
    assert {verdict.attempt: verdict.why for verdict in verdicts if verdict.outcome != "held"} == {}
