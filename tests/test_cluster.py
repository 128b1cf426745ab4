"""Jobs on a cluster of two real workers: the same results, walls and limits as here, whatever happens to a worker."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from autokaggle.errors import ActionNeeded, OutsideWorldError, UsageError
from autokaggle.orchestrator.cluster.client import ClusterJobs, check_address, open_cluster
from autokaggle.records.sandbox import StepResult
from autokaggle.skills.sandbox.executor import run_job
from autokaggle.skills.sandbox.job import Job
from tests.cluster_machines import Machines, machines
from tests.patience import PATIENCE_SECONDS, wait_until
from tests.sandbox_jobs import STRONG, make_job, need

pytestmark = [
    pytest.mark.slow,
    # The engine's own sockets, when a scheduler is killed at the end.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

WRITES_AND_SAYS = """
    import os
    print("hello from", os.environ["AUTOKAGGLE_THREADS"], flush=True)
    out, given = os.environ["AUTOKAGGLE_OUTPUT"], os.environ["AUTOKAGGLE_INPUT"]
    os.makedirs(out + "/deep/er")
    open(out + "/deep/er/sum", "w").write(str(sum(open(given + "/big", "rb").read())))
    open(out + "/empty", "w").close()
"""
SLEEPS = """
    import os, time
    print("asleep", flush=True)
    while not os.path.exists(os.environ["AUTOKAGGLE_INPUT"] + "/never"):
        time.sleep(0.1)
"""


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    folder = tmp_path_factory.mktemp("machines")
    with machines(folder, "one", "two", gpus=["two"], CUDA_VISIBLE_DEVICES="7") as found:
        yield found


@pytest.fixture
def cluster(two: Machines) -> Iterator[ClusterJobs]:
    need(STRONG)
    with open_cluster(two.address, print) as jobs:
        yield jobs


def small_job(folder: Path, text: str, **bounds: float) -> Job:
    job = make_job(folder, text, bounds=dict(bounds), environment=None, variables={"AUTOKAGGLE_THREADS": "2"})
    (folder / "input" / "big").write_bytes(bytes(range(256)) * 100_000)
    return dataclasses.replace(job, limits=dataclasses.replace(job.limits, threads=2))


def blobs(home: Path) -> set[str]:
    return {path.name for path in home.glob("cache/blobs/*/*")}


def test_a_job_leaves_what_it_would_have_left_here(cluster: ClusterJobs, two: Machines, tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    here, there = (small_job(tmp_path / place, WRITES_AND_SAYS) for place in ("here", "there"))
    expected, found = run_job(here, STRONG), cluster(there, STRONG)
    assert (
        (found.exit_code, found.limit, found.script)
        == (expected.exit_code, None, expected.script)
        == (0, None, found.script)
    )
    for name in ("deep/er/sum", "empty"):
        assert (there.output / name).read_bytes() == (here.output / name).read_bytes()
    # What a worker declares bounds the threads of its jobs.
    assert (here.log.read_text(), there.log.read_text()) == ("hello from 2\n", "hello from 1\n")


def test_a_job_that_wants_a_gpu_goes_where_one_is_declared(two: Machines, tmp_path: Path) -> None:
    need(STRONG)
    job = small_job(tmp_path, 'import os; print(os.environ.get("CUDA_VISIBLE_DEVICES"))')
    with open_cluster(two.address, print, wants_gpu=True) as cluster:
        for wants, said in ((False, "None\n"), (True, "7\n")):
            asked = dataclasses.replace(job, wants_gpu=wants)
            assert ("gpu" in (cluster._claims(cluster._packed(asked, STRONG)) or {})) == wants
            assert cluster(asked, STRONG).exit_code == 0
            assert job.log.read_text() == said


def test_contents_travel_to_a_worker_once(cluster: ClusterJobs, two: Machines, tmp_path: Path) -> None:
    for number in range(4):
        job = small_job(tmp_path / str(number), f"{WRITES_AND_SAYS}    print({number})\n")
        assert cluster(job, STRONG).exit_code == 0
    times = {}
    for name in ("one", "two"):
        for path in two.home(name).glob("cache/blobs/*/*"):
            times[path] = path.stat().st_ctime_ns
    job = small_job(tmp_path / "again", WRITES_AND_SAYS)
    assert cluster(job, STRONG).exit_code == 0
    big = [path for path in times if path.stat().st_size == 25_600_000]
    assert 1 <= len(big) <= 2
    assert len({path.name for path in big}) == 1
    assert two.jobs("one") == two.jobs("two") == []


def test_the_same_walls_and_limits_hold_there(cluster: ClusterJobs, tmp_path: Path) -> None:
    reach = small_job(tmp_path / "a", f"print(open({str(tmp_path)!r} + '/secret').read())")
    (tmp_path / "secret").write_text("visible")
    assert cluster(reach, STRONG).exit_code == 1
    assert "FileNotFoundError" in reach.log.read_text()
    assert (
        cluster(small_job(tmp_path / "b", "x = bytearray(1 << 30)", memory_bytes=100 << 20), STRONG).limit == "memory"
    )
    assert cluster(small_job(tmp_path / "c", SLEEPS, wall_seconds=1.0), STRONG).limit == "wall"


def start(cluster: ClusterJobs, job: Job) -> tuple[threading.Thread, list[StepResult]]:
    results: list[StepResult] = []

    def wait_for_it() -> None:
        with contextlib.suppress(OutsideWorldError):  # some tests take the cluster away
            results.append(cluster(job, STRONG))

    thread = threading.Thread(target=wait_for_it, daemon=True)
    thread.start()
    return thread, results


def test_log_lines_come_while_the_job_runs(cluster: ClusterJobs, tmp_path: Path) -> None:
    job = small_job(tmp_path, SLEEPS, wall_seconds=5.0)
    thread, results = start(cluster, job)
    wait_until(lambda: job.log.is_file() and job.log.read_text() == "asleep\n")
    assert results == []
    thread.join(PATIENCE_SECONDS)
    assert results[0].limit == "wall"


def test_when_the_client_is_gone_the_tree_there_is_killed(two: Machines, tmp_path: Path) -> None:
    need(STRONG)
    job = small_job(tmp_path, SLEEPS, wall_seconds=600.0)
    with open_cluster(two.address, print) as cluster:
        thread, _ = start(cluster, job)
        wait_until(lambda: job.log.is_file() and "asleep" in job.log.read_text())
        (folder,) = two.jobs("one") + two.jobs("two")
        assert sandboxes(folder)
    wait_until(lambda: not sandboxes(folder) and not folder.exists())
    thread.join(PATIENCE_SECONDS)


def sandboxes(folder: Path) -> list[int]:
    found = []
    for process in psutil.process_iter(["cmdline"]):
        if any(part.startswith(f"{folder}/") for part in process.info["cmdline"] or ()):
            found.append(process.pid)
    return found


def test_the_job_of_a_lost_worker_is_run_again(tmp_path: Path) -> None:
    need(STRONG)
    (tmp_path / "m").mkdir()
    job = small_job(tmp_path / "job", WRITES_AND_SAYS.replace("import os", "import os, time; time.sleep(3)"))
    with machines(tmp_path / "m", "one", "two") as pair, open_cluster(pair.address, print) as cluster:
        with pytest.raises(ActionNeeded, match="declares a GPU"), open_cluster(pair.address, print, wants_gpu=True):
            pass
        thread, results = start(cluster, job)
        wait_until(lambda: bool(pair.jobs("one") + pair.jobs("two")))
        lost = "one" if pair.jobs("one") else "two"
        (folder,) = pair.jobs(lost)
        wait_until(lambda: bool(sandboxes(folder)))
        pair.kill(lost)
        wait_until(lambda: not sandboxes(folder))
        thread.join(PATIENCE_SECONDS)
        assert (results[0].exit_code, results[0].limit) == (0, None)
        assert (job.output / "deep/er/sum").read_text() == str(255 * 128 * 100_000)


@pytest.mark.parametrize("address", ["http://a:1", "tcp://a", "local:0", "local", "tcp://a:1/x y"])
def test_an_address_that_makes_no_sense_is_a_usage_error(address: str) -> None:
    with pytest.raises(UsageError, match="is no cluster"):
        check_address(address)


def test_a_scheduler_that_does_not_answer_is_the_worlds_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autokaggle.orchestrator.cluster.client.CONNECT_SECONDS", 1.0)
    with pytest.raises(OutsideWorldError, match="cannot be used"), open_cluster("tcp://127.0.0.1:9", print):
        time.sleep(0)


def test_cancelling_ends_the_job_there(cluster: ClusterJobs, two: Machines, tmp_path: Path) -> None:
    job = small_job(tmp_path, SLEEPS, wall_seconds=600.0)
    cancelled, results = threading.Event(), []
    thread = threading.Thread(target=lambda: results.append(cluster(job, STRONG, cancelled)), daemon=True)
    thread.start()
    wait_until(lambda: job.log.is_file() and "asleep" in job.log.read_text())
    (folder,) = two.jobs("one") + two.jobs("two")
    cancelled.set()
    thread.join(PATIENCE_SECONDS)
    assert results[0].limit == "cancelled"
    wait_until(lambda: not sandboxes(folder) and not folder.exists())
