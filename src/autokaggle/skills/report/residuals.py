"""How far predicted values are off; this file draws predicted against true, residuals, and forecast against actual."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from autokaggle.skills.report.drawing import Axis, Figure, Plot, short

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

# Values that span more than this many times their smallest are shown on a log scale.
WIDE_SPAN = 100.0
HISTOGRAM_BINS = 30
MEDIAN_BINS = 20
TIME_BINS = 60


def residual_figures(name: str, truth: Floats, predicted: Floats) -> Iterator[Figure]:
    """Yield predicted against true, the residuals' histogram, and residuals over predictions."""
    yield _predicted_against_true(name, truth, predicted)
    residuals = predicted - truth
    low, high = np.quantile(residuals, [0.005, 0.995])
    if not high > low:
        return
    yield _histogram(residuals, float(low), float(high))
    yield _over_predictions(predicted, residuals, float(low), float(high))


def forecast_figure(name: str, truth: Floats, predicted: Floats, times: Floats, folds: Integers) -> Figure:
    """Return actual and forecast means over time, folds told apart by dashed lines."""
    known = np.isfinite(times)
    truth, predicted, times, folds = truth[known], predicted[known], times[known], folds[known]
    edges = np.linspace(times.min(), times.max(), TIME_BINS + 1)
    bins = np.clip(np.searchsorted(edges, times, side="right") - 1, 0, TIME_BINS - 1)
    rows = np.bincount(bins, minlength=TIME_BINS)
    with np.errstate(invalid="ignore"):
        means = [np.bincount(bins, weights=each, minlength=TIME_BINS) / rows for each in (truth, predicted)]
    middles = (edges[1:] + edges[:-1]) / 2
    filled = rows > 0
    names = tuple((float(at), _day(at)) for at in np.linspace(times.min(), times.max(), 4))
    x = Axis("time", float(edges[0]), float(edges[-1]), names=names)
    plot = Plot(x, Axis.around(f"mean {name}", np.concatenate(means)), "Forecast against actual")
    for fold in np.unique(folds)[1:]:
        plot.upright(float(times[folds == fold].min()))
    plot.line(middles[filled], means[0][filled], series="two")
    plot.line(middles[filled], means[1][filled])
    caption = "Each stretch was forecast by models that knew earlier ones only."
    return Figure("Forecast against actual", plot.finish(), caption, (("two", "actual"), ("one", "forecast")))


def _predicted_against_true(name: str, truth: Floats, predicted: Floats) -> Figure:
    both = np.concatenate([truth, predicted])
    is_log = bool(both.min() > 0 and both.max() > WIDE_SPAN * both.min())
    axis = Axis.around("", both, is_log=is_log)
    sides = [Axis(f"{word} {name}", axis.low, axis.high, is_log=is_log) for word in ("true", "predicted")]
    plot = Plot(sides[0], sides[1], "Predicted against true values")
    plot.points(truth, predicted)
    plot.diagonal()
    spread = float(np.sum((truth - truth.mean()) ** 2))
    explained = 1 - float(np.sum((truth - predicted) ** 2)) / spread if spread else 0.0
    return Figure("Predicted against true", plot.finish(), f"On the dashed line is best; R² {explained:.3f}.")


def _histogram(residuals: Floats, low: float, high: float) -> Figure:
    edges = np.linspace(low, high, HISTOGRAM_BINS + 1)
    heights = np.histogram(residuals, edges)[0].astype(np.float64)
    axis = Axis("predicted - true", low, high)
    plot = Plot(axis, Axis("rows", 0.0, float(heights.max()) * 1.05 or 1.0), "Residuals")
    plot.bars(edges, heights)
    plot.upright(0.0)
    middle = f"mean {short(float(residuals.mean()))}, half within ±{short(float(np.median(np.abs(residuals))))}"
    return Figure("Residuals", plot.finish(), f"Narrow and around 0 is best: {middle}.")


def _over_predictions(predicted: Floats, residuals: Floats, low: float, high: float) -> Figure:
    air = (high - low) * 0.04
    is_log = bool(predicted.min() > 0 and predicted.max() > WIDE_SPAN * predicted.min())
    plot = Plot(
        Axis.around("predicted", predicted, is_log=is_log),
        Axis("predicted - true", low - air, high + air),
        "Residuals over predictions",
    )
    inside = (residuals >= low) & (residuals <= high)
    plot.points(predicted[inside], residuals[inside])
    plot.level(0.0)
    bins = [part for part in np.array_split(np.argsort(predicted, kind="stable"), MEDIAN_BINS) if len(part)]
    middles = np.array([np.median(predicted[part]) for part in bins])
    plot.line(middles, np.array([np.median(residuals[part]) for part in bins]), series="three")
    return Figure(
        "Residuals over predictions",
        plot.finish(),
        "A band of even width around 0 is best.",
        (("three", "median"),),
    )


def _day(seconds: float) -> str:
    moment = dt.datetime.fromtimestamp(float(seconds), dt.UTC)
    return f"{moment:%Y-%m-%d}" if abs(seconds) > 86_400 * 400 else short(float(seconds))
