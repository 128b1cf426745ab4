"""When to try again and after how long; this file holds the policy that calls, downloads and uploads share."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass

COME_BACK = frozenset({408, 429})


@dataclass(frozen=True)
class RetryPolicy:
    """Exponential waits with jitter; a wait that Kaggle orders is kept, but not one that nobody would sit through.

    ``attempts`` counts the first try too.
    """

    attempts: int = 5
    first_wait_seconds: float = 0.5
    longest_wait_seconds: float = 20.0
    longest_ordered_wait_seconds: float = 120.0

    def wait_seconds(self, attempt: int, ordered: float | None = None) -> float:
        """Return how long to wait after failed attempt number ``attempt`` (1 is the first)."""
        grown: float = min(self.longest_wait_seconds, self.first_wait_seconds * 2 ** (attempt - 1))
        jitter = grown * random.uniform(0.5, 1.0)  # noqa: S311
        return jitter if ordered is None else ordered + jitter * 0.1

    def allows(self, attempt: int, ordered: float | None = None) -> bool:
        """Say whether another attempt may follow attempt number ``attempt``."""
        return attempt < self.attempts and (ordered or 0.0) <= self.longest_ordered_wait_seconds

    def pause(self, attempt: int, ordered: float | None = None) -> None:
        """Sleep before the attempt that follows attempt number ``attempt``."""
        time.sleep(self.wait_seconds(attempt, ordered))


def is_passing(status: int) -> bool:
    """Say whether the same call may succeed later: it was told to come back, or a machine on the way failed."""
    return status in COME_BACK or status >= 500


def ordered_wait(retry_after: str | None) -> float | None:
    """Read a Retry-After header, seconds or an HTTP date; None when there is none that can be read."""
    if not retry_after:
        return None
    from urllib3.exceptions import InvalidHeader
    from urllib3.util import Retry

    try:
        return Retry(0).parse_retry_after(retry_after)
    except InvalidHeader:
        return None
