"""How long a configuration of the tabular portfolio should take; this file estimates it from the size of the data.

Estimates are rough: a run corrects them by what it sees.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from autokaggle.records.data_profile import ColumnProfile, DataProfile
from autokaggle.records.plan import Plan
from autokaggle.skills.pipeline.configurations import XGBOOST, Entry
from autokaggle.skills.pipeline.template_entries import FITS_AT_ONCE, fits

# Starting Python, reading tables, making features of a small table; scikit-learn takes longer to import.
START_SECONDS = 1.5
SCIKIT_LEARN_SECONDS = 1.3
SCIKIT_LEARN_FAMILIES = ("linear", "extra_trees", "kernel", "nearest")
# One model of slow LightGBM with one thread: for itself, and for each cell of the table.
SECONDS_PER_MODEL = 0.1
SECONDS_PER_CELL = 5e-6
# The network (templates/tabular/model_mlp.py) takes its time by weights more than by cells: few rows take as many steps
# as a thousand do. Measured from 120 x 300 to 160,000 x 50: a step, each weight for a row of a step, usual rounds.
NETWORK = "mlp"
SECONDS_PER_STEP, SECONDS_PER_ROW_AND_WEIGHT = 7e-4, 1.8e-10
# A round sees a part only of very many rows.
USUAL_ROUNDS, MOST_ROUNDS, MANY_ROWS = 30, 120, 20_000
FIRST_LAYER, OTHER_WEIGHTS = 256, 256 * 128
BATCH_ROWS, MOST_BATCHES, STEPS_PER_ROUND, MOST_WATCHED = 128, 400, (10, 50), 10_000
PIECES, MOST_PIECES, MOST_LEVELS, PARTS_OF_DATE = 16, 600, 40, 5
# Kernel machines (templates/tabular/model_kernel.py): to judge a setting by rows left out, to solve for as many rows as
# may vote, to take in a row where a part of them votes, and a vote on a row. Measured with 5 to 250 columns.
KERNEL = "kernel"
SECONDS_TO_JUDGE, JUDGED_ROWS, FIRST_REACHES, LATER_REACHES = 0.13, 1_000, 4, 3
# Measured with 2 to 30 classes: each is one more output that every setting is judged by.
JUDGED_LONGER_PER_CLASS = 0.02
SECONDS_TO_SOLVE, MOST_VOTERS = 1.2, 4_000
SECONDS_PER_ROW_OF_MANY, VOTERS_OF_MANY, MOST_ROWS = 1.4e-4, 2_000, 20_000
SECONDS_PER_VOTE = 1e-8
# What XGBoost takes on a GPU of its time on two cores. Source: Mitchell & Frank 2017, "Accelerating the XGBoost
# algorithm using GPU computing" (3 to 6 times as fast as four cores), taken with caution: not measured here.
GPU_TIME = 0.25


def expected_seconds(entry: Entry, plan: Plan, profile: DataProfile) -> float:
    """Estimate the wall-clock seconds of a candidate on two cores, from rows, columns, classes and folds."""
    columns = [column for column in profile.columns if column.in_train and column.in_test]
    rows, folds = profile.train_rows, plan.validation.folds
    count = len(plan.target_columns) * folds * plan.validation.repeats
    if entry.family == NETWORK:
        seconds = _seconds_of_network(rows, columns, folds)
    elif entry.family == KERNEL:
        machines = 1 + int(entry.parameters.get("weighings", 0))
        classes = max(map(len, plan.classes.values()), default=0)
        seconds = _seconds_of_kernel(rows, rows // folds + profile.test_rows, machines, classes)
    else:
        count = fits(plan)
        seconds = SECONDS_PER_MODEL + SECONDS_PER_CELL * rows * len(columns)
    training = entry.cost * count * seconds / FITS_AT_ONCE
    imports = START_SECONDS + (SCIKIT_LEARN_SECONDS if entry.family in SCIKIT_LEARN_FAMILIES else 0.0)
    return imports + training * (GPU_TIME if is_for_gpu(entry, plan) else 1.0)


def is_for_gpu(entry: Entry, plan: Plan) -> bool:
    """Say whether the configuration trains on the GPU that the plan has."""
    return plan.gpu and XGBOOST in entry.requirements


def _seconds_of_kernel(rows: int, predicted: int, machines: int, classes: int) -> float:
    """Estimate the seconds of so many kernel machines with one thread, their predictions included."""
    judged = SECONDS_TO_JUDGE * (min(rows, JUDGED_ROWS) / JUDGED_ROWS) ** 3 * (FIRST_REACHES + LATER_REACHES * machines)
    judged *= 1 + JUDGED_LONGER_PER_CLASS * classes
    if rows <= MOST_VOTERS:
        voters, solved = rows, SECONDS_TO_SOLVE * (rows / MOST_VOTERS) ** 3
    else:
        voters, solved = VOTERS_OF_MANY, SECONDS_PER_ROW_OF_MANY * min(rows, MOST_ROWS)
    return judged + machines * (solved + SECONDS_PER_VOTE * voters * predicted)


def _seconds_of_network(rows: int, columns: Sequence[ColumnProfile], folds: int) -> float:
    """Estimate the seconds of one network with one thread."""
    levels = [min(column.distinct, MOST_LEVELS) for column in columns if column.kind in ("category", "ordinal")]
    dates = [column for column in columns if column.kind == "datetime"]
    numbers = len(columns) - len(levels) + (PARTS_OF_DATE - 1) * len(dates)
    gaps = sum(bool(column.missing) for column in columns)
    inputs = numbers + min(PIECES * numbers, MOST_PIECES) + sum(levels) + gaps
    row_seconds = SECONDS_PER_ROW_AND_WEIGHT * (inputs * FIRST_LAYER + OTHER_WEIGHTS)
    fewest, most = STEPS_PER_ROUND
    batch = min(rows, max(BATCH_ROWS, rows // MOST_BATCHES))
    steps = min(max(rows // max(1, batch), fewest), most)
    watching = min(rows / folds, MOST_WATCHED) * row_seconds / 3  # no way back
    rounds = min(USUAL_ROUNDS * math.sqrt(max(1.0, rows / MANY_ROWS)), MOST_ROUNDS)
    return rounds * (steps * (SECONDS_PER_STEP + batch * row_seconds) + watching)
