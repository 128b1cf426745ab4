"""What groups of a candidate's features are worth is measured through the real sandbox, and said in words."""

from __future__ import annotations

from pathlib import Path

from autokaggle.orchestrator.ablation import ablation_text
from autokaggle.skills.pipeline.pipeline_generator import template_folder
from autokaggle.skills.pipeline.written_code import BASE, FEATURES
from tests.judged_run import HERE, judged_run, orchard

CODE = """\
import numpy as np

import base_features


def fit(train):
    return {"base": base_features.fit(train)}


def transform(table, state):
    made = base_features.transform(table, state["base"]).drop(columns=["height", "width"])
    rows = table.reset_index(drop=True)
    made["margin"] = rows["height"] - 0.7 * rows["width"]
    made["noise"] = np.modf(np.abs(rows["height"].to_numpy()) * 997)[0]
    return made
"""


def test_the_group_that_carries_the_signal_comes_first_and_noise_is_near_zero(tmp_path: Path) -> None:
    files = {FEATURES: CODE, BASE: (template_folder("tabular") / FEATURES).read_text("utf-8")}
    config = {"groups": {"trade": ["margin"], "absent": ["nothing"]}}
    with judged_run(orchard(tmp_path / "orchard"), tmp_path) as judged:
        candidate, evaluation = judged.candidate(files, config=config)
        assert evaluation is not None, candidate.reason
        judged.best.add(candidate, evaluation)
        head, *lines = ablation_text(judged.context, judged.best, candidate, HERE).splitlines()
    assert "c001's features is shuffled, in 200 rows" in head
    losses = {line.removeprefix("- ").rpartition(": ")[0]: float(line.rpartition(": ")[2]) for line in lines}
    assert set(losses) == {"trade (margin)", "other new features", "features of the template"}
    assert next(iter(losses)) == "trade (margin)"
    assert losses["trade (margin)"] > 0.1 > losses["other new features"]
