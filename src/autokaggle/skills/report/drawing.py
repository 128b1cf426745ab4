"""Plots as inline SVG; this file draws axes, lines, areas, bars and points, coloured by the page's style sheet.

Nothing is drawn by scripts: a plot looks the same on paper, on a phone and without a network.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt
from markupsafe import Markup, escape

Floats = npt.NDArray[np.float64]
Series = Literal["one", "two", "three", "four", "five", "six"]
SERIES: tuple[Series, ...] = ("one", "two", "three", "four", "five", "six")

WIDTH, HEIGHT = 360, 250
LEFT, RIGHT, TOP, BOTTOM = 46, 10, 10, 40
MOST_POINTS = 1_500
TICKS = 5


@dataclass(frozen=True)
class Figure:
    """One drawing with its title and a sentence that says how to read it."""

    title: str
    drawing: Markup
    caption: str = ""
    legend: tuple[tuple[Series, str], ...] = ()
    is_wide: bool = False


@dataclass(frozen=True)
class Axis:
    """One side of a plot: what it shows, from where to where; ``is_log`` for values that span many sizes."""

    label: str
    low: float
    high: float
    is_log: bool = False
    names: tuple[tuple[float, str], ...] = ()

    @classmethod
    def around(cls, label: str, values: Floats, *, is_log: bool = False) -> Axis:
        """Return an axis that holds all values, with some air."""
        finite = values[np.isfinite(values)]
        low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
        if is_log:
            return cls(label, low / 1.1, high * 1.1, is_log=True)
        air = (high - low) * 0.04 or abs(high) * 0.1 or 1.0
        return cls(label, low - air, high + air)

    def place(self, values: Floats) -> Floats:
        """Return where values lie between 0 and 1."""
        low, high, scaled = self.low, self.high, np.asarray(values, dtype=np.float64)
        if self.is_log:
            low, high, scaled = math.log(low), math.log(high), np.log(np.maximum(scaled, self.low))
        placed: Floats = (scaled - low) / ((high - low) or 1.0)
        return placed

    def ticks(self) -> list[tuple[float, str]]:
        """Return round values on the axis with their texts."""
        if self.names:
            return list(self.names)
        if self.is_log:
            first, last = math.ceil(math.log10(self.low)), math.floor(math.log10(self.high))
            decades = [10.0**power for power in range(first, last + 1, max(1, (last - first) // TICKS))]
            if len(decades) > 1:
                return [(value, short(value)) for value in decades]
        step = nice_step((self.high - self.low) / TICKS)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [(number * step, short(number * step)) for number in range(first, last + 1)]


def nice_step(least: float) -> float:
    """Return 1, 2, 2.5 or 5 times a power of ten, at least ``least``."""
    power = 10.0 ** math.floor(math.log10(least)) if least > 0 else 1.0
    return next((factor * power for factor in (1, 2, 2.5, 5) if factor * power >= least * 0.999), 10 * power)


def short(value: float) -> str:
    """Write a number in few characters: 1.5k, 20M, 0.25."""
    if value == 0 or abs(value) < 1e-12:
        return "0"
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= size:
            return f"{value / (1e3 if letter == 'k' else size):.4g}{letter}"
    return f"{value:.4g}" if abs(value) >= 1e-3 else f"{value:.1e}"


@dataclass
class Plot:
    """A plot that is filled from back to front."""

    x: Axis
    y: Axis
    about: str
    _parts: list[str] = field(default_factory=list)

    def line(self, x: Floats, y: Floats, *, series: Series = "one", kind: str = "") -> None:
        """Join points by a line; it breaks where a value is missing. ``kind`` is ``dashed`` or nothing."""
        across, down = self._across(x), self._down(y)
        known = np.isfinite(across) & np.isfinite(down)
        path, pen_is_down = [], False
        for left, top, is_known in zip(across.tolist(), down.tolist(), known.tolist(), strict=True):
            if is_known:
                path.append(f"{'L' if pen_is_down else 'M'}{left:.1f} {top:.1f}")
            pen_is_down = is_known
        self._parts.append(f'<path class="line {series} {kind}" d="{"".join(path)}"/>')

    def area(self, x: Floats, low: Floats, high: Floats, *, series: Series = "one") -> None:
        """Fill what lies between two lines."""
        across = self._across(x)
        upper = [f"{left:.1f} {top:.1f}" for left, top in zip(across, self._down(high), strict=True)]
        lower = [f"{left:.1f} {top:.1f}" for left, top in zip(across[::-1], self._down(low)[::-1], strict=True)]
        self._parts.append(f'<path class="area {series}" d="M{"L".join([*upper, *lower])}Z"/>')

    def points(self, x: Floats, y: Floats, series: Series = "one") -> None:
        """Put a dot on each point; of very many, evenly chosen ones."""
        chosen = np.unique(np.linspace(0, max(0, len(x) - 1), min(len(x), MOST_POINTS)).astype(np.int64))
        across, down = self._across(x)[chosen], self._down(y)[chosen]
        dots = "".join(f"M{left:.1f} {top:.1f}h0" for left, top in zip(across, down, strict=True))
        self._parts.append(f'<path class="dots {series}" d="{dots}"/>')

    def bars(self, edges: Floats, heights: Floats, series: Series = "one") -> None:
        """Draw a histogram; ``edges`` is one longer than ``heights``."""
        across, floor = self._across(edges), float(self._down(np.zeros(1))[0])
        for place, top in enumerate(self._down(heights)):
            width = max(0.5, across[place + 1] - across[place] - 1)
            said = f"{short(float(edges[place]))} to {short(float(edges[place + 1]))}: {short(float(heights[place]))}"
            self._parts.append(
                f'<rect class="bar {series}" x="{across[place]:.1f}" y="{top:.1f}" width="{width:.1f}" '
                f'height="{max(0.0, floor - top):.1f}"><title>{escape(said)}</title></rect>'
            )

    def diagonal(self) -> None:
        """Draw where both axes have the same value."""
        low, high = max(self.x.low, self.y.low), min(self.x.high, self.y.high)
        self.line(np.array([low, high]), np.array([low, high]), series="two", kind="dashed quiet")

    def upright(self, x: float) -> None:
        """Draw a vertical line."""
        self.line(np.array([x, x]), np.array([self.y.low, self.y.high]), series="two", kind="dashed quiet")

    def level(self, y: float) -> None:
        """Draw a horizontal line."""
        self.line(np.array([self.x.low, self.x.high]), np.array([y, y]), series="two", kind="dashed quiet")

    def finish(self) -> Markup:
        """Return the SVG."""
        frame = [*self._grid(), *self._parts, *self._labels()]
        return Markup(  # noqa: S704 - every text in it went through escape
            f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(self.about)}">{"".join(frame)}</svg>'
        )

    def _across(self, values: Floats) -> Floats:
        placed: Floats = LEFT + np.clip(self.x.place(values), -0.02, 1.02) * (WIDTH - LEFT - RIGHT)
        return placed

    def _down(self, values: Floats) -> Floats:
        placed: Floats = HEIGHT - BOTTOM - np.clip(self.y.place(values), -0.02, 1.02) * (HEIGHT - TOP - BOTTOM)
        return placed

    def _grid(self) -> list[str]:
        drawn = []
        for value, text in self.x.ticks():
            left = float(self._across(np.array([value]))[0])
            drawn.append(f'<path class="grid" d="M{left:.1f} {TOP}V{HEIGHT - BOTTOM}"/>')
            drawn.append(f'<text x="{left:.1f}" y="{HEIGHT - BOTTOM + 14}" class="middle">{escape(text)}</text>')
        for value, text in self.y.ticks():
            top = float(self._down(np.array([value]))[0])
            drawn.append(f'<path class="grid" d="M{LEFT} {top:.1f}H{WIDTH - RIGHT}"/>')
            drawn.append(f'<text x="{LEFT - 5}" y="{top + 4:.1f}" class="end">{escape(text)}</text>')
        return drawn

    def _labels(self) -> list[str]:
        across, down = (LEFT + WIDTH - RIGHT) / 2, (TOP + HEIGHT - BOTTOM) / 2
        return [
            f'<text x="{across}" y="{HEIGHT - 6}" class="middle name">{escape(self.x.label)}</text>',
            f'<text transform="translate(10 {down}) rotate(-90)" class="middle name">{escape(self.y.label)}</text>',
        ]
