"""Fit one model per fold and target; this file is the first script: it writes ``model.joblib``."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np

import files
import fitted
import folds
import models
import stopping
import target_encoding
from clock import FitClock
from fitted import FoldModel
from folds import Rows, Split
from matrices import joined
from preparation import Preparation, encoded_table, matrix, prepare_all_rows, prepare_fold
from stopping import Curve
from targets import Floats, Target, outcomes, read_targets, row_weights, to_numbers

# Where the labels of the scored rows are sealed, boosting watches this share of its own rows instead.
WATCHED_SHARE = 0.12
# Of a sample to fit on, so many times fewer rows are watched.
WATCHED_PART = 4
# Of fewer rows those that tell when to stop are flattered too much to be scored: others are set aside for it.
FEW_ROWS = 1_000
# Up to so many rows, and where folds go forward in time, the other folds say how many rounds a fold's model keeps.
MOST_ROWS_TO_SETTLE = 20_000


def main() -> None:
    """Fit every fold, several at once, and write the models."""
    splits = folds.read_splits()
    refits = folds.is_forward() and folds.sealed_fold() is None
    training = Training(len(splits), refits)
    jobs = [(position, split) for split in splits for position in range(len(training.targets))]
    with ThreadPoolExecutor(training.at_once) as pool:
        found = list(pool.map(lambda job: training.fit_fold(*job), jobs))
        if training.settles:
            training.settle_rounds(found)
            list(pool.map(training.predict_ahead, found))
    if refits:
        found += [training.fit_all_rows(position, found) for position in range(len(training.targets))]
    fitted.save(fitted.Fitted(tuple(found)))
    files.write_limits({training.name_of(each.target, each.split): each.model.replay for each in found})


class Training:
    """What all fits share: the labels, the clock and, unless features learn from labels, the preparation."""

    def __init__(self, splits: int, refits: bool) -> None:
        config = files.config()
        self.refits = refits
        self.targets = read_targets(config)
        self.seed = int(config["seed"])
        self.sample_rows = int(config["sample_rows"]) if config.get("sample_rows") else None
        self.family = str(config["model"]["family"])
        self.parameters = dict(config["model"].get("parameters", {}))
        self.gpu = bool(config["model"].get("gpu"))
        self.at_once = 1 if self.gpu else files.threads()
        train = files.load_table("train")
        self.labels = [to_numbers(target, train[target.name]) for target in self.targets]
        # Who watches other rows does not judge by rows left out.
        self.together = None if self.family in models.WATCHING else folds.kept_together()
        self.settles = refits or len(train) <= MOST_ROWS_TO_SETTLE
        self.limits = files.read_limits()
        # The model for test comes last and is the one that counts: its time is kept for it.
        alone = len(self.targets) if refits else 0
        self.shared = None if config["features"]["learn_from"] == "fold" else prepare_all_rows()
        self.fit = models.fitter(self.family)
        # A later run that knows where the clock ended the first goes as far, however long it takes.
        most_seconds = None if self.limits is not None else config.get("most_seconds")
        self.clock = FitClock(splits * len(self.targets), self.at_once, alone, most_seconds)

    def fit_fold(self, position: int, split: Split) -> FoldModel:
        """Fit the model of one target that may be judged on the split's scored rows."""
        y = self.labels[position]
        fit_rows, watched_rows = _labelled(split.fit_rows, y), _labelled(split.scored_rows, y)
        if self.sample_rows is not None:
            fit_rows = _sampled(fit_rows, self.sample_rows, self.seed)
            watched_rows = _sampled(watched_rows, self.sample_rows // WATCHED_PART, self.seed)
        if folds.sealed_fold() is not None or (self.family not in models.BOOSTING and len(y) < FEW_ROWS):
            # Sealed labels may be there by hand: not used either, so that the models are those that were scored.
            watched_rows = watched_rows[:0]
        if not len(watched_rows) and self.family in models.WATCHING:
            fit_rows, watched_rows = _set_aside(fit_rows, self.seed)
        made = self._fit(position, split, fit_rows, watched_rows, self.parameters)
        if not self.settles:
            self.predict_ahead(made)
        return made

    def settle_rounds(self, fold_models: list[FoldModel]) -> None:
        """Let each fold's model keep as many rounds as were best in the other folds of its target and repeat."""
        groups: dict[tuple[int, int], list[tuple[models.Model, Curve]]] = {}
        for made in fold_models:
            if made.split and (curve := _curve(made.model)):
                groups.setdefault((made.target, made.split.repeat), []).append((made.model, curve))
        for group in groups.values():
            if len(group) > 1:
                best = stopping.best_of_others([curve for _, curve in group])
                for (model, curve), place in zip(group, best, strict=True):
                    model.rounds = curve.rounds_to(place)
        print("rounds kept:", *(made.model.rounds for made in fold_models), flush=True)

    def fit_all_rows(self, position: int, fold_models: list[FoldModel]) -> FoldModel:
        """Fit a model for test on all rows, with as many rounds as the folds needed, scaled to the rows."""
        y = self.labels[position]
        rows = _labelled(np.arange(len(y)), y)
        if self.sample_rows is not None:
            rows = _sampled(rows, self.sample_rows, self.seed)
        own = [made for made in fold_models if made.target == position]
        parameters, last = dict(self.parameters), own[-1]
        if last.model.rounds and last.split:
            curves = [curve for made in own if (curve := _curve(made.model))]
            rounds = stopping.best_together(curves) if curves else last.model.rounds
            trained = min(len(_labelled(last.split.fit_rows, y)), self.sample_rows or len(y))
            parameters["rounds"] = round(rounds * min(1.5, len(rows) / trained))
        made = self._fit(position, None, rows, rows[:0], parameters)
        self.predict_ahead(made)
        return made

    def _fit(
        self, position: int, split: Split | None, fit_rows: Rows, watched_rows: Rows, parameters: dict[str, object]
    ) -> FoldModel:
        target, labels = self.targets[position], self.labels[position]
        y = labels
        preparation = self.shared or prepare_fold(fit_rows)
        encoded = encoded_table(preparation, "train")
        if encoded.baselines.shape[1]:
            y = labels - encoded.baselines[:, position]
            fit_rows, watched_rows = _labelled(fit_rows, y), _labelled(watched_rows, y)
        encoder, crosswise = target_encoding.fit(encoded.keys[fit_rows], outcomes(target, y[fit_rows]), self.seed)
        watched = None
        if len(watched_rows):
            seen = matrix("train", encoded, encoder, watched_rows)
            watched = models.Rows(seen, y[watched_rows], row_weights(target, labels[watched_rows]))
        name = self.name_of(position, split)
        if self.limits and name in self.limits:
            parameters = {**parameters, **self.limits[name]}
        task = models.Task(
            rows=self._with_original(
                models.Rows(
                    joined("train", encoded.values[fit_rows], fit_rows, crosswise),
                    y[fit_rows],
                    row_weights(target, labels[fit_rows]),
                    None if self.together is None else self.together[fit_rows],
                ),
                target,
                preparation,
                encoder,
            ),
            watched=watched,
            objective=target.objective,
            classes=target.class_count,
            category_columns=preparation.encoding.category_columns,
            seed=self.seed,
            end=self.clock.next_end(),
            parameters=parameters,
            quantile=target.quantile,
            gpu=self.gpu,
        )
        is_same = len(task.rows.y) > 0 and bool(np.all(task.rows.y == task.rows.y[0]))
        model = models.same(task) if is_same else self.fit(task)
        print(f"{name}: {model.note}\n", end="", flush=True)
        return FoldModel(position, split, preparation, encoder, model)

    def _with_original(
        self, rows: models.Rows, target: Target, preparation: Preparation, encoder: target_encoding.TargetEncoder
    ) -> models.Rows:
        """Add the rows of the original data set, where the configuration asks for them."""
        if "rows" not in files.config()["features"].get("original", []):
            return rows
        labels = to_numbers(target, files.load_table("original")[target.name])
        known = np.flatnonzero(~np.isnan(labels))
        more = matrix("original", encoded_table(preparation, "original"), encoder, known)
        y, together = np.concatenate([rows.y, labels[known]]), rows.together
        if together is not None:  # of groups of its rows nothing is known
            together = np.append(together, together.max(initial=0) + 1 + np.arange(len(known)))
        return models.Rows(np.concatenate([rows.x, more]), y, row_weights(target, y), together)

    def predict_ahead(self, made: FoldModel) -> None:
        """Predict what the other scripts will ask for while the time of fits is counted."""
        if not self.clock.is_running:
            return
        if made.split:
            made.predict("train")
        if not (made.split and self.refits):
            made.predict("test")

    def name_of(self, position: int, split: Split | None) -> str:
        """Name a fit in the log and in ``limits.json``."""
        place = f"repeat {split.repeat}, fold {split.fold}" if split else "all rows"
        return f"{self.targets[position].name}, {place}"


def _curve(model: models.Model) -> Curve | None:
    """Return how the loss of the watched rows fell; none for a family that does not keep it."""
    curve: Curve | None = getattr(model, "curve", None)
    return curve


def _labelled(rows: Rows, y: Floats) -> Rows:
    return rows[~np.isnan(y[rows])]


def _sampled(rows: Rows, most: int, seed: int) -> Rows:
    """Draw at most so many of the rows, and keep their order."""
    if len(rows) <= most:
        return rows
    return np.sort(np.random.default_rng(seed).choice(rows, most, replace=False))


def _set_aside(rows: Rows, seed: int) -> tuple[Rows, Rows]:
    """Split off rows to watch the loss on."""
    watched = np.random.default_rng(seed).random(len(rows)) < WATCHED_SHARE
    return rows[~watched], rows[watched]


if __name__ == "__main__":
    main()
