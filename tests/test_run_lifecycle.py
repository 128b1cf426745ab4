"""A run's life: stages in order, each done once, every end recorded, and one process at a time."""

from __future__ import annotations

import csv
import os
import random
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import duckdb
import msgspec
import pytest

from autokaggle.config import Settings
from autokaggle.errors import ActionNeeded, CompetitionUnusable, RunInterrupted, UsageError
from autokaggle.orchestrator.journal import Journal
from autokaggle.orchestrator.run_lifecycle import _warn_without_gpu, carry_out, start_run
from autokaggle.orchestrator.signals import terminate_like_interrupt
from autokaggle.orchestrator.stages import STAGES
from autokaggle.records.data_profile import DataProfile
from autokaggle.records.event import Event
from autokaggle.records.run import Run, RunOptions
from autokaggle.records.sandbox import Isolation
from autokaggle.skills.sandbox import gpu
from autokaggle.storage.artifacts import RunFolder
from autokaggle.storage.records_file import read_record
from autokaggle.storage.state_store import StateStore
from tests.csv_folder import write_csv

NAMES = ["fetch", "profile", "discuss", "plan", "search", "ensemble", "submission", "report"]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Write code but run none: these tests are about the run, not about models."""
    return Settings(home=tmp_path / "home", runs_dir=tmp_path / "runs", skip_execution=True)


@pytest.fixture
def orchard(tmp_path: Path) -> Path:
    """A local competition: 60 trees, which of them were sold."""
    folder = tmp_path / "orchard"
    folder.mkdir()
    chance = random.Random(7)
    rows = [(number, round(chance.uniform(1, 9), 2), chance.choice(["oak", "elm"])) for number in range(90)]
    with (folder / "train.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows(
            [("id", "height", "kind", "sold"), *((*row, int(row[1] > 5)) for row in rows[:60])]
        )
    with (folder / "test.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([("id", "height", "kind"), *rows[60:]])
    with (folder / "sample_submission.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([("id", "sold"), *((row[0], 0) for row in rows[60:])])
    return folder


@pytest.fixture
def run(orchard: Path, settings: Settings) -> RunFolder:
    return start_run(RunOptions(target=str(orchard)), settings)


def stages_done(folder: RunFolder) -> list[str]:
    return [stage.name for stage in read_record(folder.record, Run).stages if stage.status == "done"]


def interrupt_at(stage: str) -> Callable[[Event], None]:
    def listener(event: Event) -> None:
        if event.kind == "stage_started" and event.fields["stage"] == stage:
            raise KeyboardInterrupt

    return listener


def test_a_started_run_is_a_folder_with_a_record_and_nothing_fetched(run: RunFolder, settings: Settings) -> None:
    record = read_record(run.record, Run)
    assert (record.status, record.stages) == ("created", ())
    assert run.path.stat().st_mode & 0o777 == 0o700
    with StateStore(settings.state) as state:
        assert [row.id for row in state.runs(5)] == [run.id]


def test_all_stages_are_carried_out_in_order(run: RunFolder, settings: Settings) -> None:
    record = carry_out(run, settings)
    assert record.status == "done"
    assert [stage.name for stage in STAGES] == NAMES
    assert stages_done(run) == NAMES


def test_a_run_of_so_many_candidates_is_profiled_without_haste(tmp_path: Path, settings: Settings) -> None:
    rows = range(21_000)  # enough to be sampled, and in haste in fewer rows
    columns = {"id": rows, "height": [row % 997 / 8 for row in rows], "sold": [row % 2 for row in rows]}
    write_csv(tmp_path / "orchard/train.csv", columns)
    write_csv(tmp_path / "orchard/test.csv", {"id": range(21_000, 21_090), "height": range(90)})
    options = RunOptions(target=str(tmp_path / "orchard"), time_budget_seconds=0.01, max_candidates=1)
    folder = start_run(options, settings)
    with pytest.raises(RunInterrupted):
        carry_out(folder, settings, interrupt_at("discuss"))
    assert read_record(folder.profile, DataProfile).split.duplicate_train_rows is not None


def test_without_execution_the_code_is_written_and_nothing_is_handed_in(run: RunFolder, settings: Settings) -> None:
    carry_out(run, settings)
    assert (run.code / "train.py").is_file()
    assert (run.code / "config.yaml").is_file()
    assert not run.submission.exists()
    assert read_record(run.record, Run).isolation is None


def test_a_gpu_that_is_asked_for_and_not_there_is_said_before_anything_begins(
    orchard: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(gpu, "DEVICES", tmp_path)
    executing = replace(settings, skip_execution=False)
    options = RunOptions(target=str(orchard), gpu="on", allow_unsandboxed=True)
    with pytest.raises(ActionNeeded, match="No GPU can be used on this machine: there is no") as caught:
        start_run(options, executing)
    assert "--gpu on" in caught.value.next_step
    assert not any(settings.runs_dir.iterdir() if settings.runs_dir.is_dir() else ())
    # On machines elsewhere it is for the workers to say; code that is only written needs none.
    said: list[str] = []
    folder = start_run(msgspec.structs.replace(options, model_family="linear"), settings)
    record = carry_out(folder, settings, lambda event: said.append(event.message))
    assert record.plan
    assert record.plan.gpu
    assert any("Nothing in this run can use a GPU" in line for line in said)
    resumed = read_record(folder.record, Run)
    isolated = msgspec.structs.replace(resumed, isolation=Isolation(level="none", backend="none"))
    _warn_without_gpu(isolated, Journal(folder, lambda event: said.append(event.message)))
    assert "the processor does its work" in said[-1]


@pytest.mark.parametrize("stage", NAMES)
def test_an_interrupted_run_goes_on_at_the_stage_where_it_stopped(
    run: RunFolder, settings: Settings, stage: str
) -> None:
    with pytest.raises(RunInterrupted, match="resume"):
        carry_out(run, settings, interrupt_at(stage))
    assert read_record(run.record, Run).status == "interrupted"
    assert stages_done(run) == NAMES[: NAMES.index(stage)]
    started: list[str] = []

    def listener(event: Event) -> None:
        if event.kind == "stage_started":
            started.append(event.fields["stage"])

    assert carry_out(run, settings, listener).status == "done"
    assert started == NAMES[NAMES.index(stage) :]


def test_a_finished_run_repeats_nothing(run: RunFolder, settings: Settings) -> None:
    carry_out(run, settings)
    before = {path: path.stat().st_mtime_ns for path in run.input.rglob("*") if path.is_file()}
    kinds: list[str] = []
    carry_out(run, settings, lambda event: kinds.append(event.kind))
    assert "stage_started" not in kinds
    assert {path: path.stat().st_mtime_ns for path in run.input.rglob("*") if path.is_file()} == before


def test_time_used_is_kept_for_the_next_process(run: RunFolder, settings: Settings) -> None:
    with pytest.raises(RunInterrupted):
        carry_out(run, settings, interrupt_at("plan"))
    first = read_record(run.record, Run).budget_seconds_used
    assert first > 0
    carry_out(run, settings)
    assert read_record(run.record, Run).budget_seconds_used > first


def test_unusable_data_fail_the_run_with_the_reason_in_its_record(orchard: Path, settings: Settings) -> None:
    (orchard / "train.csv").write_text("")
    run = start_run(RunOptions(target=str(orchard)), settings)
    with pytest.raises(CompetitionUnusable, match=r"train\.csv"):
        carry_out(run, settings)
    record = read_record(run.record, Run)
    assert record.status == "failed"
    assert "train.csv" in record.error
    assert record.stages[-1].status == "failed"


def test_two_processes_on_one_run_refuse_politely(run: RunFolder, settings: Settings) -> None:
    refused: list[str] = []

    def second_process(event: Event) -> None:
        if event.kind == "run_started":
            try:
                carry_out(run, settings)
            except UsageError as error:
                refused.append(str(error))

    carry_out(run, settings, second_process)
    assert len(refused) == 1
    assert "Another process" in refused[0]


def test_a_run_goes_on_without_the_index_of_runs(run: RunFolder, settings: Settings, tmp_path: Path) -> None:
    blocked = tmp_path / "blocked"
    blocked.mkdir()
    (blocked / "state.sqlite3").mkdir()
    kinds: list[str] = []
    record = carry_out(run, replace(settings, home=blocked), lambda event: kinds.append(event.kind))
    assert record.status == "done"
    assert "warning" in kinds


def test_nothing_is_begun_without_credentials(settings: Settings) -> None:
    with pytest.raises(ActionNeeded, match="credentials"):
        start_run(RunOptions(target="titanic"), settings)
    assert not settings.runs_dir.exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (RunOptions(target="https://www.kaggle.com/datasets/a/b"), "datasets"),
        (RunOptions(target="titanic", metric="charm"), "charm"),
        (RunOptions(target="titanic", template="hologram"), "hologram"),
    ],
)
def test_options_that_make_no_sense_begin_nothing(options: RunOptions, words: str, settings: Settings) -> None:
    with pytest.raises(UsageError, match=words):
        start_run(options, settings)
    assert not settings.runs_dir.exists()


def test_an_interrupt_in_the_middle_of_a_query_is_no_failure(run: RunFolder, settings: Settings) -> None:
    """DuckDB answers a signal with an error of its own."""

    def listener(event: Event) -> None:
        if event.kind == "stage_started" and event.fields["stage"] == "profile":
            threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGTERM)).start()
            # With one thread it is this one that counts, and looks at signals.
            duckdb.connect(config={"threads": 1}).execute("SELECT count(*) FROM range(5000000000)").fetchall()

    with pytest.raises(RunInterrupted):
        carry_out(run, settings, listener)
    assert read_record(run.record, Run).status == "interrupted"


def test_sigterm_ends_a_run_like_an_interrupt(run: RunFolder, settings: Settings) -> None:
    assert threading.current_thread() is threading.main_thread()

    def terminate(event: Event) -> None:
        if event.kind == "stage_started" and event.fields["stage"] == "plan":
            os.kill(os.getpid(), 15)

    with pytest.raises(RunInterrupted):
        carry_out(run, settings, terminate)
    assert read_record(run.record, Run).status == "interrupted"


def test_who_asks_again_and_again_is_heard_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    now, heard = 1_000.0, []
    monkeypatch.setattr(time, "monotonic", lambda: now)
    with terminate_like_interrupt():
        for seconds in range(0, 13, 3):
            now = 1_000.0 + seconds
            try:
                os.kill(os.getpid(), signal.SIGTERM)
            except KeyboardInterrupt:
                heard.append(seconds)
    assert heard == [0, 6, 12]


def test_a_second_sigterm_does_not_cut_short_the_end_that_the_first_brings(run: RunFolder, settings: Settings) -> None:
    def terminate(event: Event) -> None:
        if event.kind == "run_finished" or event.fields.get("stage") == "plan":
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(RunInterrupted):
        carry_out(run, settings, terminate)
    assert read_record(run.record, Run).status == "interrupted"
