"""A GPU is found by its device files and its driver, shown to the steps that use it, and to no other."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from types import ModuleType

import pytest

from autokaggle.config import Settings
from autokaggle.orchestrator.budget import Budget
from autokaggle.orchestrator.candidate_run import _gpu_failure
from autokaggle.orchestrator.code_run import SCRIPTS
from autokaggle.orchestrator.context import RunContext
from autokaggle.orchestrator.importance import importance
from autokaggle.orchestrator.journal import Journal
from autokaggle.orchestrator.replay import _reasons
from autokaggle.plugins.manager import Plugins
from autokaggle.records.candidate import Candidate, Proposal, Score
from autokaggle.records.outcome import Ensemble, Member, Metrics, SubmissionFacts
from autokaggle.records.run import Run, RunOptions
from autokaggle.records.sandbox import Isolation, StepResult
from autokaggle.skills.sandbox import bubblewrap, gpu
from autokaggle.skills.sandbox.executor import run_job
from autokaggle.skills.sandbox.job import Job
from autokaggle.skills.submission.comparison import Comparison
from autokaggle.storage.artifacts import RunFolder
from autokaggle.storage.records_file import make_private_folder, write_record
from autokaggle.templates.tabular import device as template_device
from tests.judged_run import judged_run, orchard
from tests.sandbox_jobs import PARTIAL, STRONG, UNSANDBOXED, WALLED, make_job, run


@pytest.fixture
def devices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Device files that stand in for those of one card."""
    folder = tmp_path / "dev"
    folder.mkdir()
    for name in ("nvidia0", "nvidiactl", "nvidia-uvm"):
        (folder / name).write_text("a card")
    monkeypatch.setattr(gpu, "DEVICES", folder)
    monkeypatch.setattr(gpu, "DRIVER", tmp_path / "driver")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.delenv(gpu.CHOICE, raising=False)
    return folder


def install_driver(folder: Path, answer: str, exit_code: int = 0) -> None:
    """Write a program in the place of the driver's."""
    folder.mkdir(exist_ok=True)
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/sh\nprintf '{answer}'\nexit {exit_code}\n")
    program.chmod(0o755)


def test_a_card_is_named_with_its_memory(devices: Path, tmp_path: Path) -> None:
    install_driver(tmp_path / "bin", "NVIDIA A10, 23028\\n")
    assert gpu.find_gpu() == gpu.GpuFinding("NVIDIA A10, 24 GB")
    install_driver(tmp_path / "bin", "NVIDIA \\033[31mA10, 23028\\nNVIDIA A10, 23028\\n")
    assert gpu.find_gpu().name == "NVIDIA [31mA10, 24 GB, the first of 2"
    install_driver(tmp_path / "bin", "NVIDIA GB10, [N/A]\\n")
    assert gpu.find_gpu().name == "NVIDIA GB10"


@pytest.mark.parametrize(
    ("script", "trouble"),
    [
        ("printf '\\033]0;a\\007bad\\033[2J driver'; exit 3", "the driver does not answer: ]0;abad[2J driver"),
        ("exec yes 'NVIDIA A10, 23028'", "the driver does not answer: nvidia-smi says more than it was asked"),
        ("printf 'NVIDIA A10, '; head -c 400 /dev/zero | tr '\\0' 9", "the driver knows no card"),
        ("printf '\\n\\n'", "the driver knows no card"),
        ("sleep 60", "the driver does not answer: nvidia-smi did not end within 1 seconds"),
    ],
)
def test_a_driver_that_lies_or_hangs_is_no_card(
    script: str, trouble: str, devices: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{bubblewrap.SYSTEM_SEARCH_PATH}")
    monkeypatch.setattr(gpu, "ANSWER_SECONDS", 1.0)
    install_driver(tmp_path / "bin", "")
    (tmp_path / "bin" / "nvidia-smi").write_text(f"#!/bin/sh\n{script}\n")
    assert gpu.find_gpu() == gpu.GpuFinding(trouble=trouble)


def test_without_its_program_the_driver_is_asked_by_its_files(devices: Path, tmp_path: Path) -> None:
    assert gpu.find_gpu().trouble == "the driver knows no card"
    card = tmp_path / "driver" / "gpus" / "0000:01:00.0"
    card.mkdir(parents=True)
    (card / "information").write_text("Model: \t\t NVIDIA A10\nIRQ:  \t 99\n")
    assert gpu.find_gpu().name == "NVIDIA A10"


def test_what_keeps_a_card_from_being_used_is_said(
    devices: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_driver(tmp_path / "bin", "Failed to initialize NVML: mismatch\\nmore", exit_code=18)
    assert gpu.find_gpu().trouble == "the driver does not answer: Failed to initialize NVML: mismatch"
    install_driver(tmp_path / "bin", "NVIDIA A10, 23028\\n")
    plugged = Isolation(level="strong", backend="of a plugin")
    assert "of a plugin shows no devices" in gpu.find_gpu(plugged).trouble
    assert gpu.find_gpu(PARTIAL).name == gpu.find_gpu(UNSANDBOXED).name == "NVIDIA A10, 24 GB"
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert "root" in gpu.find_gpu(STRONG).trouble
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert gpu.find_gpu(STRONG).name == "NVIDIA A10, 24 GB"
    monkeypatch.setenv(gpu.CHOICE, "-1")
    assert gpu.CHOICE in gpu.find_gpu().trouble
    monkeypatch.delenv(gpu.CHOICE)
    (devices / "nvidia-uvm").unlink()
    assert "nvidia-modprobe" in gpu.find_gpu().trouble
    (devices / "nvidia0").unlink()
    assert gpu.find_gpu().trouble == f"there is no {devices / 'nvidia0'}"
    assert gpu.device_files() == []


LOOK = """
    import os, sys
    for place in sys.argv[1:]:
        try:
            print(open(place).read(6))
        except OSError as error:
            print(type(error).__name__)
    print(os.environ.get("CUDA_VISIBLE_DEVICES"))
"""


@WALLED
def test_only_a_step_that_uses_the_gpu_sees_its_device_files(
    isolation: Isolation, devices: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", bubblewrap.SYSTEM_SEARCH_PATH)
    monkeypatch.setenv(gpu.CHOICE, "0")
    inside = Path("/dev") if isolation is STRONG else devices
    seen = tuple(str(inside / name) for name in ("nvidia0", "nvidiactl", "nvidia-uvm"))
    result, log = run(make_job(tmp_path, LOOK, arguments=seen, wants_gpu=True), isolation)
    assert (result.exit_code, log.split("\n")) == (0, ["a card"] * 3 + ["0", ""])
    result, log = run(make_job(tmp_path, LOOK, arguments=seen), isolation)
    assert result.exit_code == 0
    assert set(log.split()) <= {"FileNotFoundError", "PermissionError", "None"}


def test_for_cuda_an_ordinary_user_may_name_threads_and_root_gets_no_writable_proc(
    devices: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = ["--remount-ro", "/proc"]
    for user, wants, is_kept in ((0, True, True), (1000, True, False), (1000, False, True)):
        monkeypatch.setattr(os, "geteuid", lambda user=user: user)
        line = bubblewrap._kernel_folders(make_job(tmp_path).limits, gpu.device_files() if wants else [])
        assert any(line[place : place + 2] == kept for place in range(len(line))) == is_kept
        assert ("/dev/nvidia0" in line) == wants
        assert line.index("--dev") < line.index("/dev/shm")


def test_at_level_partial_cuda_may_name_its_threads(
    devices: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", bubblewrap.SYSTEM_SEARCH_PATH)
    script = """
        import threading
        def name():
            open(f"/proc/self/task/{threading.get_native_id()}/comm", "w").write("cuda")
            print("named")
        thread = threading.Thread(target=name)
        thread.start()
        thread.join()
    """
    _, log = run(make_job(tmp_path, script, wants_gpu=True), PARTIAL)
    assert log == "named\n"
    _, log = run(make_job(tmp_path, script), PARTIAL)
    assert "PermissionError" in log


@pytest.mark.parametrize("part", ["model", "features"])
def test_whatever_runs_code_that_uses_a_gpu_shows_it_one(tmp_path: Path, part: str) -> None:
    jobs: list[Job] = []

    def execute(job: Job, isolation: Isolation, cancelled: threading.Event | None = None) -> StepResult:
        jobs.append(job)
        return run_job(job, UNSANDBOXED, cancelled)  # what it is shown is tried above

    with judged_run(orchard(tmp_path / "orchard"), tmp_path) as judged:
        judged.context.execute = execute
        for name, on_gpu in (("c001", False), ("c002", True)):
            candidate, evaluation = judged.candidate(config={part: {"gpu": on_gpu}}, name=name)
            assert evaluation is not None, candidate.reason
            judged.best.add(candidate, evaluation)
            member = (Member(candidate=name, weight=1.0),)
            assert candidate.score
            judged.context.save(ensemble=Ensemble(method="single", members=member, score=candidate.score, rule={}))
            found = importance(judged.context, 60)
            assert found
            assert found.candidate == name
    assert [(job.scripts, job.wants_gpu) for job in jobs] == [
        (SCRIPTS, False),
        (("importance.py",), False),
        (SCRIPTS, True),
        (("importance.py",), True),
    ]


# ---------------------------------------------------------------- fits


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A device that no fit has failed on."""
    monkeypatch.setattr(template_device, "_failures", [])
    return template_device


def test_a_fit_stays_where_it_works(device: ModuleType) -> None:
    assert device.run_somewhere(lambda where: where, (OSError,)) == ("cuda", "on the GPU")


@pytest.mark.parametrize("error", ["OSError", "GpuMissing"])
def test_a_fit_whose_gpu_fails_is_done_on_the_processor_and_so_are_those_after_it(
    device: ModuleType, error: str
) -> None:
    tried: list[str] = []

    def fit(where: str) -> int:
        tried.append(where)
        if where == "cuda":
            raise {"OSError": OSError, "GpuMissing": device.GpuMissing}[error]("out of memory\n  [bt] (0) stack")
        return len(tried)

    failures = (OSError, device.GpuMissing)
    assert device.run_somewhere(fit, failures) == (2, "on the processor, since the GPU failed: out of memory")
    assert device.run_somewhere(fit, failures)[0] == 3
    assert tried == ["cuda", "cpu", "cpu"]


def test_a_fault_that_is_not_the_gpus_comes_through(device: ModuleType) -> None:
    def fit(where: str) -> None:
        raise OSError(f"no such objective ({where})")

    with pytest.raises(OSError, match="cpu"):
        device.run_somewhere(fit, (OSError,))


# ---------------------------------------------------------------- what is said


def test_why_a_fit_was_not_on_the_gpu_is_read_from_its_log(device: ModuleType, tmp_path: Path) -> None:
    def fit(where: str) -> str:
        if where == "cuda":
            raise device.GpuMissing("XGBoost found none")
        return where

    assert _gpu_failure(tmp_path / "log") == ""
    _, note = device.run_somewhere(fit, (device.GpuMissing,))
    (tmp_path / "log").write_text(f"fold 0: 12 trees, {note}\nfold 1: 9 trees, {note}\n")
    assert _gpu_failure(tmp_path / "log") == "the GPU failed: XGBoost found none"
    (tmp_path / "log").write_text("fold 0: 12 trees, on the GPU\n")
    assert _gpu_failure(tmp_path / "log") == ""


def test_a_submission_that_comes_out_otherwise_is_laid_to_the_gpu_of_its_members(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, "orchard-20260801-101500-3f2a")
    for name, on_gpu in (("c001", True), ("c002", False), ("c003", True), ("c004", True)):
        proposal = Proposal(title=name, family="xgboost", config={"model": {"gpu": on_gpu}})
        make_private_folder(folder.candidate(name).path)
        write_record(folder.candidate(name).record, Candidate(id=name, proposal=proposal, status="scored"))
    score = Score(metric="rmse", greater_is_better=False, mean=1, std=0, folds=(1,), low=0, high=2)
    members = tuple(Member(candidate=name, weight=0.25) for name in ("c001", "c002", "c003"))
    run = Run(
        id=folder.id,
        slug="orchard",
        target="orchard",
        options=RunOptions(target="orchard"),
        status="done",
        created="2026-08-01T10:15:00Z",
        ensemble=Ensemble(method="greedy", members=members, score=score, rule={}),
    )
    settings = Settings(home=tmp_path / "home", runs_dir=tmp_path)
    context = RunContext(folder, settings, run, Journal(folder), Plugins(found=[]), Budget(60))
    metrics = Metrics(
        metric="rmse",
        greater_is_better=False,
        cv={},
        candidates=3,
        ensemble=members,
        submission=SubmissionFacts(rows=1, sha256="a"),
        seconds={},
        isolation="strong",
    )
    said = list(_reasons(context, "", Comparison("different", "a", "b"), metrics))
    assert len(said) == 1
    assert said[0].startswith("Set to use a GPU: c001, c003. Sums of floats come in another order")
    assert list(_reasons(context, "", Comparison("identical", "a", "a"), metrics)) == []
