"""Two models on the same rows; this file says whether one is better, or whether the difference is noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from autokaggle.skills.scoring.answers import Answers
from autokaggle.skills.scoring.intervals import bootstrap_deviation
from autokaggle.skills.scoring.surrogate import Surrogate

Floats = npt.NDArray[np.float64]

# A difference of fewer standard errors than this happens by chance too often to count.
NOISE_ERRORS = 2.0


@dataclass(frozen=True)
class Comparison:
    """``gain`` is how much better the newer one scores, negative when worse; ``error`` is its standard error."""

    gain: float
    error: float

    @property
    def errors(self) -> float:
        """The gain in standard errors; infinite when there is no noise at all."""
        if self.error > 0:
            return self.gain / self.error
        return float(np.copysign(np.inf, self.gain)) if self.gain else 0.0

    @property
    def is_noise(self) -> bool:
        """Tell whether a gain of this size, either way, could well be chance."""
        return not abs(self.errors) >= NOISE_ERRORS

    @property
    def verdict(self) -> str:
        """Say it in a few words."""
        if self.is_noise:
            return f"inside the noise ({self.gain:+.4g} ± {self.error:.2g})"
        return f"{'better' if self.gain > 0 else 'worse'} by {abs(self.gain):.4g} ± {self.error:.2g}"


def loss_errors(surrogate: Surrogate, newer: Floats, older: Floats) -> float:
    """Return by how many standard errors the newer predictions have the smaller loss, paired by row.

    Both are (n_rows, prediction columns), of the rows of the surrogate.
    """
    return mean_in_errors(surrogate.losses(surrogate.evidence(older)) - surrogate.losses(surrogate.evidence(newer)))


def mean_in_errors(differences: Floats) -> float:
    """Return the mean of (n_rows,) differences in its standard errors, 0 where all rows differ alike."""
    deviation = float(differences.std())
    return float(differences.mean()) / deviation * float(np.sqrt(len(differences))) if deviation > 0 else 0.0


def compare(newer: Answers, older: Answers) -> Comparison:
    """Compare by a paired bootstrap: both are scored on the same drawn rows, so what is common to both cancels.

    Both must hold the same rows in the same order.
    """
    gain = newer.metric.gain(newer.score(), older.score())
    return Comparison(gain=gain, error=bootstrap_deviation(newer, older))
