"""The talk in a real terminal: a pseudo-terminal types at the program, and reads what it shows."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import click
import pytest

from autokaggle.cli import main
from autokaggle.cli.person import TerminalPerson
from autokaggle.records.plan import Decisions
from autokaggle.records.run import Run
from autokaggle.storage.artifacts import RunFolder
from autokaggle.storage.records_file import read_record
from tests.dialogue_facts import counsel
from tests.model_server import ModelServer, Reply
from tests.test_model_in_runs import decided, latest, make_trees

UP, CTRL_C, CTRL_D, ENTER = "\x1b[A", "\x03", "\x04", "\r"
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b[()][0-9A-Za-z]|\x1b[=>]|\r")
PATIENCE_SECONDS = 120.0


class Terminal:
    """A program at a pseudo-terminal; ``shown`` is what it wrote so far, without colours and cursor moves."""

    def __init__(self, *arguments: str) -> None:
        ours, theirs = pty.openpty()
        environment = {**os.environ, "TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1", "COLUMNS": "100", "LINES": "40"}
        command = [sys.executable, "-m", "autokaggle", *arguments]
        self.process = subprocess.Popen(
            command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, start_new_session=True
        )
        os.close(theirs)
        self._ours = ours
        self._raw = b""

    @property
    def shown(self) -> str:
        return ESCAPES.sub("", self._raw.decode("utf-8", "replace"))

    def wait_for(self, text: str, after: int = 0) -> int:
        """Read until ``text`` is shown after this position; return where it ends."""
        ends = time.monotonic() + PATIENCE_SECONDS
        while (found := self.shown.find(text, after)) < 0:
            assert time.monotonic() < ends, f"{text!r} was not shown after {after}:\n{self.shown}"
            assert self._read(), f"the program ended without {text!r}:\n{self.shown}"
        return found + len(text)

    def enter(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def press_until(self, key: str, text: str, after: int) -> None:
        """Press a key again and again until ``text`` is shown after this position."""
        ends = time.monotonic() + PATIENCE_SECONDS
        while self.shown.find(text, after) < 0:
            assert time.monotonic() < ends, f"{text!r} was not shown after {after}:\n{self.shown}"
            self.enter(key)
            self._read(0.5)

    def end(self) -> int:
        """Wait until the program has ended, and return its exit code."""
        while self._read():
            pass
        return self.process.wait(timeout=PATIENCE_SECONDS)

    def _read(self, patience_seconds: float = PATIENCE_SECONDS) -> bool:
        ready, _, _ = select.select([self._ours], [], [], patience_seconds)
        if not ready:
            return False
        try:
            data = os.read(self._ours, 65_536)
        except OSError:  # the other end is closed
            return False
        self._raw += data
        return bool(data)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._ours)


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer([Reply(counsel(("validation", "group:farm"), reply="Mind the farms, please."))]) as running:
        yield running


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: ModelServer) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AUTOKAGGLE_HOME", str(tmp_path / "home"))
    make_trees(tmp_path / "trees")
    return tmp_path / "home"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> RunFolder:
    assert main(["run", "trees", "--skip-execution"]) == 0
    capsys.readouterr()
    return latest()


def decisions(folder: RunFolder) -> dict[str, Any]:
    return {one.key: one.value for one in read_record(folder.decisions, Decisions).decisions}


def test_lines_are_edited_recalled_and_emptied(run: RunFolder, home: Path) -> None:
    with Terminal("chat", run.id) as terminal:
        end = terminal.wait_for("you>")
        terminal.enter("/decide families=lineax\x7fr" + ENTER)
        end = terminal.wait_for("you>", terminal.wait_for('Decided: families = ["linear"]', end))
        terminal.enter("/decide metric=nonsense")
        end = terminal.wait_for("nonsense", end)
        terminal.enter(CTRL_C)
        terminal.press_until(UP, "/decide families=linear", end)  # the history is read again in the background
        terminal.enter(ENTER)
        end = terminal.wait_for("you>", terminal.wait_for("Decided: families", end))
        terminal.enter("/undo" + ENTER)
        terminal.wait_for("you>", terminal.wait_for("Taken back: families", end))
        terminal.enter(CTRL_D)
        assert terminal.end() == 0
        assert "Kept in" in terminal.shown
        assert "nonsense" not in (home / "chat_history").read_text()
    assert decisions(run)["families"] == ["linear"]
    assert (home / "chat_history").stat().st_mode & 0o077 == 0


def test_ctrl_c_twice_leaves_and_loses_nothing(run: RunFolder) -> None:
    with Terminal("chat", run.id) as terminal:
        end = terminal.wait_for("you>")
        terminal.enter("/decide families=linear" + ENTER)
        end = terminal.wait_for("you>", terminal.wait_for("Decided", end))
        terminal.enter(CTRL_C)
        end = terminal.wait_for("Ctrl-C again leaves", end)
        terminal.wait_for("you>", end)
        terminal.enter(CTRL_C)
        assert terminal.end() == 130
        assert "Traceback" not in terminal.shown
        assert "autokaggle resume" in terminal.shown
    assert decisions(run)["families"] == ["linear"]
    assert "linear" in run.transcript.read_text()


def test_an_answer_that_was_stopped_does_not_share_its_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    person = TerminalPerson(tmp_path)
    person.stream("the model says a")
    person.show("Stopped.")
    person.show("Go on.")
    assert click.unstyle(capsys.readouterr().err) == "the model says\nStopped.\nGo on.\n"


def test_a_run_in_a_terminal_talks_streams_and_goes_on(server: ModelServer) -> None:
    server.replies = [
        Reply(counsel(("validation", "group:farm"), reply="Mind the farms, please."), chunks=6, pause_seconds=0.2),
        Reply(counsel(reply="\x1b[2JBecause they repeat.\x07")),
    ]
    with Terminal("run", "trees", "--skip-execution", "--model", "gemini-3-flash-preview") as terminal:
        end = terminal.wait_for("you>", terminal.wait_for("Mind the farms, please."))
        assert "limit 1,000,000 tokens" in " ".join(terminal.shown.split())
        terminal.enter("Why?" + ENTER)
        end = terminal.wait_for("\\x1b[2JBecause they repeat.\\x07", end)
        terminal.enter("/done" + ENTER)
        end = terminal.wait_for("Decided: validation = group:farm, 5 folds", end)
        assert terminal.end() == 0
        assert "is done" in terminal.shown
    assert decided(latest())["validation"].by == "model"
    run = read_record(latest().record, Run)
    assert run.budget_seconds_used < sum(stage.seconds for stage in run.stages)


def test_ctrl_c_while_the_model_answers_stops_the_answer_alone(server: ModelServer) -> None:
    server.replies = [Reply(counsel(reply="One two three four five"), chunks=30, pause_seconds=0.3)]
    with Terminal("run", "trees", "--skip-execution", "--model", "gemini-3-flash-preview") as terminal:
        terminal.wait_for("The first message")
        while not server.received:
            time.sleep(0.05)
        terminal.process.send_signal(signal.SIGINT)
        end = terminal.wait_for("Stopped.")
        terminal.enter("/decide families=linear" + ENTER)
        terminal.wait_for("Decided", end)
        terminal.enter("/done" + ENTER)
        assert terminal.end() == 0
    assert decided(latest())["families"].by == "user"


def test_a_terminated_run_is_interrupted_and_resumes_with_what_was_decided(server: ModelServer) -> None:
    with Terminal("run", "trees", "--skip-execution", "--model", "gemini-3-flash-preview") as terminal:
        end = terminal.wait_for("you>")
        terminal.enter("/decide families=linear" + ENTER)
        terminal.wait_for("Decided", end)
        folder = latest()
        assert read_record(folder.record, Run).status == "waiting"
        terminal.process.terminate()
        assert terminal.end() == 130
    assert read_record(folder.record, Run).status == "interrupted"
    assert main(["resume", folder.id]) == 0
    assert decided(folder)["families"].value == ["linear"]


def test_no_chat_asks_for_decisions_in_a_terminal_too(server: ModelServer) -> None:
    with Terminal("run", "trees", "--skip-execution", "--model", "gemini-3-flash-preview", "--no-chat") as terminal:
        assert terminal.end() == 0
        assert "you>" not in terminal.shown
    assert decided(latest())["validation"].by == "model"
