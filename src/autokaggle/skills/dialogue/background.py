"""Work beside the rest, for what takes long to load; this file starts it in a thread that nobody has to wait for."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


def in_background(action: Callable[[], T], name: str) -> Future[T]:
    """Begin ``action`` in a thread of this name, which ends with the program at the latest."""
    done: Future[T] = Future()
    done.set_running_or_notify_cancel()  # nothing stops it: whoever cancels it just waits no longer

    def act() -> None:
        try:
            done.set_result(action())
        except BaseException as error:  # noqa: BLE001 - whoever asks for the result learns of it
            done.set_exception(error)

    threading.Thread(target=act, name=name, daemon=True).start()
    return done
