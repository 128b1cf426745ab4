"""The judge believes files alone, refuses what breaks the contract, and scores what is right."""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn import metrics as sk

from autokaggle.errors import AutoKaggleError, CompetitionUnusable
from autokaggle.skills.scoring.evaluator import (
    Evaluation,
    InvalidPredictions,
    constant_evaluation,
    evaluate,
    read_truth,
)
from autokaggle.skills.scoring.folds import make_folds
from autokaggle.storage.parquet_tables import open_reader, write_columns
from tests.small_plans import Floats, SmallPlan, ids, make_plan, text_column, write_tables

ROWS, TEST_ROWS = 500, 120
RANDOM = np.random.default_rng(5)
SIGNAL = RANDOM.normal(size=ROWS)
CHANCES = 1 / (1 + np.exp(-2 * SIGNAL))
FLAGS = (RANDOM.random(ROWS) < CHANCES).astype(int)
TEST_CHANCES = RANDOM.random(TEST_ROWS)


@pytest.fixture(autouse=True)
def same_numbers_in_any_order() -> None:
    """Draw the same numbers whichever tests ran before."""
    RANDOM.bit_generator.state = np.random.default_rng(5).bit_generator.state


def binary(folder: Path, metric: str = "roc_auc", kind: Any = "probability", **more: Any) -> SmallPlan:
    plan = make_plan(metric, task="binary_classification", kind=kind, classes={"y": ("False", "True")}, **more)
    train = {"id": ids("a", ROWS), "y": text_column(FLAGS.astype(bool)), "t": np.arange(ROWS)}
    return write_tables(plan, folder, train, {"id": ids("t", TEST_ROWS), "t": ROWS + np.arange(TEST_ROWS)})


def three_classes(folder: Path) -> SmallPlan:
    plan = make_plan(
        "mlogloss",
        task="multiclass_classification",
        kind="class_probability",
        classes={"y": ("a", "A", "b")},
        answers=("a", "A", "b"),
    )
    train = {"id": ids("a", ROWS), "y": text_column(np.array(["a", "A", "b"])[FLAGS + (SIGNAL > 1)])}
    return write_tables(plan, folder, train, {"id": ids("t", TEST_ROWS)})


def judge(small: SmallPlan, oof: Path, test: Path) -> Evaluation:
    folds = make_folds(small.plan, small.tables, small.tables / "folds.parquet")
    return evaluate(small.plan, read_truth(small.plan, small.tables), folds, oof, test, TEST_ROWS)


def judged(small: SmallPlan, oof: Floats, test: Floats, rows: Any = None) -> Evaluation:
    return judge(
        small,
        small.write_predictions("oof.parquet", oof, rows),
        small.write_predictions("test_predictions.parquet", test),
    )


def test_the_score_is_the_metric_over_all_rows_and_over_each_fold(tmp_path: Path) -> None:
    small = binary(tmp_path)
    found = judged(small, CHANCES, TEST_CHANCES)
    fold = make_folds(small.plan, small.tables, tmp_path / "again.parquet").by_repeat[0]
    assert found.score.mean == pytest.approx(sk.roc_auc_score(FLAGS, CHANCES))
    assert found.score.folds == pytest.approx(
        [sk.roc_auc_score(FLAGS[fold == k], CHANCES[fold == k]) for k in range(5)]
    )
    assert found.score.std == pytest.approx(np.std(found.score.folds, ddof=1))
    assert found.score.low < found.score.mean < found.score.high
    assert found.score.greater_is_better
    assert np.array_equal(found.test[:, 0], TEST_CHANCES)


def test_rows_in_any_order_are_put_in_the_order_of_train(tmp_path: Path) -> None:
    small, order = binary(tmp_path), RANDOM.permutation(ROWS)
    mixed = judged(small, CHANCES[order], TEST_CHANCES, rows=order)
    assert np.array_equal(mixed.oof[:, 0], CHANCES)


def test_single_precision_and_small_row_numbers_are_accepted(tmp_path: Path) -> None:
    small = binary(tmp_path)
    oof, test = tmp_path / "oof.parquet", tmp_path / "test_predictions.parquet"
    write_columns(oof, {"row": np.arange(ROWS, dtype=np.int32), "y": CHANCES.astype(np.float32)})
    write_columns(test, {"row": np.arange(TEST_ROWS, dtype=np.int32), "y": TEST_CHANCES.astype(np.float32)})
    assert judge(small, oof, test).score.mean > 0.8


def test_classes_that_differ_in_letter_case_only_are_kept_apart(tmp_path: Path) -> None:
    small = three_classes(tmp_path)
    shares = RANDOM.dirichlet(np.ones(3), ROWS)
    truth = FLAGS + (SIGNAL > 1)
    shares = 0.5 * shares + 0.5 * np.eye(3)[truth]
    path = tmp_path / "oof.parquet"
    import pyarrow as pa
    from pyarrow import parquet

    columns = [pa.array(np.arange(ROWS)), *(pa.array(shares[:, place]) for place in range(3))]
    parquet.write_table(pa.table(columns, names=["row", "a", "A", "b"]), path)
    parquet.write_table(
        pa.table([column.slice(0, TEST_ROWS) for column in columns], names=["row", "a", "A", "b"]),
        tmp_path / "t.parquet",
    )
    found = judge(small, path, tmp_path / "t.parquet")
    assert found.score.mean == pytest.approx(sk.log_loss(truth, shares))


def test_forward_folds_score_only_what_was_validated(tmp_path: Path) -> None:
    small = binary(tmp_path, scheme="time", column="t")
    folds = make_folds(small.plan, small.tables, tmp_path / "folds.parquet")
    rows = folds.validated_rows
    assert 0 < len(rows) < ROWS
    found = judged(small, CHANCES[rows], TEST_CHANCES, rows=rows)
    assert np.array_equal(found.rows, rows)
    with pytest.raises(InvalidPredictions, match=f"has {ROWS} rows; expected {len(rows)}"):
        judged(small, CHANCES, TEST_CHANCES)


def test_rows_without_a_label_are_not_scored(tmp_path: Path) -> None:
    small = binary(tmp_path)
    labels = text_column(FLAGS.astype(bool))
    labels[:50] = None
    write_columns(tmp_path / "train.parquet", {"id": ids("a", ROWS), "y": labels})
    found = judged(small, CHANCES, TEST_CHANCES)
    assert found.rows.tolist() == list(range(50, ROWS))
    assert found.score.mean == pytest.approx(sk.roc_auc_score(FLAGS[50:], CHANCES[50:]))


Damage = Callable[[SmallPlan], None]


def _oof(small: SmallPlan, **columns: Any) -> None:
    write_columns(small.tables / "oof.parquet", columns)


def _with(values: Floats, place: int, value: float) -> Floats:
    changed = values.copy()
    changed[place] = value
    return changed


def _emptied(small: SmallPlan) -> None:
    path = small.tables / "oof.parquet"
    with open_reader() as connection:
        changed = "SELECT row, CASE WHEN row <> 3 THEN y END AS y FROM read_parquet(?) ORDER BY row"
        connection.execute(f"CREATE TABLE changed AS {changed}", [str(path)])
        connection.execute(f"COPY changed TO '{path}' (FORMAT parquet)")


def _pickle(small: SmallPlan) -> None:
    (small.tables / "oof.parquet").write_bytes(pickle.dumps(CHANCES))


def _truncated(small: SmallPlan) -> None:
    path = small.tables / "oof.parquet"
    path.write_bytes(path.read_bytes()[:-20])


def _link(small: SmallPlan) -> None:
    path = small.tables / "oof.parquet"
    path.unlink()
    path.symlink_to(small.tables / "train.parquet")


def _huge(small: SmallPlan) -> None:
    with (small.tables / "oof.parquet").open("ab") as stream:
        stream.truncate(1 << 32)


ROW = np.arange(ROWS)
DAMAGES: dict[str, tuple[Damage, str]] = {
    "nothing written": (lambda small: (small.tables / "oof.parquet").unlink(), "oof.parquet was not written"),
    "a pickle": (_pickle, "no readable parquet"),
    "a cut file": (_truncated, "no readable parquet"),
    "a link to another file": (_link, "no regular file"),
    "a file of 4 GB": (_huge, "bytes; at most"),
    "truncated rows": (lambda small: _oof(small, row=ROW[:-1], y=CHANCES[:-1]), "has 499 rows; expected 500"),
    "rows twice": (lambda small: _oof(small, row=np.r_[ROW[:-1], 7], y=CHANCES), "row 7 is there more than once"),
    "rows of another table": (lambda small: _oof(small, row=ROW + 1, y=CHANCES), "1 rows are missing, the first is 0"),
    "no row column": (lambda small: _oof(small, y=CHANCES), "expected, in order: 'row', 'y'"),
    "another column": (lambda small: _oof(small, row=ROW, z=CHANCES), "'row', 'z'; expected"),
    "a column too many": (lambda small: _oof(small, row=ROW, y=CHANCES, z=CHANCES), "expected, in order: 'row', 'y'"),
    "columns in another order": (lambda small: _oof(small, y=CHANCES, row=ROW), "expected, in order: 'row', 'y'"),
    "text": (lambda small: _oof(small, row=ROW, y=text_column(CHANCES)), "'y' is VARCHAR; expected DOUBLE"),
    "whole numbers": (lambda small: _oof(small, row=ROW, y=FLAGS), "'y' is BIGINT; expected DOUBLE"),
    "row numbers as fractions": (lambda small: _oof(small, row=ROW / 1, y=CHANCES), "'row' is DOUBLE; expected BIGINT"),
    "NaN": (lambda small: _oof(small, row=ROW, y=_with(CHANCES, 9, np.nan)), "'y' has 1 values .* at line 9"),
    "infinity": (lambda small: _oof(small, row=ROW, y=_with(CHANCES, 9, -np.inf)), "not finite"),
    "an empty value": (_emptied, "not finite, the first at line 3"),
    "a constant": (lambda small: _oof(small, row=ROW, y=np.full(ROWS, 0.4)), r"same prediction \(0.4\)"),
    "scores that are no probabilities": (lambda small: _oof(small, row=ROW, y=SIGNAL), "probabilities are due"),
    "shuffled predictions": (
        lambda small: _oof(small, row=ROW, y=np.random.default_rng(0).permutation(CHANCES)),
        "by lot",
    ),
    "the wrong way round": (lambda small: _oof(small, row=ROW, y=1 - CHANCES), "worse than one constant"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_file_that_breaks_the_contract_is_refused_with_the_reason(tmp_path: Path, name: str) -> None:
    damage, reason = DAMAGES[name]
    small = binary(tmp_path)
    oof = small.write_predictions("oof.parquet", CHANCES)
    test = small.write_predictions("test_predictions.parquet", TEST_CHANCES)
    damage(small)
    with pytest.raises(InvalidPredictions, match=reason):
        judge(small, oof, test)


def test_the_test_file_is_checked_as_well(tmp_path: Path) -> None:
    small = binary(tmp_path)
    with pytest.raises(InvalidPredictions, match=r"test_predictions.parquet has 119 rows; expected 120"):
        judged(small, CHANCES, TEST_CHANCES[:-1])
    with pytest.raises(InvalidPredictions, match=r"test_predictions.parquet: every row has the same prediction"):
        judged(small, CHANCES, np.full(TEST_ROWS, 0.5))


def test_class_probabilities_that_do_not_add_up_are_refused(tmp_path: Path) -> None:
    small = three_classes(tmp_path)
    shares = RANDOM.dirichlet(np.ones(3), ROWS)
    shares[17] *= 0.5
    path = tmp_path / "oof.parquet"
    import pyarrow as pa
    from pyarrow import parquet

    table = [pa.array(np.arange(ROWS)), *(pa.array(shares[:, place]) for place in range(3))]
    parquet.write_table(pa.table(table, names=["row", "a", "A", "b"]), path)
    with pytest.raises(InvalidPredictions, match=r"row 17 add up to 0.5"):
        judge(small, path, path)


@pytest.mark.parametrize("metric", ["roc_auc", "log_loss"])
def test_a_weak_model_that_knows_that_it_is_weak_is_no_nonsense(tmp_path: Path, metric: str) -> None:
    small = binary(tmp_path, metric)
    weak = FLAGS.mean() + 0.02 * RANDOM.normal(size=ROWS)
    assert judged(small, weak, TEST_CHANCES).score.metric == metric


def test_an_overconfident_model_that_knows_its_rows_is_scored(tmp_path: Path) -> None:
    small = binary(tmp_path, "log_loss")
    overconfident = np.clip(1 / (1 + np.exp(-20 * SIGNAL)), 1e-12, 1 - 1e-12)
    assert judged(small, overconfident, TEST_CHANCES).score.mean > sk.log_loss(FLAGS, np.full(ROWS, FLAGS.mean()))


def test_a_target_with_one_label_may_be_predicted_by_a_constant(tmp_path: Path) -> None:
    small = binary(tmp_path, "accuracy", "label")
    write_columns(tmp_path / "train.parquet", {"id": ids("a", ROWS), "y": text_column([False] * ROWS)})
    assert judged(small, np.zeros(ROWS), np.zeros(TEST_ROWS)).score.mean == 1.0


def test_a_metric_that_needs_two_labels_says_so(tmp_path: Path) -> None:
    small = binary(tmp_path, "roc_auc")
    write_columns(tmp_path / "train.parquet", {"id": ids("a", ROWS), "y": text_column([False] * ROWS)})
    folds = make_folds(small.plan, tmp_path, tmp_path / "folds.parquet")
    with pytest.raises(CompetitionUnusable, match="roc_auc is not defined for the values of y"):
        constant_evaluation(small.plan, read_truth(small.plan, tmp_path), folds, TEST_ROWS)
    with pytest.raises(InvalidPredictions, match="roc_auc is not defined for these predictions"):
        judged(small, CHANCES, TEST_CHANCES)


def test_a_label_that_the_plan_does_not_know_is_our_fault(tmp_path: Path) -> None:
    small = binary(tmp_path)
    write_columns(tmp_path / "train.parquet", {"id": ids("a", 2), "y": text_column(["True", "Maybe"])})
    with pytest.raises(AutoKaggleError, match="row 1 has an unknown value of 'y'"):
        read_truth(small.plan, tmp_path)


@pytest.mark.parametrize(
    ("metric", "best"),
    [("rmse", np.mean), ("mae", np.median), ("rmsle", lambda values: np.expm1(np.log1p(values).mean()))],
)
def test_the_constant_answer_is_the_best_one(tmp_path: Path, metric: str, best: Any) -> None:
    values = np.exp(2 * SIGNAL)
    train = {"id": ids("a", ROWS), "y": values}
    small = write_tables(make_plan(metric), tmp_path, train, {"id": ids("t", TEST_ROWS)})
    folds = make_folds(small.plan, tmp_path, tmp_path / "folds.parquet")
    found = constant_evaluation(small.plan, read_truth(small.plan, tmp_path), folds, TEST_ROWS)
    assert found.test.shape == (TEST_ROWS, 1)
    assert found.test[0, 0] == pytest.approx(best(values), rel=1e-9)


def test_the_constant_answer_to_labels_is_the_commonest_one(tmp_path: Path) -> None:
    small = binary(tmp_path, "accuracy", "label")
    folds = make_folds(small.plan, tmp_path, tmp_path / "folds.parquet")
    found = constant_evaluation(small.plan, read_truth(small.plan, tmp_path), folds, TEST_ROWS)
    assert found.score.mean == pytest.approx(max(FLAGS.mean(), 1 - FLAGS.mean()))


def test_a_thousand_rows_are_judged_in_less_than_a_second(tmp_path: Path) -> None:
    small = binary(tmp_path, "f1", "label")
    judged(small, CHANCES, TEST_CHANCES)
    oof, test = tmp_path / "oof.parquet", tmp_path / "test_predictions.parquet"
    truth = read_truth(small.plan, tmp_path)
    folds = make_folds(small.plan, tmp_path, tmp_path / "folds.parquet")
    seconds = []
    for _ in range(3):
        started = time.process_time()
        evaluate(small.plan, truth, folds, oof, test, TEST_ROWS)
        seconds.append(time.process_time() - started)
    assert min(seconds) < 1.0
