"""Code that looked at the labels it is scored on is found out; honest code is not accused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from autokaggle.skills.scoring.audit import Audit, audit, drifting_columns
from autokaggle.skills.scoring.evaluator import Evaluation, InvalidPredictions, judge, read_truth
from autokaggle.skills.scoring.folds import Folds, make_folds
from autokaggle.skills.scoring.sealed_folds import read_fold
from autokaggle.skills.scoring.sealing import seal_input
from autokaggle.skills.scoring.truth import Truth
from autokaggle.storage.parquet_tables import read_columns
from tests.small_plans import Floats, SmallPlan, ids, make_plan, write_tables
from tests.test_sealing import profile_of

ROWS, TEST_ROWS, FOLD = 800, 100, 3
Code = Callable[[Path, int], Floats]


def honest(source: Path, fold: int) -> Floats:
    """Predict the mean target of the row's group, from the rows of other folds."""
    return _group_means(source, fold, from_all_rows=False)


def leaking(source: Path, fold: int) -> Floats:
    """Do the same, but with the means of all rows whose target is there."""
    return _group_means(source, fold, from_all_rows=True)


def nervous(source: Path, fold: int) -> Floats:
    """Be honest, with a little luck of its own each time."""
    return honest(source, fold) + 0.05 * np.random.default_rng().normal(size=(ROWS, 1))


def _group_means(source: Path, fold: int, *, from_all_rows: bool) -> Floats:
    table = read_columns(source / "tables" / "train.parquet", {"y": "y", "group": "g"})
    folds = read_columns(source / "folds.parquet", {"fold": "fold"})["fold"]
    target = np.ma.filled(table["y"].astype(float), np.nan)
    learned = ~np.isnan(target) & (from_all_rows | (folds != fold))
    middle = target[learned].mean()
    sums = np.bincount(table["group"][learned], weights=target[learned] - middle, minlength=300)
    rows = np.bincount(table["group"][learned], minlength=300)
    return np.asarray((middle + sums / (rows + 0.5))[table["group"]])[:, None]


class World:
    """A run's input with weak groups of rows, and what the judge knows."""

    def __init__(self, folder: Path) -> None:
        random = np.random.default_rng(4)
        group = random.integers(0, 300, ROWS)
        target = random.normal(size=300)[group] * 0.5 + random.normal(size=ROWS)
        self.plan, self.input, self.folder = make_plan("rmse"), folder / "input", folder
        self.small: SmallPlan = write_tables(
            self.plan,
            self.input / "tables",
            {"id": ids("a", ROWS), "y": target, "g": group},
            {"id": ids("t", TEST_ROWS), "g": group[:TEST_ROWS]},
        )
        self.folds: Folds = make_folds(self.plan, self.input / "tables", self.input / "folds.parquet")
        self.truth: Truth = read_truth(self.plan, self.input / "tables")

    def evaluation(self, code: Code) -> Evaluation:
        oof = np.empty((ROWS, 1))
        for fold in self.folds.validated:
            rows = self.folds.by_repeat[0] == fold
            oof[rows] = code(self.input, fold)[rows]
        return judge(self.plan, self.truth, self.folds, np.arange(ROWS), oof, oof[:TEST_ROWS])

    def audit(self, code: Code) -> Audit:
        sealed = self.folder / "sealed"
        seal_input(self.plan, profile_of(self.plan, {}), self.folds, FOLD, self.input, sealed)
        rows = np.flatnonzero(self.folds.by_repeat[0] == FOLD)
        path = self.small.write_predictions("oof.parquet", code(sealed, FOLD)[rows], rows=rows.tolist())
        sealed_oof = read_fold(self.plan, self.folds, FOLD, path)
        return audit(self.plan, self.truth, self.folds, self.evaluation(code), FOLD, sealed_oof)


def test_an_encoding_fitted_on_all_rows_is_found_out(tmp_path: Path) -> None:
    found = World(tmp_path).audit(leaking)
    assert found.is_leaking
    assert found.score < found.sealed_score - 0.2
    assert found.verdict.startswith("leaking: fold 3")


def test_the_leak_does_look_better_before_the_audit(tmp_path: Path) -> None:
    world = World(tmp_path)
    assert world.evaluation(leaking).score.mean < world.evaluation(honest).score.mean - 0.2


def test_honest_code_predicts_the_same_without_the_labels(tmp_path: Path) -> None:
    found = World(tmp_path).audit(honest)
    assert not found.is_leaking
    assert found.score == found.sealed_score
    assert (found.loss_rise, found.errors) == (0.0, 0.0)
    assert found.verdict.startswith("honest")


def test_chance_in_training_is_no_leak(tmp_path: Path) -> None:
    world = World(tmp_path)
    for round_number in range(5):
        world.folder = tmp_path / str(round_number)
        world.folder.mkdir()
        assert not world.audit(nervous).is_leaking


def test_a_file_with_other_rows_than_the_fold_s_is_refused(tmp_path: Path) -> None:
    world = World(tmp_path)
    path = world.small.write_predictions("oof.parquet", world.evaluation(honest).oof[:200])
    with pytest.raises(InvalidPredictions, match=r"AUTOKAGGLE_FOLD=3.*rows; expected 160"):
        read_fold(world.plan, world.folds, FOLD, path)


def test_test_predictions_unlike_those_out_of_fold_are_named(tmp_path: Path) -> None:
    world = World(tmp_path)
    rows = np.arange(ROWS)
    oof = np.random.default_rng(0).normal(size=(ROWS, 1))
    same = judge(world.plan, world.truth, world.folds, rows, oof, oof[::3])
    other = judge(world.plan, world.truth, world.folds, rows, oof, oof[::3] + 2)
    assert drifting_columns(world.plan, same) == ()
    assert drifting_columns(world.plan, other) == ("y",)
