"""AutoGluon with its best preset; this file runs it on one competition (see ``task``).

Without Ray, whose start costs a sixth of two minutes on two cores, and without the trial run for stacking, which costs
a quarter: both leave more time for models.
"""

from __future__ import annotations

import task
from autogluon.tabular import TabularPredictor

METRICS = {
    "accuracy": "accuracy",
    "roc_auc": "roc_auc",
    "log_loss": "log_loss",
    "mlogloss": "log_loss",
    "quadratic_weighted_kappa": "root_mean_squared_error",
    "rmsle": "root_mean_squared_error",
    "rmse": "root_mean_squared_error",
    "mae": "mean_absolute_error",
    "smape": "symmetric_mean_absolute_percentage_error",
    "f1": "f1",
}


def fit_predict(given: task.Task) -> task.Predictions:
    """Fit within the time and predict test."""
    train = given.train.assign(__target__=given.y)
    predictor = TabularPredictor(
        label="__target__",
        problem_type=given.kind,
        eval_metric=METRICS[given.metric],
        path=str(given.folder / f"autogluon-{given.y.name}"),
        verbosity=1,
    )
    predictor.fit(
        train, presets="best_quality", time_limit=given.seconds, num_cpus=2, num_gpus=0, dynamic_stacking=False
    )
    if given.wants_probabilities:
        return predictor.predict_proba(given.test).sort_index(axis=1).to_numpy()
    return predictor.predict(given.test).to_numpy()


if __name__ == "__main__":
    task.main(fit_predict)
