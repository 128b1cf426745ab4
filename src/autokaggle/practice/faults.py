"""Trouble on demand; this file knows which faults the practice server can play and decides when one is due.

What a fault does is written where it happens: in the server's front door, the object storage, the upload slots
and the submission desk.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

STORAGE = "^/storage/"
UPLOAD = "^/upload/"
CREATE_SUBMISSION = "/CreateSubmission$"


@dataclass(frozen=True)
class FaultKind:
    """What a fault does, where it strikes unless told otherwise, and its options with their defaults."""

    effect: str
    match: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)


FAULT_KINDS = {
    "rules_not_accepted": FaultKind("403 as if the account had not joined: downloads, uploads, own submissions"),
    "unauthorized": FaultKind("401"),
    "not_found": FaultKind("404"),
    "rate_limited": FaultKind(
        "429; Retry-After in seconds, as an HTTP date, or absent",
        options={"retry_after_seconds": None, "as_date": False},
    ),
    "server_error": FaultKind("a 5xx, as JSON or as HTML", options={"status": 500, "html": False}),
    "delay": FaultKind("the answer comes late", options={"seconds": 1.0}),
    "cut": FaultKind("the connection is reset inside the body", STORAGE, {"after_bytes": 0}),
    "slow": FaultKind("the body trickles", STORAGE, {"bytes_per_second": 1024}),
    "wrong_length": FaultKind("Content-Length is off by delta", STORAGE, {"delta": 100}),
    "expired_link": FaultKind("a signed link counts as expired", STORAGE),
    "corrupt_zip": FaultKind(
        "garbage inside the object; the hash announced is that of the intact one unless consistent_hash",
        STORAGE,
        {"consistent_hash": False},
    ),
    "zip_slip": FaultKind("the archive holds entries that point outside of it", STORAGE),
    "no_ranges": FaultKind("Range is ignored", STORAGE),
    "no_validators": FaultKind("neither ETag nor Last-Modified nor hashes are sent", STORAGE),
    "changed_object": FaultKind("the object was replaced by another one: other bytes, ETag and date", STORAGE),
    "upload_interrupted": FaultKind(
        "the connection is reset inside an upload; what arrived is kept", UPLOAD, {"after_bytes": 0}
    ),
    "pending_forever": FaultKind("a submission is never scored", CREATE_SUBMISSION),
    "scoring_error": FaultKind(
        "a submission ends as ERROR", CREATE_SUBMISSION, {"message": "Evaluation failed for this submission."}
    ),
}


@dataclass
class _Fault:
    kind: str
    pattern: re.Pattern[str]
    times: int | None
    skip: int
    options: Mapping[str, Any]


class Faults:
    """The faults that are waiting; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[_Fault] = []

    def add(
        self, kind: str, *, match: str | None = None, times: int | None = None, skip: int = 0, **options: Any
    ) -> None:
        """Let ``kind`` strike at requests in whose path the regex ``match`` is found.

        It lets ``skip`` of them pass and then strikes ``times`` times: for ever without ``times``, and where it
        makes sense (``FAULT_KINDS``) without ``match``.

        Raises:
            ValueError: no such kind or option.
        """
        if kind not in FAULT_KINDS:
            raise ValueError(f"no fault is called {kind!r}; there are {', '.join(FAULT_KINDS)}")
        known = FAULT_KINDS[kind]
        unknown = sorted(set(options) - set(known.options))
        if unknown:
            raise ValueError(f"{kind} has no option {', '.join(unknown)}; it has {', '.join(known.options) or 'none'}")
        pattern = re.compile(known.match if match is None else match)
        with self._lock:
            self._waiting.append(_Fault(kind, pattern, times, skip, {**known.options, **options}))

    def take(self, kind: str, path: str) -> Mapping[str, Any] | None:
        """Return the options of the first fault of this kind that is due at ``path``, and count it as played."""
        with self._lock:
            for fault in self._waiting:
                if fault.kind != kind or fault.times == 0 or not fault.pattern.search(path):
                    continue
                if fault.skip:
                    fault.skip -= 1
                    continue
                if fault.times is not None:
                    fault.times -= 1
                return fault.options
        return None

    def clear(self) -> None:
        """Play no more faults."""
        with self._lock:
            self._waiting.clear()
