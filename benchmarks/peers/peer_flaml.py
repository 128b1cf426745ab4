"""FLAML; this file runs it on one competition (see ``task``)."""

from __future__ import annotations

import task
from flaml import AutoML

METRICS = {
    "accuracy": "accuracy",
    "roc_auc": "roc_auc",
    "log_loss": "log_loss",
    "mlogloss": "log_loss",
    "quadratic_weighted_kappa": "rmse",
    "rmsle": "rmse",
    "rmse": "rmse",
    "mae": "mae",
    "smape": "mape",
    "f1": "f1",
}


def fit_predict(given: task.Task) -> task.Predictions:
    """Fit within the time and predict test."""
    automl = AutoML()
    automl.fit(
        given.train,
        given.y,
        task="regression" if given.kind == "regression" else "classification",
        metric=METRICS[given.metric],
        time_budget=given.seconds,
        n_jobs=2,
        seed=given.seed,
        ensemble=True,
        verbose=0,
    )
    return automl.predict_proba(given.test) if given.wants_probabilities else automl.predict(given.test)


if __name__ == "__main__":
    task.main(fit_predict)
