"""A run is scored by the user's own file: in the sandbox, by that name everywhere, and after a resume as before."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from autokaggle.config import Settings
from autokaggle.errors import UsageError
from autokaggle.orchestrator.best_so_far import BestSoFar
from autokaggle.orchestrator.publishing import ensemble, submission
from autokaggle.orchestrator.run_lifecycle import start_run
from autokaggle.orchestrator.run_metric import register_metrics
from autokaggle.records.competition import Competition
from autokaggle.records.outcome import Metrics
from autokaggle.records.plan import Decisions
from autokaggle.records.run import Run, RunOptions
from autokaggle.skills.scoring.metrics import METRICS
from autokaggle.storage.records_file import read_record
from tests.judged_run import judged_run, orchard

METRIC = """
import numpy as np

GREATER_IS_BETTER = False
COMPARES = "probability"


def squared(truth, predicted):
    return float(np.mean((truth - predicted) ** 2))
"""


def test_a_run_is_scored_by_the_users_own_metric(tmp_path: Path) -> None:
    (tmp_path / "fair.py").write_text(METRIC)
    with judged_run(orchard(tmp_path / "orchard"), tmp_path, metric=f"{tmp_path / 'fair.py'}:squared") as run:
        (tmp_path / "fair.py").unlink()  # the run has its own copy
        candidate, evaluation = run.candidate()
        assert evaluation is not None, candidate.reason
        run.best.add(candidate, evaluation)
        run.context.save_candidate(msgspec.structs.replace(candidate, ensemble_gain=0.1))  # as the search does
        ensemble(run.context)
        submission(run.context)
        folder = run.context.folder
        truth = run.best.truth.values[evaluation.rows, 0]
        assert evaluation.score.mean == pytest.approx(np.mean((truth - evaluation.oof[:, 0]) ** 2))
        assert evaluation.score.low < evaluation.score.mean < evaluation.score.high
        plan = run.context.plan
        assert (plan.metric, plan.greater_is_better) == ("fair.squared", False)
        assert plan.submission.kind == "probability"
        decided = {one.key: one.value for one in read_record(folder.decisions, Decisions).decisions}
        assert decided["metric"] == "fair.squared"
        assert read_record(folder.metrics, Metrics).metric == "fair.squared"
        assert read_record(folder.competition, Competition).metric.metric == "fair.squared"
        assert read_record(folder.record, Run).options.metric == "fair.squared"
        # Another process knows nothing but the folder.
        before = run.best.score
        METRICS.pop("fair.squared")
        register_metrics(run.context)
        assert BestSoFar(run.context).score == before


def test_a_metric_that_fails_ends_the_run_with_its_last_words(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text(METRIC.replace("return float", "raise ZeroDivisionError('oh') or float"))
    reference = f"{tmp_path / 'broken.py'}:squared"
    with (
        pytest.raises(UsageError, match="ZeroDivisionError: oh"),
        judged_run(orchard(tmp_path / "orchard"), tmp_path, metric=reference),
    ):
        pass


@pytest.mark.parametrize("metric", ["nonsense", "nowhere.py:f", "fair.py:other"])
def test_a_metric_that_there_is_not_begins_no_run(tmp_path: Path, metric: str) -> None:
    (tmp_path / "fair.py").write_text(METRIC)
    settings = Settings(home=tmp_path / "home", runs_dir=tmp_path / "runs")
    options = RunOptions(target=str(orchard(tmp_path / "orchard")), metric=metric.replace("fair", f"{tmp_path}/fair"))
    with pytest.raises(UsageError):
        start_run(options, settings)
    assert not settings.runs_dir.exists()
