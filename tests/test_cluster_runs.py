"""A whole run whose candidates run on workers: the submission of a run without, also when a worker is lost."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from autokaggle.records.candidate import Candidate
from autokaggle.records.run import Run
from autokaggle.storage.artifacts import RunFolder
from autokaggle.storage.records_file import read_record
from tests.cluster_machines import Machines, machines
from tests.killable_world import (
    FLAGS,
    World,
    sandboxes_below,
    sha256,
    told,
    wait_for,
)
from tests.patience import wait_until

pytestmark = pytest.mark.slow

TRAINS = told("candidate_started", candidate="c001")


@pytest.fixture
def pair(tmp_path: Path, shared_home: Path) -> Iterator[Machines]:
    """Two workers with homes of their own, in which the environment stands already."""
    (tmp_path / "machines").mkdir()
    with machines(tmp_path / "machines", "one", "two") as found:
        for name in found.workers:
            (found.home(name) / "environments").symlink_to(shared_home / "environments")
        yield found


@pytest.fixture
def newcomer(tmp_path: Path, world: World) -> Iterator[Machines]:
    """One worker with an empty home: it has to build the environment."""
    (tmp_path / "machine").mkdir()
    with machines(tmp_path / "machine", "one", **world.packages) as found:
        yield found


def wait_for_training(found: Machines, is_at_work: Callable[[], bool]) -> tuple[str, Path]:
    """Wait until a sandbox works on some worker; return the worker's name and the job's folder there."""
    at_work: list[tuple[str, Path]] = []

    def look() -> bool:
        assert is_at_work()
        jobs = [(name, job) for name in found.workers for job in found.jobs(name)]
        at_work[:] = [(name, job) for name, job in jobs if sandboxes_below(job)]
        return bool(at_work)

    wait_until(look)
    return at_work[0]


def check_result(answer: dict[str, Any], undisturbed: dict[str, Any], folder: RunFolder | None) -> None:
    assert folder is not None
    assert answer["submission"]["sha256"] == undisturbed["submission"]["sha256"] == sha256(folder)
    assert answer["cv"] == undisturbed["cv"]
    candidates = [read_record(one.record, Candidate) for one in folder.all_candidates()]
    assert [(one.id, one.status) for one in candidates] == [("c001", "scored"), ("c002", "scored")]


def test_a_run_on_workers_of_this_machine_ends_as_one_without(world: World, undisturbed: dict[str, Any]) -> None:
    answer = world.finish(world.start("run", "orchard", *FLAGS, "--cluster", "local:2"))
    check_result(answer, undisturbed, world.run_folder())


def test_a_run_that_loses_a_worker_while_it_trains_ends_as_one_without(
    world: World, pair: Machines, undisturbed: dict[str, Any]
) -> None:
    process = world.start("run", "orchard", *FLAGS, "--cluster", pair.address)
    assert wait_for(process, world, 0, TRAINS)
    lost, job = wait_for_training(pair, lambda: process.poll() is None)
    pair.kill(lost)
    wait_until(lambda: not sandboxes_below(job))
    check_result(world.finish(process), undisturbed, world.run_folder())


def test_a_worker_builds_the_runs_environment_and_cancelling_ends_its_trees(world: World, newcomer: Machines) -> None:
    process = world.start("run", "orchard", *FLAGS, "--cluster", newcomer.address)
    assert wait_for(process, world, 0, TRAINS)
    name, job = wait_for_training(newcomer, lambda: process.poll() is None)
    folder = world.run_folder()
    assert folder is not None
    locks = [path.read_text() for path in newcomer.home(name).glob("environments/*/requirements.lock")]
    assert locks == [folder.requirements_lock.read_text()]
    world.finish(world.start("cancel", folder.id, "--json"))
    wait_until(lambda: not sandboxes_below(job) and not job.exists())
    process.communicate()
    assert process.returncode not in (0, -signal.SIGKILL)
    assert read_record(folder.record, Run).status == "cancelled"
