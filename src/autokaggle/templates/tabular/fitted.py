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

    def predict(self, role: str) -> Floats:
        """Predict test, or those rows of train that the model may be judged on, on the scale on which it learned.

        Computed once per process.
        """
        if (id(self), role) not in _predicted:
            rows = self.split.scored_rows if role == "train" and self.split else None
            encoded = encoded_table(self.preparation, role)
            scores = self.model.predict(matrix(role, encoded, self.target_encoder, rows))
            if encoded.baselines.shape[1]:
                scores += encoded.baselines[slice(None) if rows is None else rows, self.target, None]
            _predicted[id(self), role] = scores
        return _predicted[id(self), role]


_predicted: dict[tuple[int, str], Floats] = {}


@dataclass(frozen=True)
class Fitted:
    """All models, in the order of folds and targets."""

    models: tuple[FoldModel, ...]
    version: int = 1

    def predict_scored(self, target: int) -> list[tuple[Rows, Floats]]:
        """Predict one target for the train rows that each model may be judged on: rows and scores of each."""
        own = [model for model in self.models if model.target == target and model.split is not None]
        rows = [model.split.scored_rows for model in own if model.split]
        return list(zip(rows, _side_by_side(own, "train"), strict=True))

    def predict_test(self, target: int) -> list[Floats]:
        """Predict one target for test, by the models that trained on all rows if there are such, else by all."""
        own = [model for model in self.models if model.target == target]
        return _side_by_side([model for model in own if model.split is None] or own, "test")


def _side_by_side(models: Sequence[FoldModel], role: str) -> list[Floats]:
    encoded_table(models[0].preparation, role)  # once, before the threads that share it
    with ThreadPoolExecutor(files.threads()) as pool:
        return list(pool.map(lambda model: model.predict(role), models))


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
