"""A made-up competition for the tests of the dialogue; this file builds its records, with no file on disk."""

from __future__ import annotations

import json
from typing import Any

from autokaggle.records.competition import Competition, Gate, MetricFinding
from autokaggle.records.data_profile import ColumnProfile, DataProfile, FileProfile, Guess, SplitHints
from autokaggle.records.run import RunOptions
from autokaggle.skills.dialogue.brief import Brief

COMPETITION = Competition(
    slug="orchard",
    title="Orchard | yields\n# not a heading",
    metric=MetricFinding(
        metric="roc_auc",
        wording="ROC AUC",
        source="field",
        confidence=0.95,
        evidence="ROC AUC",
        greater_is_better=True,
    ),
    gates=(
        Gate(name="external_data", value=False, sentence="External data are not allowed.", page="rules.md"),
        Gate(name="daily_submissions", value=5, sentence="Five submissions a day.", page="rules.md"),
    ),
)
SURE = Guess(value="sold", confidence=0.9, evidence="in train, not in test")
PAGES = {
    "rules": "# Rules\n\nExternal data are not allowed.\n\nWrite to jane.roe@example.com.",
    "evaluation": "# Evaluation\n\nThe area under the ROC curve decides.\n\n```\nid,sold\nrow-77,0.5\n```\n",
}
METRICS = {"roc_auc": "probability", "log_loss": "probability", "accuracy": "label", "rmse": "value"}


def profile(**changes: Any) -> DataProfile:
    """An orchard's trees: a group, a personal column, a text, a date, a constant."""
    columns = (
        ColumnProfile(name="id", kind="id", type="VARCHAR", distinct=100),
        ColumnProfile(name="height", kind="number", type="DOUBLE", distinct=80, low="1.25", high="9.75", mean=4.5),
        ColumnProfile(
            name="colour", kind="category", type="VARCHAR", distinct=2, top=(("vermilion", 0.6), ("chartreuse", 0.4))
        ),
        ColumnProfile(name="farm", kind="code", type="VARCHAR", distinct=12, top=(("FARM-0042", 0.2),)),
        ColumnProfile(
            name="owner", kind="code", type="VARCHAR", distinct=90, top=(("<name>", 0.1),), personal=("name",)
        ),
        ColumnProfile(name="note", kind="text", type="VARCHAR", distinct=95, top=(("frost bitten twice", 0.02),)),
        ColumnProfile(
            name="planted", kind="datetime", type="DATE", distinct=60, low="2011-03-09", high="2019-08-07", drift=0.4
        ),
        ColumnProfile(name="always 1", kind="constant", type="BIGINT", distinct=1, top=(("1", 1.0),)),
        ColumnProfile(name="sold", kind="category", type="VARCHAR", distinct=2, in_test=False, missing_test=None),
    )
    facts: dict[str, Any] = {
        "files": (FileProfile(name="train.csv", role="train", rows=100),),
        "columns": columns,
        "train": "train.parquet",
        "test": "test.parquet",
        "train_rows": 100,
        "test_rows": 50,
        "target_columns": ("sold",),
        "target_guess": SURE,
        "id_columns": ("id",),
        "id_guess": SURE,
        "submission_columns": ("id", "sold"),
        "submission_kind": "probability",
        "task_type": "binary_classification",
        "task_guess": SURE,
        "classes": {"sold": ("withered", "sold")},
        "metric_suggestion": Guess(value="roc_auc", confidence=0.5, evidence="probabilities in the sample"),
        "split": SplitHints(scheme="stratified", reason="the rarer class has 20 rows"),
    }
    return DataProfile(**{**facts, **changes})


def brief(**changes: Any) -> Brief:
    """Facts to talk about; ``changes`` replace fields of the brief."""
    facts: dict[str, Any] = {
        "competition": COMPETITION,
        "profile": profile(),
        "options": RunOptions(target="orchard"),
        "default_metric": "roc_auc",
        "pages": PAGES,
        "metrics": METRICS,
        "families": ("lightgbm", "linear"),
        "templates": ("tabular",),
        "cores": 2,
        "memory_bytes": 8_000_000_000,
    }
    return Brief(**{**facts, **changes})


def counsel(*proposals: tuple[str, str], reply: str = "Mind the farms.", question: str = "", **more: Any) -> str:
    """An adviser's answer as a model writes it."""
    listed = [{"key": key, "value": value, "why": "the farms differ"} for key, value in proposals]
    answer = {"reply": reply, "evidence": [], "proposals": listed, "question": question, **more}
    return json.dumps(answer, ensure_ascii=False)
