"""The metrics that are known; this file is a list, each with the phrases by which competitions call it.

A metric of several targets is the mean over the targets, so each mean columnwise variant is the metric itself.
"""

from __future__ import annotations

from collections.abc import Iterator

from autokaggle.records.data_profile import SubmissionKind
from autokaggle.skills.scoring import label_metrics as labels
from autokaggle.skills.scoring import probability_metrics as probabilities
from autokaggle.skills.scoring import ranking_metrics as rankings
from autokaggle.skills.scoring import value_metrics as values
from autokaggle.skills.scoring.metric import Loss, Metric, MetricFunction

SKLEARN = "scikit-learn user guide, Metrics and scoring"
KAGGLE = "Kaggle, evaluation page of competitions that use it"
LIST_LENGTHS = (*range(1, 21), 25, 50, 100)
PERCENTILES = (5, 10, 25, 50, 75, 90, 95)


def _all_metrics() -> Iterator[Metric]:
    yield from _errors()
    yield from _correlations()
    yield from _labels()
    yield from _ordered_labels()
    yield from _probabilities()
    for length in LIST_LENGTHS:
        yield from _rankings(length)


def _errors() -> Iterator[Metric]:
    yield _error("rmse", values.rmse, "squared", "root mean squared error | root mean square error | rmse | rms error")
    yield _error("mse", values.mse, "squared", "mean squared error | mean square error | mse")
    yield _error(
        "mcrmse",
        values.rmse,
        "squared",
        "mean columnwise root mean squared error | mean column wise root mean squared error | mcrmse | "
        "columnwise root mean squared error | column wise root mean squared error",
    )
    yield _error(
        "rmsle",
        values.rmsle,
        "squared_log",
        "root mean squared logarithmic error | root mean squared log error | root mean square logarithmic error | "
        "root mean square log error | rmsle",
    )
    yield _error("msle", values.msle, "squared_log", "mean squared logarithmic error | mean squared log error | msle")
    yield _error("mae", values.mae, "absolute", "mean absolute error | mean absolute deviation | mae")
    yield _error("median_ae", values.median_ae, "absolute", "median absolute error | medae")
    yield _error("mape", values.mape, "relative", "mean absolute percentage error | mean absolute percent error | mape")
    yield _error(
        "smape",
        values.smape,
        "symmetric",
        "symmetric mean absolute percentage error | symmetric mean absolute percent error | smape",
        highest=200.0,
    )
    yield _error("rmspe", values.rmspe, "relative", "root mean square percentage error | rmspe")
    for percent in PERCENTILES:
        name = f"pinball_{percent:02d}"
        aliases = f"pinball loss at {percent} | pinball loss {percent} | quantile loss at {percent}"
        if percent == 50:
            aliases += " | pinball loss | quantile loss"
        yield _error(name, values.pinball(percent / 100), "absolute", aliases, quantile=percent / 100)


def _correlations() -> Iterator[Metric]:
    aliases = "r2 score | r2 | r squared | coefficient of determination"
    yield _score("r2", "value", values.r2, "squared", aliases, lowest=None)
    yield _score("explained_variance", "value", values.explained_variance, "squared", "explained variance", lowest=None)
    aliases = "pearson correlation coefficient | pearson correlation | pearson s correlation | pearson"
    yield _score("pearson", "value", values.pearson, "squared", aliases, lowest=-1.0)
    aliases = "spearman rank correlation | spearman s rank correlation | spearman s correlation | spearman correlation"
    yield _score("spearman", "value", values.spearman, "squared", f"{aliases} | spearman", lowest=-1.0)
    aliases = "normalized gini coefficient | normalised gini coefficient | normalized gini index | normalized gini"
    yield _score(
        "gini", "value", values.gini, "squared", f"{aliases} | gini coefficient | gini", lowest=-1.0, source=KAGGLE
    )


def _labels() -> Iterator[Metric]:
    aliases = "categorization accuracy | classification accuracy | accuracy score | accuracy | percentage of correct"
    yield _score("accuracy", "label", labels.accuracy, "log", aliases)
    aliases = "balanced accuracy score | balanced accuracy | mean recall | macro recall | macro averaged recall"
    yield _score("balanced_accuracy", "label", labels.balanced_accuracy, "balanced_log", aliases)
    yield _score("f1", "label", labels.f_beta(1.0), "log", "f1 score | f1 | f score | f measure | binary f1")
    aliases = (
        "macro f1 score | macro f1 | f1 macro | macro averaged f1 | f1 score macro | macro f score | f score macro"
    )
    yield _score("f1_macro", "label", labels.f1_macro, "log", aliases)
    aliases = (
        "micro f1 score | micro f1 | f1 micro | micro averaged f1 | f1 score micro | micro f score | f score micro"
    )
    yield _score("f1_micro", "label", labels.accuracy, "log", aliases)
    aliases = "weighted f1 score | weighted f1 | f1 weighted | f1 score weighted | weighted f score"
    yield _score("f1_weighted", "label", labels.f1_weighted, "log", aliases)
    yield _score("f_beta_05", "label", labels.f_beta(0.5), "log", "f0 5 score | f0 5 | f 0 5 score | f beta 0 5")
    yield _score("f_beta_2", "label", labels.f_beta(2.0), "log", "f2 score | f2 | f 2 score | f beta 2")
    yield _score("precision", "label", labels.precision, "log", "precision score")
    yield _score("recall", "label", labels.recall, "log", "recall score | sensitivity score")
    yield _score(
        "jaccard", "label", labels.jaccard, "log", "jaccard score | jaccard index | jaccard | intersection over union"
    )
    yield _score("jaccard_macro", "label", labels.jaccard_macro, "log", "macro jaccard | mean jaccard | mean iou")
    yield _score("dice", "label", labels.f_beta(1.0), "log", "dice coefficient | dice score | dice similarity | dice")
    aliases = "matthews correlation coefficient | matthew s correlation coefficient | matthews correlation | mcc"
    yield _score("mcc", "label", labels.mcc, "log", aliases, lowest=-1.0)
    yield _score("cohen_kappa", "label", labels.cohen_kappa, "log", "cohen s kappa | cohen kappa", lowest=-1.0)
    yield _error(
        "hamming_loss", labels.hamming_loss, "log", "hamming loss | hamming distance", compares="label", highest=1.0
    )


def _ordered_labels() -> Iterator[Metric]:
    aliases = "quadratic weighted kappa | quadratically weighted kappa | quadratic kappa | qwk"
    yield _score(
        "quadratic_weighted_kappa",
        "label",
        labels.quadratic_weighted_kappa,
        "squared",
        aliases,
        lowest=-1.0,
        is_ordered=True,
    )
    aliases = "linear weighted kappa | linearly weighted kappa | linear kappa"
    kappa = labels.linear_weighted_kappa
    yield _score("linear_weighted_kappa", "label", kappa, "squared", aliases, lowest=-1.0, is_ordered=True)


def _probabilities() -> Iterator[Metric]:
    aliases = (
        "area under the receiver operating characteristic curve | area under receiver operating characteristic curve | "
        "area under the roc curve | area under roc curve | area under the curve | roc auc score | roc auc | auc roc | "
        "auroc | auc | receiver operating characteristic"
    )
    yield _score("roc_auc", "probability", probabilities.roc_auc, "log", aliases)
    aliases = (
        "average precision score | average precision | area under the precision recall curve | auprc | pr auc | "
        "auc pr | precision recall auc"
    )
    yield _score("average_precision", "probability", probabilities.average_precision, "log", aliases)
    aliases = "log loss | logloss | logarithmic loss | binary cross entropy | cross entropy | logistic loss"
    yield _error("log_loss", probabilities.log_loss, "log", aliases, compares="probability")
    aliases = (
        "multi class logarithmic loss | multiclass logarithmic loss | multi class log loss | multiclass log loss | "
        "multiclass loss | multi class loss | categorical cross entropy | mlogloss | multi logloss"
    )
    yield _error("mlogloss", probabilities.log_loss, "log", aliases, compares="class_probability")
    aliases = "balanced logarithmic loss | balanced log loss"
    loss = probabilities.balanced_log_loss
    yield _error("balanced_log_loss", loss, "balanced_log", aliases, compares="class_probability", source=KAGGLE)
    yield _error(
        "brier", probabilities.brier, "log", "brier score | brier loss | brier", compares="probability", highest=2.0
    )


def _rankings(length: int) -> Iterator[Metric]:
    aliases = f"mean average precision at {length} | map at {length} | map {length} | m ap at {length}"
    yield _score(f"map_at_{length}", "ranked_labels", rankings.map_at(length), "log", aliases, source=KAGGLE)
    aliases = f"normalized discounted cumulative gain at {length} | ndcg at {length} | ndcg {length}"
    yield _score(f"ndcg_at_{length}", "ranked_labels", rankings.ndcg_at(length), "log", aliases)
    if length > 1:
        aliases = f"top {length} accuracy | accuracy at {length} | top {length} categorical accuracy"
        yield _score(f"top_accuracy_at_{length}", "ranked_labels", rankings.top_accuracy(length), "log", aliases)


def _error(
    name: str,
    function: MetricFunction,
    loss: Loss,
    aliases: str,
    *,
    compares: SubmissionKind = "value",
    highest: float | None = None,
    source: str = SKLEARN,
    quantile: float | None = None,
) -> Metric:
    """A metric that is 0 at best."""
    phrases = tuple(aliases.split(" | "))
    return Metric(
        id=name,
        title=phrases[0].capitalize(),
        greater_is_better=False,
        input=compares,
        function=function,
        loss=loss,
        aliases=phrases,
        lowest=0.0,
        highest=highest,
        source=source,
        quantile=quantile,
    )


def _score(
    name: str,
    compares: SubmissionKind,
    function: MetricFunction,
    loss: Loss,
    aliases: str,
    *,
    lowest: float | None = 0.0,
    is_ordered: bool = False,
    source: str = SKLEARN,
) -> Metric:
    """A metric that is 1 at best."""
    phrases = tuple(aliases.split(" | "))
    return Metric(
        id=name,
        title=phrases[0].capitalize(),
        greater_is_better=True,
        input=compares,
        function=function,
        loss=loss,
        aliases=phrases,
        lowest=lowest,
        highest=1.0,
        is_ordered=is_ordered,
        source=source,
    )


BUILT_IN = tuple(_all_metrics())
# Those that ship, and those of plugins and of the user that are in force in this process.
METRICS: dict[str, Metric] = {metric.id: metric for metric in BUILT_IN}
