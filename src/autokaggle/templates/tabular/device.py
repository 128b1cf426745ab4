"""Where a fit, or a look at images, runs; this file lets it go to the GPU, and to the processor when the GPU fails.

There may be no driver, no memory left, or another program at work: whatever it is, the work is done. Once it has failed
the GPU is left alone: what failed one fold would fail the next, after as long a wait.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

Made = TypeVar("Made")

GPU, PROCESSOR = "cuda", "cpu"
LONGEST_REASON = 160


class GpuMissing(Exception):
    """The library found no GPU and took the processor by itself."""


_failures: list[str] = []


def run_somewhere(work: Callable[[str], Made], failures: tuple[type[Exception], ...]) -> tuple[Made, str]:
    """Return what ``work(device)`` gives on the GPU, else on the processor, and a few words on where that was.

    ``failures`` are the errors by which the library tells that the device failed; a fault of another kind raises them
    on the processor as well.
    """
    if not _failures:
        try:
            return work(GPU), "on the GPU"
        except failures as error:
            said = str(error).strip().partition("\n")[0]
            _failures.append(said[:LONGEST_REASON] or type(error).__name__)
    return work(PROCESSOR), f"on the processor, since the GPU failed: {_failures[0]}"
