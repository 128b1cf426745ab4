"""The person in a talk; this file says what a talk needs of them, and has one who says what a script says.

A person at a terminal lives in ``cli/``, the only place that prints.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Protocol, Self


class Person(Protocol):
    """Somebody who can be asked; the block of a ``with`` is the talk. ``is_there`` says that Ctrl-C is theirs."""

    is_there: bool

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def read(self) -> str | None:
        """Return the next line, None when they have no more to say.

        Raises:
            KeyboardInterrupt: they want out.
        """
        ...

    def show(self, text: str) -> None:
        """Show them something from the program."""
        ...

    def stream(self, text: str) -> None:
        """Show an answer as it comes; ``text`` is all of it so far."""
        ...

    def finish(self, text: str) -> None:
        """Show the whole answer, of which a part may stand there already."""
        ...


class ScriptedPerson:
    """Says the lines of a script; ``on_line`` and ``on_show`` learn what is said on both sides."""

    is_there = False

    def __init__(
        self,
        lines: Iterable[str],
        on_show: Callable[[str], None] = lambda text: None,
        on_line: Callable[[str], None] = lambda line: None,
    ) -> None:
        self._lines = iter(lines)
        self._on_show = on_show
        self._on_line = on_line

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def read(self) -> str | None:
        """Return the next line of the script."""
        line = next(self._lines, None)
        if line is not None:
            self._on_line(line)
        return line

    def show(self, text: str) -> None:
        self._on_show(text)

    def stream(self, text: str) -> None:
        pass

    def finish(self, text: str) -> None:
        self._on_show(text)


def read_lines(text: str) -> list[str]:
    """Read a file of answers: one line each; blank lines and lines that start with ``#`` are left out."""
    stripped = (line.strip() for line in text.removeprefix("\ufeff").splitlines())
    return [line for line in stripped if line and not line.startswith("#")]
