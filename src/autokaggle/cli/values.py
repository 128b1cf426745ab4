"""Values that a person types; this file reads durations and schemes, and says what is allowed."""

from __future__ import annotations

import math
import re
import stat
from pathlib import Path

from autokaggle.errors import UsageError

UNIT_SECONDS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "": 1.0}
DURATION = re.compile(r"(?:(\d+(?:\.\d+)?)d)?(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s?)?")
SHORTEST_SECONDS = 1.0
LONGEST_SECONDS = 30 * 86400.0
LEFT_BY_JOBS = (stat.S_IFDIR | 0o700, stat.S_IFREG | 0o600)
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


def check_output(folder: Path | None) -> None:
    """Refuse an --output where generated code would leave no link and no permission of somebody's files as it was.

    Raises:
        UsageError: it holds what no job leaves behind, or is no folder.
    """
    if folder is None or not folder.exists():
        return
    if not folder.is_dir():
        raise UsageError(f"--output {folder} is no folder.", "Give a new or an empty folder.")
    if any(path.lstat().st_mode not in LEFT_BY_JOBS for path in folder.rglob("*")):
        raise UsageError(
            f"--output {folder} holds files already, whose links and permissions would not survive.",
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
