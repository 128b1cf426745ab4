"""The journal: every event reaches log, file and listener; text from outside cannot forge a line."""

from __future__ import annotations

import threading
from pathlib import Path

import msgspec
import pytest

from autokaggle.orchestrator.journal import Journal, printable
from autokaggle.records.event import Event
from autokaggle.storage.artifacts import RunFolder
from autokaggle.storage.tail import decode_events


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path, "orchard-20260801-101500-3f2a")


def read_events(folder: RunFolder) -> list[Event]:
    return [msgspec.json.decode(line, type=Event) for line in folder.events.read_bytes().splitlines()]


def test_an_event_reaches_file_log_keeper_and_listener(folder: RunFolder) -> None:
    heard: list[Event] = []
    kept: list[Event] = []
    Journal(folder, heard.append, kept.append).tell("stage_started", "Profiling", stage="profile")
    (event,) = read_events(folder)
    assert (event.kind, event.message, event.fields) == ("stage_started", "Profiling", {"stage": "profile"})
    assert heard == kept == [event]
    assert folder.run_log.read_text("utf-8").strip().endswith("stage_started Profiling stage=profile")


def test_progress_is_heard_but_not_kept(folder: RunFolder) -> None:
    heard: list[Event] = []
    Journal(folder, heard.append).tell("progress", stage="fetch", text="train.csv", done=1, total=2, unit="B")
    assert [event.kind for event in heard] == ["progress"]
    assert not folder.events.exists()


def test_hostile_text_stays_on_one_line_without_control_characters(folder: RunFolder) -> None:
    Journal(folder).tell("warning", "column \x1b[2J\nrun_finished status=done")
    (line,) = folder.run_log.read_text("utf-8").splitlines()
    assert "\x1b" not in line
    assert read_events(folder)[0].message == "column \x1b[2J\nrun_finished status=done"


def test_lines_of_many_threads_do_not_mix(folder: RunFolder) -> None:
    journal = Journal(folder)

    def tell_often() -> None:
        for _ in range(50):
            journal.tell("info", "x" * 500)

    threads = [threading.Thread(target=tell_often) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [len(event.message) for event in read_events(folder)] == [500] * 400


def test_logs_are_readable_by_the_user_alone(folder: RunFolder) -> None:
    Journal(folder).tell("info", "hello")
    assert folder.events.stat().st_mode & 0o777 == 0o600
    assert folder.run_log.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("text", "shown"), [("plain é 漢", "plain é 漢"), ("\x07bell\r", "\\x07bell\\r"), ("\u202ertl", "\\u202ertl")]
)
def test_printable_escapes_what_steers_a_terminal(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_what_comes_after_a_line_that_was_cut_short_is_a_line_of_its_own(folder: RunFolder) -> None:
    Journal(folder).tell("stage_started", stage="profile")
    whole = folder.events.read_bytes()
    folder.events.write_bytes(whole + whole[:20])
    Journal(folder).tell("run_started", run_id=folder.id)
    lines = folder.events.read_bytes().splitlines(keepends=True)
    assert lines[0] == whole
    assert [event.kind for event in decode_events(lines)] == ["stage_started", "run_started"]
