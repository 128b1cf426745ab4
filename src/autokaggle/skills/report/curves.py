"""How well classes are told apart; this file draws ROC, precision and recall, calibration, confusion."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from markupsafe import Markup, escape

from autokaggle.skills.report.drawing import SERIES, Axis, Figure, Plot, Series, short

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

MOST_CURVES = 6
MOST_CLASSES = 12
NARROW_CLASSES = 3
CALIBRATION_BINS = 10
FEWEST_ROWS_OF_BIN = 20
CURVE_POINTS = 200
HISTOGRAM_BINS = 24
SHARE = Axis("", 0.0, 1.0)


@dataclass(frozen=True)
class Scored:
    """One class against the rest: whether each row is of it, and the probability that was given."""

    name: str
    is_true: Bools
    probability: Floats


def curve_figures(found: Sequence[Scored]) -> Iterator[Figure]:
    """Yield ROC, precision and recall, calibration, and for one class the spread of its probabilities."""
    shown = [each for each in found if 0 < each.is_true.sum() < len(each.is_true)][:MOST_CURVES]
    if not shown:
        return
    yield _roc(shown)
    yield _precision_recall(shown)
    yield _calibration(found)
    if len(found) == 1:
        yield _spread(found[0])


def roc_points(is_true: Bools, probability: Floats) -> tuple[Floats, Floats]:
    """Return false and true positive rates for every threshold, from the strictest.

    Source: Fawcett (2006), "An introduction to ROC analysis".
    """
    hits, misses = _cumulated(is_true, probability)
    return np.r_[0.0, misses / max(1.0, misses[-1])], np.r_[0.0, hits / max(1.0, hits[-1])]


def precision_recall_points(is_true: Bools, probability: Floats) -> tuple[Floats, Floats]:
    """Return recall and precision for every threshold, from the strictest."""
    hits, misses = _cumulated(is_true, probability)
    return hits / max(1.0, hits[-1]), hits / (hits + misses)


def confusion_figure(truth: Integers, decided: Integers, labels: Sequence[str], title: str) -> Figure:
    """Return a table of true against predicted labels, coloured by the share of each true label."""
    kept = np.argsort(-np.bincount(truth, minlength=len(labels)), kind="stable")[:MOST_CLASSES]
    kept = np.sort(kept)
    counts = np.zeros((len(labels), len(labels)), dtype=np.int64)
    np.add.at(counts, (truth, decided), 1)
    head = "".join(f"<th>{escape(labels[column])}</th>" for column in kept)
    rows = [f'<tr><td></td><th colspan="{len(kept)}">predicted</th></tr><tr><th>true</th>{head}</tr>']
    for row in kept:
        total = max(1, int(counts[row].sum()))
        cells = "".join(_cell(int(counts[row, column]), total, row == column) for column in kept)
        rows.append(f"<tr><th>{escape(labels[row])}</th>{cells}</tr>")
    left_out = f" The {len(kept)} commonest of {len(labels)} labels." if len(kept) < len(labels) else ""
    said = f"{float((truth == decided).mean()):.1%} of the answers are right.{left_out}"
    drawing = Markup(f'<div class="wrap"><table class="confusion">{"".join(rows)}</table></div>')  # noqa: S704 - escaped
    return Figure(title, drawing, said, is_wide=len(kept) > NARROW_CLASSES)


def _cell(count: int, total: int, is_right: bool) -> str:
    share = count / total
    kind = "right" if is_right else "wrong"
    return f'<td class="{kind}" style="--share:{share:.3f}" title="{share:.1%} of the row">{count:,}</td>'


def _roc(shown: Sequence[Scored]) -> Figure:
    plot = Plot(_named("false positive rate"), _named("true positive rate"), "ROC curve")
    plot.diagonal()
    legend: list[tuple[Series, str]] = []
    for series, each in zip(SERIES, shown, strict=False):
        false, true = roc_points(each.is_true, each.probability)
        if len(shown) == 1:
            plot.area(*_thinned(false, np.zeros_like(false), true), series=series)
        plot.line(*_thinned(false, true), series=series)
        area = float(np.sum(np.diff(false) * (true[1:] + true[:-1]) / 2))
        legend.append((series, f"{each.name}: area {area:.3f}" if len(shown) > 1 else f"area {area:.3f}"))
    return Figure("ROC", plot.finish(), "Further up and left is better; the dashed line is guessing.", tuple(legend))


def _precision_recall(shown: Sequence[Scored]) -> Figure:
    plot = Plot(_named("recall"), _named("precision"), "Precision and recall")
    legend: list[tuple[Series, str]] = []
    for series, each in zip(SERIES, shown, strict=False):
        recall, precision = precision_recall_points(each.is_true, each.probability)
        plot.line(*_thinned(recall, precision), series=series)
        average = float(np.sum(np.diff(np.r_[0.0, recall]) * precision))
        legend.append((series, f"{each.name}: {average:.3f}" if len(shown) > 1 else f"average {average:.3f}"))
    if len(shown) == 1:
        plot.level(float(shown[0].is_true.mean()))
    caption = "Further up and right is better"
    return Figure(
        "Precision and recall",
        plot.finish(),
        f"{caption}; the dashed line is guessing." if len(shown) == 1 else f"{caption}.",
        tuple(legend),
    )


def _calibration(found: Sequence[Scored]) -> Figure:
    probability = np.concatenate([each.probability for each in found])
    is_true = np.concatenate([each.is_true for each in found])
    bins = _bins(probability, of_one_class=len(found) == 1)
    said = np.array([probability[part].mean() for part in bins])
    came = np.array([is_true[part].mean() for part in bins])
    # Two standard errors of a share.
    spread = 2 * np.sqrt(np.maximum(came * (1 - came), 1e-4) / np.array([len(part) for part in bins]))
    plot = Plot(_named("probability said"), _named("share that came true"), "Calibration")
    plot.diagonal()
    plot.area(said, np.maximum(0, came - spread), np.minimum(1, came + spread))
    plot.line(said, came)
    plot.points(said, came)
    gap = float(np.mean(np.abs(said - came)))
    return Figure("Calibration", plot.finish(), f"On the dashed line is best; off it by {gap:.3f} on average.")


def _bins(probability: Floats, *, of_one_class: bool) -> list[npt.NDArray[np.intp]]:
    """Group rows by the probability that was said, each group large enough for a share of it to mean something."""
    if not of_one_class:  # most classes are unlikely in most rows: bins of the same size would all lie near zero
        place = np.minimum((probability * CALIBRATION_BINS).astype(np.int64), CALIBRATION_BINS - 1)
        parts = [np.flatnonzero(place == number) for number in range(CALIBRATION_BINS)]
        if bins := [part for part in parts if len(part) >= FEWEST_ROWS_OF_BIN]:
            return bins
    count = max(1, min(CALIBRATION_BINS, len(probability) // FEWEST_ROWS_OF_BIN))
    return np.array_split(np.argsort(probability, kind="stable"), count)


def _spread(scored: Scored) -> Figure:
    edges = np.linspace(0.0, 1.0, HISTOGRAM_BINS + 1)
    parts = [np.histogram(scored.probability[each], edges)[0] for each in (~scored.is_true, scored.is_true)]
    heights = [part / max(1, part.sum()) for part in parts]
    top = max(float(part.max()) for part in heights)
    plot = Plot(_named("probability said"), Axis("share of rows", 0.0, top * 1.05 or 1.0), "Predicted probabilities")
    plot.bars(edges, heights[0], "two")
    plot.bars(edges, heights[1], "one")
    legend: tuple[tuple[Series, str], ...] = (("one", f"is {scored.name}"), ("two", "is not"))
    return Figure("Predicted probabilities", plot.finish(), "The less the two overlap, the better.", legend)


def _named(label: str) -> Axis:
    return Axis(label, SHARE.low, SHARE.high, names=tuple((tick / 5, short(tick / 5)) for tick in range(6)))


def _cumulated(is_true: Bools, probability: Floats) -> tuple[Floats, Floats]:
    """Return true and false rows at or above each different probability, from the highest."""
    order = np.argsort(-probability, kind="stable")
    ends = np.r_[np.flatnonzero(np.diff(probability[order])), len(order) - 1]
    hits = np.cumsum(is_true[order])[ends].astype(np.float64)
    return hits, (ends + 1.0) - hits


def _thinned(*columns: Floats) -> tuple[Floats, ...]:
    """Return evenly chosen points, both ends among them."""
    count = len(columns[0])
    chosen = np.unique(np.linspace(0, count - 1, min(count, CURVE_POINTS)).astype(np.int64))
    return tuple(column[chosen] for column in columns)
