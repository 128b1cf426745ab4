"""Code is parsed by several threads of a search at once."""

from __future__ import annotations

import ast
import gc
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest

from autokaggle.python_code import parse_python

TEXT = "x = [" + ", ".join(f"(a{number}, {{'k': [f({number}, y=lambda z: z)]}})" for number in range(300)) + "]\n"


@pytest.fixture
def busy_interpreter() -> Iterator[None]:
    """Let threads change places in the middle of parsing, as any finalizer may."""
    interval, threshold = sys.getswitchinterval(), gc.get_threshold()

    def collected(phase: str, info: dict[str, int]) -> None:
        sum(range(50))

    sys.setswitchinterval(1e-6)
    gc.set_threshold(50)
    gc.callbacks.append(collected)
    yield
    gc.callbacks.remove(collected)
    gc.set_threshold(*threshold)
    sys.setswitchinterval(interval)


def test_threads_parse_at_once(busy_interpreter: None) -> None:
    problems: list[BaseException] = []
    done = threading.Event()

    def parse() -> None:
        try:
            for _ in range(40):
                parse_python(TEXT)
        except SystemError as error:
            problems.append(error)

    def parse_elsewhere() -> None:  # as a library does that knows nothing of ours
        while not done.is_set():
            with suppress(SystemError):
                ast.parse("{'a': (1, 2)}")

    threads = [threading.Thread(target=parse) for _ in range(4)]
    other = threading.Thread(target=parse_elsewhere)
    for thread in [other, *threads]:
        thread.start()
    for thread in threads:
        thread.join()
    done.set()
    other.join()
    assert problems == []


def test_what_is_no_python_is_a_syntax_error_of_the_file() -> None:
    with pytest.raises(SyntaxError) as caught:
        parse_python("def (:", "features.py")
    assert caught.value.filename == "features.py"
