"""Values that a person types; this file reads durations and schemes, and says what is allowed."""

from __future__ import annotations

import math
import re
from pathlib import Path

from autokaggle.errors import UsageError

UNIT_SECONDS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "": 1.0}
DURATION = re.compile(r"(?:(\d+(?:\.\d+)?)d)?(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s?)?")
SHORTEST_SECONDS = 1.0
LONGEST_SECONDS = 30 * 86400.0
COLUMN_SCHEMES = ("group", "time")
PLAIN_SCHEMES = ("auto", "kfold", "stratified")


def parse_duration(text: str, flag: str) -> float:
    """Read ``10m``, ``90s``, ``1h30m`` or plain seconds; return seconds.

    Raises:
        UsageError: it is none of these, or not between a second and 30 days.
    """
    match = DURATION.fullmatch(text.strip().lower())
    if match is None or not text.strip():
        raise UsageError(f"{flag} {text!r} is no duration.", "Write it like 90s, 10m, 1h30m, or plain seconds.")
    parts = zip(match.groups(), UNIT_SECONDS.values(), strict=False)
    seconds = math.fsum(float(number) * unit for number, unit in parts if number)
    if not SHORTEST_SECONDS <= seconds <= LONGEST_SECONDS:
        raise UsageError(f"{flag} {text!r} is out of range.", "Give between 1s and 30d.")
    return seconds


def check_output(folder: Path | None, file_bytes: int | None = None) -> None:
    """Refuse an --output where the sweep after generated code would remove or change somebody's files.

    With ``file_bytes``, the limit of the job, it may hold what an earlier job left; else it must be new or empty.

    Raises:
        UsageError: it holds something else, is somebody else's, or is no folder.
    """
    from autokaggle.skills.sandbox.sweep import is_ours, is_swept

    if folder is None or not folder.exists():
        return
    if not folder.is_dir():
        raise UsageError(f"--output {folder} is no folder.", "Give a new or an empty folder.")
    if not is_ours(folder.stat()):
        raise UsageError(f"--output {folder} belongs to somebody else.", "Give a new folder, or one of your own.")
    try:
        is_harmless = is_swept(folder, file_bytes) if file_bytes is not None else not any(folder.iterdir())
    except PermissionError as error:
        raise UsageError(f"--output {folder} cannot be read.", "Give a new or an empty folder.") from error
    if not is_harmless:
        raise UsageError(
            f"--output {folder} holds files already, which would not survive as they are.",
            "Give a new or an empty folder.",
        )


def parse_validation(text: str) -> str:
    """Check ``auto``, ``kfold``, ``stratified``, ``group:COLUMN`` or ``time:COLUMN``.

    Raises:
        UsageError: it is none of these.
    """
    scheme, colon, column = text.partition(":")
    if (scheme in PLAIN_SCHEMES and not colon) or (scheme in COLUMN_SCHEMES and column):
        return text
    raise UsageError(
        f"--validation {text!r} is no validation scheme.",
        "Give auto, kfold, stratified, group:COLUMN or time:COLUMN.",
    )
