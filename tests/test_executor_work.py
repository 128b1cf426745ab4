"""Jobs at work: side by side, in parallel processes of their own, and what is counted of it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from autokaggle.records.sandbox import Isolation
from autokaggle.skills.sandbox.executor import run_job
from tests.sandbox_jobs import STRONG, WALLED, make_job, need, run


def test_twenty_jobs_side_by_side_share_nothing(tmp_path: Path) -> None:
    need(STRONG)
    text = """
    import os, sys, time
    own = sys.argv[1]
    for folder in ("/work", "/tmp", "/dev/shm", "/out"):
        with open(f"{folder}/mark", "x") as stream:
            stream.write(own)
    time.sleep(0.3)
    for folder in ("/work", "/tmp", "/dev/shm", "/out"):
        assert open(f"{folder}/mark").read() == own and os.listdir(folder).count("mark") == 1
    others = [name for name in os.listdir("/proc") if name.isdigit()]
    assert len(others) <= 3, others
    """
    jobs = [make_job(tmp_path / str(number), text, arguments=(str(number),)) for number in range(20)]
    with ThreadPoolExecutor(20) as pool:
        results = list(pool.map(lambda job: run_job(job, STRONG), jobs))
    assert [result.exit_code for result in results] == [0] * 20
    assert [(job.output / "mark").read_text() for job in jobs] == [str(number) for number in range(20)]


def test_the_record_counts_what_was_used(tmp_path: Path) -> None:
    job = make_job(
        tmp_path,
        """
        import os, time
        block = bytearray(os.urandom(1)) * (100 << 20)
        with open("/out/large", "wb") as stream:
            stream.write(block[: 8 << 20])
            os.fsync(stream.fileno())
        end = time.process_time() + 0.6
        while time.process_time() < end:
            pass
        """,
    )
    result, _ = run(job, STRONG)
    assert 0.6 <= result.cpu_seconds < 6
    assert 100 << 20 <= result.peak_memory_bytes < 200 << 20
    assert 8 << 20 <= result.written_bytes < 16 << 20
    assert result.seconds >= result.cpu_seconds / 2


def test_work_done_by_children_counts_although_they_are_gone(tmp_path: Path) -> None:
    burn = "import time\\nend = time.process_time() + 0.4\\nwhile time.process_time() < end: pass"
    text = f"import subprocess, sys\nfor _ in range(2):\n    subprocess.run([sys.executable, '-c', '{burn}'])"
    result, _ = run(make_job(tmp_path, text), STRONG)
    assert result.exit_code == 0
    assert 0.8 <= result.cpu_seconds < 6


@WALLED
def test_parallel_work_of_joblib_runs(tmp_path: Path, isolation: Isolation) -> None:
    text = """
    from joblib import Parallel, delayed
    from neighbour import square
    if __name__ == "__main__":
        print(sum(Parallel(n_jobs=2)(delayed(square)(number) for number in range(5))))
    """
    job = make_job(tmp_path, text, bounds={"memory_bytes": 1 << 30})
    (job.code / "neighbour.py").write_text("def square(number):\n    return number * number\n")
    result, log = run(job, isolation)
    assert (result.exit_code, log) == (0, "30\n")


def test_processes_of_the_standard_library_run(tmp_path: Path) -> None:
    text = """
    import multiprocessing
    def square(number): return number * number
    if __name__ == "__main__":
        for method in ("fork", "spawn", "forkserver"):
            with multiprocessing.get_context(method).Pool(2) as pool:
                print(sum(pool.map(square, range(5))))
    """
    _, log = run(make_job(tmp_path, text), STRONG)
    assert log == "30\n30\n30\n"


def test_the_executor_adds_little_time(tmp_path: Path) -> None:
    """Count processor time, which a busy machine does not stretch, and wall time where the machine is idle."""
    need(STRONG)
    job = make_job(tmp_path, "pass")

    def cost(action: Callable[[], object]) -> tuple[float, float]:
        times, began = os.times(), time.perf_counter()
        action()
        wall, spent = time.perf_counter() - began, os.times()
        return wall, sum(spent[:4]) - sum(times[:4])

    plain = [cost(lambda: subprocess.run([sys.executable, job.code / "script0.py"])) for _ in range(9)]
    boxed = [cost(lambda: run_job(job, STRONG)) for _ in range(9)]
    assert min(cpu for _, cpu in boxed) - min(cpu for _, cpu in plain) < 0.1
    if os.getloadavg()[0] < 1:
        assert min(wall for wall, _ in boxed) - min(wall for wall, _ in plain) < 0.2
