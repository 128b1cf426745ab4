"""The fitted pipeline; this file is what ``train.py`` writes and the other scripts predict with.

What was fitted or prepared stays in memory for the next script when all run in one interpreter; alone, a script
reads ``model.joblib``.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import joblib

import files
import models
import target_encoding
from folds import Rows, Split
from preparation import Preparation, encoded_table, matrix
from targets import Floats

MODEL_FILE = "model.joblib"


@dataclass(frozen=True, eq=False)
class FoldModel:
    """One model of one target; ``split`` is the fold that it may be judged on, None when it trained on all rows."""

    target: int
    split: Split | None
    preparation: Preparation
    target_encoder: target_encoding.TargetEncoder
    model: models.Model

    def predict(self, role: str, rows: Rows | None = None) -> Floats:
        """Predict rows of train or test (all when None), on the scale on which the model learned."""
        return self.model.predict(matrix(encoded_table(self.preparation, role), self.target_encoder, rows))


@dataclass(frozen=True)
class Fitted:
    """All models, in the order of folds and targets."""

    models: tuple[FoldModel, ...]
    version: int = 1

    def predict_scored(self, target: int) -> list[tuple[Rows, Floats]]:
        """Predict one target for the train rows that each model may be judged on: rows and scores of each."""
        own = [model for model in self.models if model.target == target and model.split is not None]
        rows = [model.split.scored_rows for model in own if model.split]
        return list(zip(rows, _side_by_side(own, "train", rows), strict=True))

    def predict_test(self, target: int) -> list[Floats]:
        """Predict one target for test, by the models that trained on all rows if there are such, else by all."""
        own = [model for model in self.models if model.target == target]
        chosen = [model for model in own if model.split is None] or own
        return _side_by_side(chosen, "test", [None] * len(chosen))


def _side_by_side(models: Sequence[FoldModel], role: str, rows: Sequence[Rows | None]) -> list[Floats]:
    encoded_table(models[0].preparation, role)  # once, before the threads that share it
    with ThreadPoolExecutor(files.threads()) as pool:
        return list(pool.map(lambda model, chosen: model.predict(role, chosen), models, rows))


_kept: list[Fitted] = []


def save(fitted: Fitted) -> None:
    """Write ``model.joblib`` and keep the models for the next script of this process."""
    joblib.dump(fitted, files.output_folder() / MODEL_FILE)
    _kept[:] = [fitted]


def load() -> Fitted:
    """Return what ``train.py`` fitted."""
    if _kept:
        return _kept[0]
    path = files.output_folder() / MODEL_FILE
    if not path.is_file():
        raise SystemExit(f"{path} is not there: run train.py first.")
    fitted = joblib.load(path)
    assert isinstance(fitted, Fitted)
    return fitted
