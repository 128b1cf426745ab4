"""What each group of features is worth; this file shuffles one group after another, and predicts a fold's rows again.

It needs the models of that fold, and computes no score: the host compares the predictions. Groups are those that
``config.yaml`` names, the new features that it does not name, and the features of the template.
"""

from __future__ import annotations

import json
import os
import time

import base_features
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

import features
import files
import fitted
from fitted import FoldModel
from importance import Rows, scores_of
from targets import read_targets, side_by_side, to_predictions

MOST_ROWS = 4_000
OTHERS, TEMPLATES = "other new features", "features of the template"


def main() -> None:
    """Write the predictions of sampled rows as they are (group -1), and with each group of features shuffled."""
    models = [model for model in fitted.load().models if model.split is not None]
    random = np.random.default_rng(int(files.config()["seed"]))
    scored = models[0].split.scored_rows if models[0].split else np.arange(0)
    rows = np.sort(random.permutation(scored)[:MOST_ROWS])
    table = files.load_table("train").iloc[rows].drop(columns=files.config()["target_columns"], errors="ignore")
    table = table.reset_index(drop=True)
    made = [features.transform(table, model.preparation.state) for model in models]
    groups = feature_groups([str(name) for name in made[0].columns], table)
    end = float(os.environ.get("AUTOKAGGLE_DEADLINE", "inf"))
    parts, measured, slowest = [predicted(-1, models, made, rows)], [], 0.0
    for name, columns in groups.items():
        started = time.time()
        if started + 1.5 * slowest > end:
            break
        order = random.permutation(len(rows))
        parts.append(predicted(len(measured), models, [shuffled(each, columns, order) for each in made], rows))
        measured.append([name])
        slowest = max(slowest, time.time() - started)
    pq.write_table(pa.concat_tables(parts), files.output_folder() / "importance.parquet")
    (files.output_folder() / "importance.json").write_text(json.dumps(measured, ensure_ascii=False), "utf-8")


def feature_groups(made: list[str], table: pd.DataFrame) -> dict[str, list[str]]:
    """Return the features of each group that has any."""
    template = {str(name) for name in base_features.transform(table, base_features.fit(table)).columns}
    new = [name for name in made if name not in template]
    groups: dict[str, list[str]] = {}
    for name, columns in files.config().get("groups", {}).items():
        groups[name] = [column for column in new if column in columns]
        new = [column for column in new if column not in columns]
    groups |= {OTHERS: new, TEMPLATES: [name for name in made if name in template]}
    return {name: columns for name, columns in groups.items() if columns}


def shuffled(made: pd.DataFrame, columns: list[str], order: Rows) -> pd.DataFrame:
    """Return the features with those columns in another order of rows, the same for all of them."""
    changed = made.copy(deep=False)
    for name in columns:
        changed[name] = made[name].array[order]
    return changed


def predicted(group: int, models: list[FoldModel], made: list[pd.DataFrame], rows: Rows) -> pa.Table:
    """Return ``group``, ``row`` and the prediction columns; ``made`` are the features for each model."""
    targets, blocks = read_targets(files.config()), []
    for position, target in enumerate(targets):
        own = [
            scores_of(model, each, rows) for model, each in zip(models, made, strict=True) if model.target == position
        ]
        blocks.append(to_predictions(target, np.mean(own, axis=0)))
    columns = [pa.array(each) for each in side_by_side(targets, blocks).T.copy()]
    names = ["group", "row", *files.config()["prediction_columns"]]
    return pa.table([pa.array(np.full(len(rows), group)), pa.array(rows), *columns], names=names)


if __name__ == "__main__":
    main()
