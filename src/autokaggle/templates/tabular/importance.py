"""Which columns the models live on; this file shuffles them, predicts again, and writes ``importance.parquet``.

No part of the pipeline: run it after ``train.py``. Columns that say the same are shuffled together, since a model
that lost one of them would go on with the other; so are all texts of a row, and its image. It computes no score: the
host compares the predictions.
"""

from __future__ import annotations

import json
import os
import time

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

import encoding
import features
import files
import fitted
from fitted import FoldModel
from matrices import columns_behind, joined
from targets import Floats, read_targets, side_by_side, to_predictions

MOST_ROWS = 2_000
FEWEST_GROUPS = 10
# Columns of numbers whose ranks go together so closely count as one.
SAME_ABOVE = 0.9
RANKED_ROWS = 5_000
UNUSED_KINDS = ("constant", "duplicate", "path")

Rows = npt.NDArray[np.int64]


def main() -> None:
    """Write the predictions of sampled train rows as they are (group -1), and with each group of columns shuffled."""
    pipeline = fitted.load()
    train = files.load_table("train")
    models = [model for model in pipeline.models if model.split is not None]
    share = min(1.0, MOST_ROWS / len(train))
    random = np.random.default_rng(int(files.config()["seed"]))
    chosen = np.sort(random.permutation(len(train))[: max(1, round(share * len(train)))])
    behind = columns_behind()
    groups = column_groups(train, behind)
    in_place = np.arange(len(train))
    end = float(os.environ.get("AUTOKAGGLE_DEADLINE", "inf"))
    parts = [_predicted(-1, train, models, chosen, in_place)]
    slowest = 0.0
    for number, group in enumerate(groups):
        started = time.time()
        if started + 1.5 * slowest > end:
            break
        order = random.permutation(chosen)
        shuffled = train.copy(deep=False)
        for name in group:
            values = train[name].array.copy()
            values[chosen] = train[name].array[order]
            shuffled[name] = values
        sources = in_place
        if group == behind:
            sources = in_place.copy()
            sources[chosen] = order
        parts.append(_predicted(number, shuffled, models, chosen, sources))
        slowest = max(slowest, time.time() - started)
    listed = groups[: len(parts) - 1]
    if len(listed) < min(FEWEST_GROUPS, len(groups)):
        raise SystemExit(f"There was time to shuffle {len(listed)} of {len(groups)} groups of columns only.")
    pq.write_table(pa.concat_tables(parts), files.output_folder() / "importance.parquet")
    (files.output_folder() / "importance.json").write_text(json.dumps(listed, ensure_ascii=False), "utf-8")
    print(f"{len(listed)} of {len(groups)} groups of columns shuffled in {len(chosen)} rows")


def column_groups(train: pd.DataFrame, behind: list[str]) -> list[list[str]]:
    """Return the columns in use, those together whose values go together; ``behind`` are a group, and come first."""
    kinds: dict[str, str] = files.config()["columns"]
    in_use = [name for name, kind in kinds.items() if name in train.columns and kind not in UNUSED_KINDS]
    names = [name for name in in_use if name not in behind]
    numbers = [name for name in names if pd.api.types.is_numeric_dtype(train[name])]
    ranks = train[numbers].iloc[:RANKED_ROWS].corr("spearman").abs().to_numpy() >= SAME_ABOVE
    groups: list[list[str]] = [behind] if behind else []
    taken: set[str] = set()
    for name in names:
        if name in taken:
            continue
        alike = [numbers[place] for place in np.flatnonzero(ranks[numbers.index(name)])] if name in numbers else []
        groups.append([name, *(other for other in alike if other != name and other not in taken)])
        taken.update(groups[-1])
    return groups


def _predicted(group: int, train: pd.DataFrame, models: list[FoldModel], chosen: Rows, sources: Rows) -> pa.Table:
    """Return ``group``, ``row`` and the prediction columns for the sampled rows that any model may be judged on.

    ``sources`` says for each row of train whose texts or image it gets.
    """
    targets = read_targets(files.config())
    blocks, seen = [], np.zeros(len(train), dtype=np.int64)
    for position, target in enumerate(targets):
        scores: Floats = np.zeros((len(train), target.scores))
        seen[:] = 0
        for model in models:
            if model.target == position and model.split is not None:
                rows = np.intersect1d(model.split.scored_rows, chosen)
                table = train.iloc[rows].drop(columns=files.config()["target_columns"], errors="ignore")
                scores[rows] += scores_of(model, features.transform(table, model.preparation.state), sources[rows])
                seen[rows] += 1
        blocks.append(to_predictions(target, scores[seen > 0] / seen[seen > 0, None]))
    values = side_by_side(targets, blocks)
    rows = np.flatnonzero(seen)
    columns = [pa.array(np.full(len(rows), group)), pa.array(rows), *(pa.array(each) for each in values.T.copy())]
    return pa.table(columns, names=["group", "row", *files.config()["prediction_columns"]])


def scores_of(model: FoldModel, made: pd.DataFrame, rows: Rows) -> Floats:
    """Return (rows, scores) on the scale on which the model learned; ``made`` are the features of the rows.

    ``rows`` are the rows of train whose texts or images they get.
    """
    encoded = encoding.encode(made, model.preparation.encoding)
    told = model.target_encoder.encode(encoded.keys)
    scores = model.model.predict(joined("train", encoded.values, rows, told)).reshape(len(rows), -1)
    return scores + encoded.baselines[:, model.target, None] if encoded.baselines.shape[1] else scores


if __name__ == "__main__":
    main()
