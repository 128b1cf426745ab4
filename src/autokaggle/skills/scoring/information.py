"""Whether predictions are about their rows; this file refuses those that would be as good in any other order.

Predictions in the wrong rows look like real ones, column by column. Two signs together give them away: they do not fit
their own rows better than rows drawn by lot, and they lose against one constant for all rows.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from autokaggle.records.plan import Plan
from autokaggle.skills.scoring.constant import constant_predictions
from autokaggle.skills.scoring.prediction_files import InvalidPredictions
from autokaggle.skills.scoring.surrogate import make_surrogate

Floats = npt.NDArray[np.float64]

PERMUTATIONS = 5
LEAST_ERRORS_OF_FIT = 2.0
MOST_ERRORS_OF_EXCESS = 3.0
MOST_ROWS = 50_000


def check_information(name: str, plan: Plan, truth: Floats, predictions: Floats) -> None:
    """Refuse predictions that have nothing to do with the truth; a weak model that knows it is weak passes.

    ``truth`` is (n_rows, targets) without missing values, ``predictions`` (n_rows, prediction columns) for these rows.

    Raises:
        InvalidPredictions: they fit no better than when they are shuffled, and worse than a constant.
    """
    random = np.random.default_rng(len(truth))
    if len(truth) > MOST_ROWS:
        rows = random.choice(len(truth), MOST_ROWS, replace=False)
        truth, predictions = truth[rows], predictions[rows]
    surrogate = make_surrogate(plan, truth)

    def losses(of: Floats) -> Floats:
        return surrogate.losses(surrogate.evidence(of))

    own = losses(predictions)
    lots = np.mean([losses(random.permutation(predictions)) for _ in range(PERMUTATIONS)], axis=0)
    constant = losses(np.tile(constant_predictions(plan, truth), (len(truth), 1)))
    if _errors(lots - own) < LEAST_ERRORS_OF_FIT and _errors(own - constant) > MOST_ERRORS_OF_EXCESS:
        raise InvalidPredictions(
            f"{name}: the predictions fit their rows no better than rows drawn by lot, and worse than one constant; "
            "is each prediction in the row that it is for?"
        )


def _errors(differences: Floats) -> float:
    """Return the mean in standard errors."""
    spread = float(differences.std())
    mean = float(differences.mean())
    if spread == 0:
        return float(np.copysign(np.inf, mean)) if mean else 0.0
    return mean / spread * float(np.sqrt(len(differences)))
