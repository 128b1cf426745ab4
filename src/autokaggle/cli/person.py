"""The person in a talk; this file shows what is said on stderr, and reads lines with editing and history.

What a model says is foreign text: it cannot steer the terminal. Ctrl-C empties the line, then leaves; nothing that was
decided is lost by it.
"""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import click

from autokaggle.cli.screen import is_terminal
from autokaggle.cli.text import harmless_lines
from autokaggle.skills.dialogue.person import ScriptedPerson, read_lines

if TYPE_CHECKING:
    from prompt_toolkit import PromptSession

    from autokaggle.config import Settings
    from autokaggle.records.run import RunOptions
    from autokaggle.skills.dialogue.person import Person

Pause = Callable[[], AbstractContextManager[None]]

LINE_MARK = "you> "
HISTORY_FILE = "chat_history"
THINKING = "…"
LEAVING = "Ctrl-C again leaves; what was decided is kept."


def find_person(
    options: RunOptions, settings: Settings, pause: Pause = nullcontext, *, reads_pipes: bool = False
) -> Person | None:
    """Return whom a run talks to: a file with answers, the person at the terminal, or whoever writes to stdin.

    ``pause`` makes room on the screen while they talk. None when the run has no talk, repeats a recorded one, or
    nobody is there: a pipe is read only when asked for, since one that nobody closes would never end.
    """
    from autokaggle.orchestrator.talking import REPLAY

    if options.answers is not None:
        return ShownPerson(read_lines(Path(options.answers).read_text("utf-8-sig")), pause)
    if not options.chat or (options.model or "").startswith(REPLAY):
        return None
    if at_terminal():
        return TerminalPerson(settings.home, pause)
    return ShownPerson(_lines_of(sys.stdin), pause) if reads_pipes else None


def at_terminal() -> bool:
    """Say whether somebody can type and read."""
    return sys.stdin.isatty() and is_terminal(sys.stderr)


class _InRoom:
    """Somebody for whom room is made on the screen while they talk."""

    _pause: Pause

    def __enter__(self) -> Self:
        self._room = self._pause()
        self._room.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._room.__exit__(kind, error, trace)


class ShownPerson(_InRoom, ScriptedPerson):
    """Lines from a file or a pipe; the talk is shown as if they were typed."""

    def __init__(self, lines: Iterable[str], pause: Pause = nullcontext) -> None:
        super().__init__(lines, on_show=_show, on_line=lambda line: _show(LINE_MARK + line))
        self._pause = pause


class TerminalPerson(_InRoom):
    """Somebody at a terminal; lines are kept in a private file in ``home`` for the arrow keys."""

    is_there = True

    def __init__(self, home: Path, pause: Pause = nullcontext) -> None:
        self._home = home
        self._pause = pause
        self._session: PromptSession[str] | None = None
        self._shown = ""
        self._wants_out = False

    def read(self) -> str | None:
        """Return the next line, None after Ctrl-D.

        Raises:
            KeyboardInterrupt: Ctrl-C twice on an empty line, or another signal.
        """
        self._session = self._session or _open_session(self._home)
        while True:
            try:
                line = self._session.prompt(LINE_MARK)
            except EOFError:
                return None
            except KeyboardInterrupt as interrupt:
                if self._wants_out or interrupt.args:
                    raise
                self._wants_out = True
                self.show(LEAVING)
                continue
            self._wants_out = False
            return line

    def show(self, text: str) -> None:
        """Show something from the program, set off from what the model says, on a line of its own."""
        if self._shown:
            _write("\n")
            self._shown = ""
        _show(click.style(_wrapped(harmless_lines(text)), dim=True))

    def stream(self, text: str) -> None:
        """Write what is new of ``text``, word by word; an empty one says that an answer is on its way."""
        if not text:
            _show(click.style(THINKING, dim=True))
            self._shown = ""
            return
        # The last word may still grow, and then belong in the next line.
        self._write_up_to(_wrapped(harmless_lines(text[: text.rfind(" ") + 1])).rstrip())

    def finish(self, text: str) -> None:
        """Write the rest of an answer and end its line."""
        self._write_up_to(_wrapped(harmless_lines(text)))
        _write("\n")
        self._shown = ""

    def _write_up_to(self, text: str) -> None:
        if not text.startswith(self._shown):
            # Another attempt at the answer, which begins anew.
            _write("\n")
            self._shown = ""
        _write(text[len(self._shown) :])
        self._shown = text


def _open_session(home: Path) -> PromptSession[str]:
    from prompt_toolkit import PromptSession
    from prompt_toolkit.auto_suggest import AutoSuggestFromHistory
    from prompt_toolkit.history import FileHistory
    from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
    from prompt_toolkit.output import create_output

    from autokaggle.storage.records_file import PRIVATE_FILE, make_private_folder

    history = make_private_folder(home) / HISTORY_FILE
    os.close(os.open(history, os.O_WRONLY | os.O_CREAT | os.O_APPEND, PRIVATE_FILE))
    keys = KeyBindings()

    @keys.add("c-c")
    def _(event: KeyPressEvent) -> None:
        if event.current_buffer.text:
            event.current_buffer.reset()
        else:
            event.app.exit(exception=KeyboardInterrupt())

    return PromptSession(
        history=FileHistory(str(history)),
        auto_suggest=AutoSuggestFromHistory(),
        key_bindings=keys,
        output=create_output(stdout=sys.stderr),
    )


def _lines_of(stream: Iterable[str]) -> Iterator[str]:
    for line in stream:
        yield from read_lines(line)


def _show(text: str) -> None:
    _write(text + "\n")


def _write(text: str) -> None:
    click.echo(text, nl=False, err=True)


def _wrapped(text: str) -> str:
    """Break lines between words where the terminal ends; a line's indentation goes on below it."""
    width = max(20, shutil.get_terminal_size().columns - 1)
    lines = []
    for line in text.split("\n"):
        margin = " " * (len(line) - len(line.lstrip()))
        lines += textwrap.wrap(line, width, subsequent_indent=margin, break_on_hyphens=False) or [""]
    return "\n".join(lines)
