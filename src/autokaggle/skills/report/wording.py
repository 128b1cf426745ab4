"""Facts in words; this file writes numbers, shares, durations and decided values for people."""

from __future__ import annotations

from typing import Any

MINUS = "\N{MINUS SIGN}"
MINUTE, HOUR = 60.0, 3600.0


def number(value: float | None) -> str:
    """Write a score with five significant digits, "-" for none."""
    return "-" if value is None else f"{value:.5g}"


def brief(value: float | None) -> str:
    """Write a score with four significant digits, "-" for none."""
    return "-" if value is None else f"{value:.4g}"


def signed(value: float) -> str:
    """Write a difference with its sign and three significant digits."""
    return f"{value:+.3g}".replace("-", MINUS) if value else "0"


def percent(share: float | None) -> str:
    """Write a share of 0 to 1; what is neither none nor all never looks like it."""
    if share is None:
        return "-"
    if 0 < share < 0.01:
        return "<1%"
    return ">99%" if 0.99 < share < 1 else f"{share:.0%}"


def duration(seconds: float) -> str:
    """Write seconds as people say them."""
    if seconds < MINUTE:
        return f"{seconds:.1f} s"
    if seconds < HOUR:
        return f"{int(seconds // MINUTE)} min {int(seconds % MINUTE)} s"
    return f"{int(seconds // HOUR)} h {int(seconds % HOUR // MINUTE)} min"


def plain(value: Any) -> str:
    """Write a decided value for people: "a, b" for lists, "scheme stratified, folds 5" for mappings."""
    if isinstance(value, dict):
        return ", ".join(f"{key} {plain(item)}" for key, item in value.items() if item is not None)
    if isinstance(value, (list, tuple)):
        return ", ".join(plain(item) for item in value) or "-"
    return str(value)


def words(name: str) -> str:
    """Write an id as words."""
    return str(name).replace("_", " ")
