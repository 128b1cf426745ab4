"""Plain LightGBM, five folds; this file runs it on one competition (see ``task``): what everybody tries first."""

from __future__ import annotations

import lightgbm
import numpy as np
import task
from sklearn.model_selection import KFold, StratifiedKFold

ROUNDS, PATIENCE, FOLDS = 2000, 50, 5


def fit_predict(given: task.Task) -> task.Predictions:
    """Fit five fold models with early stopping and predict test with their mean; without a column the commonest."""
    if not len(given.train.columns):
        return _constant(given)
    both = {role: frame.copy() for role, frame in (("train", given.train), ("test", given.test))}
    for name in given.train.columns:
        if given.train[name].dtype == object or given.train[name].dtype == bool:
            levels = sorted(set(given.train[name].dropna().astype(str)))
            for frame in both.values():
                frame[name] = frame[name].astype(str).astype(lightgbm.compat.pd_CategoricalDtype(levels))
    labels = sorted(given.y.unique())
    is_class = given.kind != "regression"
    y = np.searchsorted(labels, given.y) if is_class else given.y.to_numpy(float)
    folds = (StratifiedKFold if is_class else KFold)(FOLDS, shuffle=True, random_state=given.seed)
    kind = lightgbm.LGBMClassifier if is_class else lightgbm.LGBMRegressor
    found = []
    for fit, watch in folds.split(both["train"], y if is_class else None):
        model = kind(n_estimators=ROUNDS, learning_rate=0.05, n_jobs=2, random_state=given.seed, verbosity=-1)
        model.fit(
            both["train"].iloc[fit],
            y[fit],
            eval_X=both["train"].iloc[watch],
            eval_y=y[watch],
            callbacks=[lightgbm.early_stopping(PATIENCE, verbose=False)],
        )
        found.append(model.predict_proba(both["test"]) if is_class else model.predict(both["test"]))
    mean = np.mean(found, axis=0)
    return np.asarray(labels)[mean.argmax(axis=1)] if is_class and not given.wants_probabilities else mean


def _constant(given: task.Task) -> task.Predictions:
    if given.kind == "regression":
        return np.full(len(given.test), given.y.mean())
    shares = given.y.value_counts(normalize=True).sort_index()
    rows = np.tile(shares.to_numpy(), (len(given.test), 1))
    return rows if given.wants_probabilities else shares.index.to_numpy()[rows.argmax(axis=1)]


if __name__ == "__main__":
    task.main(fit_predict)
