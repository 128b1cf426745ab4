"""The door to the metrics; this file finds the one that a competition means, and names a default for the rest.

Those that ship are here from the start; those of plugins, and a run's own, are registered when the run is opened.
"""

from __future__ import annotations

import re

from autokaggle.errors import UsageError
from autokaggle.records.competition import MetricFinding
from autokaggle.records.data_profile import SubmissionKind, TaskType
from autokaggle.skills.scoring import metric_wording
from autokaggle.skills.scoring.metric import Metric
from autokaggle.skills.scoring.metric_catalogue import METRICS

__all__ = ["METRICS", "Metric", "default_metric", "find_metric", "identify_metric", "register"]


def find_metric(name: str) -> Metric:
    """Return the metric of this id: one that ships, a plugin's, or the run's own.

    Raises:
        UsageError: there is none; the message lists those that are known.
    """
    if name not in METRICS:
        # Those at a cut-off differ in its number alone.
        names = sorted({re.sub(r"_at_\d+$", "_at_K", known) for known in METRICS})
        raise UsageError(f"There is no metric {name!r}.", f"Known metrics: {', '.join(names)}; or FILE.py:function.")
    return METRICS[name]


def identify_metric(field: str, evaluation_text: str, title: str = "") -> MetricFinding:
    """Find the metric in the competition's metric field, else in the text of its evaluation page, else in its title.

    The finding's ``metric`` is None when no wording is known; ``wording`` then holds what the field says.
    """
    aliases = {name: metric.aliases for name, metric in METRICS.items()}
    match = metric_wording.match_metric(field, evaluation_text, title, aliases)
    if match is None:
        return MetricFinding(wording=field.strip(), source="field" if field.strip() else "default")
    return MetricFinding(
        metric=match.metric,
        wording=match.wording,
        greater_is_better=METRICS[match.metric].greater_is_better,
        source=match.source,
        confidence=match.confidence,
        evidence=match.evidence,
    )


def register(metric: Metric) -> None:
    """Add a metric that did not ship, for this process; a user's file that is read again replaces its old reading.

    Raises:
        UsageError: another metric has this id already.
    """
    if metric.score_pairs is not None and (known := METRICS.get(metric.id)) and known.score_pairs is not None:
        METRICS[metric.id] = metric
    elif METRICS.setdefault(metric.id, metric) is not metric:
        raise UsageError(f"There is a metric {metric.id!r} already.", "Give yours another name.")


def default_metric(task_type: TaskType, submission_kind: SubmissionKind | None = None) -> str:
    """Return the id of the metric to use when the competition names none that is known.

    Where the kind of submission is not known, labels are handed in: a scorer of probabilities can read them too,
    while a scorer of labels refuses probabilities. So too where
    one column is to hold the probabilities of many classes.
    """
    if submission_kind == "ranked_labels":
        return "map_at_3"
    if task_type in ("regression", "time_series_forecasting"):
        return "rmse"
    if task_type == "ordinal":
        return "quadratic_weighted_kappa"
    if submission_kind == "class_probability":
        return "mlogloss"
    is_binary = submission_kind == "probability" and task_type != "multiclass_classification"
    return "roc_auc" if is_binary else "accuracy"
