"""A gain in words; this file imports nothing heavy, for a terminal that only tells what was recorded."""

from __future__ import annotations

from autokaggle.records.candidate import Gain


def gain_text(gain: Gain) -> str:
    """Say in a few words what a candidate is against another."""
    size = f"{abs(gain.value):.4g} ± {gain.error:.2g}"
    if gain.is_noise:
        return f"like {gain.over} but for noise ({'+' if gain.value >= 0 else '-'}{size})"
    return f"{'better' if gain.value > 0 else 'worse'} than {gain.over} by {size}"
