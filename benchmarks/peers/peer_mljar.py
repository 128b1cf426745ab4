"""MLJAR's AutoML in its competition mode; this file runs it on one competition (see ``task``)."""

from __future__ import annotations

import numpy as np
import task
from supervised.automl import AutoML

METRICS = {
    "accuracy": "accuracy",
    "roc_auc": "auc",
    "log_loss": "logloss",
    "mlogloss": "logloss",
    "quadratic_weighted_kappa": "rmse",
    "rmsle": "rmse",
    "rmse": "rmse",
    "mae": "mae",
    "smape": "mape",
    "f1": "f1",
}
TASKS = {
    "binary": "binary_classification",
    "multiclass": "multiclass_classification",
    "regression": "regression",
}


def fit_predict(given: task.Task) -> task.Predictions:
    """Fit within the time and predict test."""
    # Labels as their places among the sorted ones: columns of probabilities come in that order for any type of label.
    labels, y = np.unique(given.y, return_inverse=True)
    automl = AutoML(
        mode="Compete",
        ml_task=TASKS[given.kind],
        eval_metric=METRICS[given.metric],
        total_time_limit=int(given.seconds),
        results_path=str(given.folder / f"mljar-{given.y.name}"),
        n_jobs=2,
        random_state=given.seed,
        verbose=0,
    )
    is_class = given.kind != "regression"
    automl.fit(given.train, y if is_class else given.y.to_numpy(float))
    if given.wants_probabilities:
        return automl.predict_proba(given.test)
    found = automl.predict(given.test)
    return labels[np.asarray(found, dtype=int)] if is_class else found


if __name__ == "__main__":
    task.main(fit_predict)
