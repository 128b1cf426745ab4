"""What is to be predicted; this file reads the true values of the train rows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from autokaggle.errors import AutoKaggleError
from autokaggle.records.plan import Plan
from autokaggle.storage.parquet_tables import quote_identifier, quote_text, read_columns

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Truth:
    """``values`` is (train_rows, targets), rows in file order.

    A value is the label's position among the plan's classes, else a number; NaN where it is missing.
    """

    values: Floats

    @property
    def is_known(self) -> npt.NDArray[np.bool_]:
        """Tell for each train row whether all its targets have a value."""
        return np.asarray(np.isfinite(self.values).all(axis=1))


def read_truth(plan: Plan, tables: Path) -> Truth:
    """Read the targets of the train table.

    Raises:
        AutoKaggleError: the table holds a label that the plan does not list, or a value that is no number.
    """
    table = tables / plan.train_table
    expressions = {name: _expression(plan, name) for name in plan.target_columns}
    given = {f"{name} given": f"{quote_identifier(name)} IS NOT NULL" for name in plan.target_columns}
    found = read_columns(table, {**expressions, **given})
    columns = []
    for name in plan.target_columns:
        values = np.ma.filled(found[name].astype(np.float64), np.nan)
        strange = np.isnan(values) & np.asarray(found[f"{name} given"], dtype=bool)
        if strange.any():
            raise AutoKaggleError(
                f"{plan.train_table}: row {int(np.argmax(strange))} has an unknown value of {name!r}.",
                "Start a new run, so that the data are profiled again.",
            )
        columns.append(values)
    return Truth(np.column_stack(columns))


def label_scale(labels: tuple[str, ...]) -> Floats:
    """Return the number that stands for each label of an order: itself, else its position."""
    try:
        return np.array([float(label) for label in labels])
    except ValueError:
        return np.arange(len(labels), dtype=np.float64)


def _expression(plan: Plan, name: str) -> str:
    column = quote_identifier(name)
    if labels := plan.classes.get(name):
        listed = ", ".join(quote_text(label) for label in labels)
        return f"list_position([{listed}], CAST({column} AS VARCHAR)) - 1"
    return f"TRY_CAST({column} AS DOUBLE)"
