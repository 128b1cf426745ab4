"""A metric and a model family for AutoKaggle; this file holds the hooks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from autokaggle.plugins import hookimpl
from autokaggle.skills.pipeline.families import ModelFamily
from autokaggle.skills.pipeline.portfolio import Entry
from autokaggle.skills.scoring.metric import Metric


def within_ten_percent(truth: npt.NDArray[Any], predicted: npt.NDArray[Any]) -> float:
    """Return the share of predictions that err by at most a tenth of the truth."""
    return float(np.mean(np.abs(predicted - truth) <= 0.1 * np.abs(truth)))


@hookimpl
def autokaggle_metrics() -> list[Metric]:
    """Give one metric; a competition whose evaluation page has one of the aliases uses it by itself."""
    return [
        Metric(
            id="within_ten_percent",
            title="Within ten percent",
            greater_is_better=True,
            input="value",
            function=within_ten_percent,
            loss="relative",
            aliases=("within ten percent", "share within 10 percent"),
            lowest=0.0,
            highest=1.0,
        )
    ]


@hookimpl
def autokaggle_model_families() -> list[ModelFamily]:
    """Give one family with two configurations; its file is copied into each candidate and runs in the sandbox."""
    return [
        ModelFamily(
            name="neighbours",
            file=Path(__file__).with_name("model_neighbours.py"),
            requirements=("scikit-learn>=1.8",),
            entries=(
                Entry("Fifteen neighbours", "neighbours", 0.5, "Rows that look alike have like targets."),
                Entry("Fifty neighbours", "neighbours", 0.5, "More neighbours, less noise.", {"neighbours": 50}),
            ),
        )
    ]
