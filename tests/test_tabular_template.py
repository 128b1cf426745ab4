"""The tabular pipeline runs by hand and keeps the candidate contract, whatever the task and the columns."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from autokaggle.storage.artifacts import CandidateFolder
from tests.small_competition import (
    SCRIPTS,
    STRANGE_NAMES,
    TRAIN_ROWS,
    SmallCompetition,
    binary,
    mixed_tables,
    multiclass,
    output,
    prepare,
    regression,
    run_all,
    run_script,
)
from tests.template_files import template_file


def ordinal() -> SmallCompetition:
    train, test, kinds, signal = mixed_tables()
    train["grade"] = pd.Series(np.digitize(signal, [-1, 0, 1, 2]) + 3).astype("str")
    classes = {"grade": ("3", "4", "5", "6", "7")}
    metric = "quadratic_weighted_kappa"
    return SmallCompetition(train, test, kinds, ("grade",), "ordinal", metric, "label", classes)


@pytest.fixture(scope="module")
def by_hand(tmp_path_factory: pytest.TempPathFactory) -> CandidateFolder:
    """A candidate of the binary competition whose scripts were run by hand."""
    candidate = prepare(binary(), tmp_path_factory.mktemp("by_hand"))
    for script in SCRIPTS:
        result = run_script(candidate.path, script)
        assert result.returncode == 0, result.stderr
    return candidate


def test_three_scripts_by_hand_keep_the_contract(by_hand: CandidateFolder) -> None:
    competition = binary()
    oof, test = output(by_hand, "oof.parquet"), output(by_hand, "test_predictions.parquet")
    assert list(oof.columns) == list(test.columns) == ["row", "ripe"]
    assert oof["row"].tolist() == list(range(TRAIN_ROWS))
    assert test["row"].tolist() == list(range(len(competition.test)))
    assert oof["row"].dtype == "int64"
    assert oof["ripe"].dtype == "float64"
    assert oof["ripe"].between(0, 1).all()
    assert ((oof["ripe"] > 0.5) == (competition.train["ripe"] == "True")).mean() > 0.75
    assert not (by_hand.output / "submission.csv").exists()


def test_one_interpreter_gives_what_three_give(by_hand: CandidateFolder, tmp_path: Path) -> None:
    together = prepare(binary(), tmp_path)
    run_all(together, AUTOKAGGLE_THREADS="1")
    for name in ("oof.parquet", "test_predictions.parquet"):
        pd.testing.assert_frame_equal(output(by_hand, name), output(together, name), check_exact=True)


def test_a_log_target_comes_back_on_its_own_scale(tmp_path: Path) -> None:
    competition = regression("rmsle")
    candidate = prepare(competition, tmp_path)
    assert "target_transform: log1p" in candidate.config.read_text("utf-8")
    run_all(candidate)
    oof = output(candidate, "oof.parquet")
    assert np.corrcoef(np.log1p(oof["weight"]), np.log1p(competition.train["weight"]))[0, 1] > 0.7
    assert oof["weight"].max() < 2 * competition.train["weight"].max()


def test_several_classes_give_a_probability_each_in_their_order(tmp_path: Path) -> None:
    competition = multiclass()
    candidate = prepare(competition, tmp_path)
    run_all(candidate)
    table = output(candidate, "oof.parquet")
    assert list(table.columns) == ["row", "A", "a (2)", "row (3)"]  # DuckDB's names do not tell a from A
    probabilities = table.iloc[:, 1:].to_numpy()
    assert np.allclose(probabilities.sum(axis=1), 1)
    labels = np.array(competition.classes["sort"])[probabilities.argmax(axis=1)]
    assert (labels == competition.train["sort"].to_numpy()).mean() > 0.6


def test_an_ordinal_target_gives_numbers_on_the_scale_of_its_labels(tmp_path: Path) -> None:
    competition = ordinal()
    candidate = prepare(competition, tmp_path)
    run_all(candidate)
    grades = output(candidate, "oof.parquet")["grade"]
    assert grades.between(2, 8).all()
    assert np.corrcoef(grades, competition.train["grade"].astype(float))[0, 1] > 0.7


def test_parts_of_a_target_are_learned_apart_and_added_up(tmp_path: Path) -> None:
    competition = regression("rmsle")
    light, heavy = competition.train["weight"], np.exp(3 * competition.train["size"].fillna(0))
    train = competition.train.assign(light=light, heavy=heavy, weight=light + heavy)
    parts = {"weight": ("light", "heavy")}
    candidate = prepare(replace(competition, train=train, parts=parts), tmp_path, {"learn_parts": True})
    assert sorted(line.partition(",")[0] for line in run_all(candidate).splitlines() if ", fold " in line)[::3] == [
        "heavy",
        "light",
    ]
    for name in ("oof.parquet", "test_predictions.parquet"):
        assert list(output(candidate, name).columns) == ["row", "weight"]
    oof = output(candidate, "oof.parquet")["weight"]
    assert np.corrcoef(np.log1p(oof), np.log1p(train["weight"]))[0, 1] > 0.9


def test_several_targets_get_a_model_each(tmp_path: Path) -> None:
    competition = binary()
    train = competition.train.assign(soft=np.where(competition.train["size"].fillna(0) > 0, "1", "0"))
    classes = {**competition.classes, "soft": ("0", "1")}
    both = replace(
        competition,
        train=train,
        targets=("ripe", "soft"),
        task="multilabel_classification",
        classes=classes,
        metric="roc_auc",
        metric_input="probability",
    )
    candidate = prepare(both, tmp_path)
    run_all(candidate)
    oof = output(candidate, "oof.parquet")
    assert list(oof.columns) == ["row", "ripe", "soft"]
    assert ((oof["soft"] > 0.5) == (train["soft"] == "1")).mean() > 0.8


def test_forward_folds_never_predict_the_first_and_train_a_last_model_on_all_rows(tmp_path: Path) -> None:
    competition = replace(regression(), scheme="time", folds=4)
    candidate = prepare(competition, tmp_path)
    said = run_all(candidate)
    assert output(candidate, "oof.parquet")["row"].tolist() == list(range(TRAIN_ROWS // 4, TRAIN_ROWS))
    assert "fold 0" not in said
    assert "weight, all rows" in said


def test_a_last_model_on_a_sample_takes_as_many_rounds_as_folds_of_samples_did(tmp_path: Path) -> None:
    candidate = prepare(replace(regression(), scheme="time", folds=4), tmp_path, {"sample_rows": 60})
    said = run_all(candidate)
    kept = re.search(r"rounds kept: (.+)", said)
    last = re.search(r"weight, all rows: (\d+) trees", said)
    assert kept
    assert last
    assert int(last[1]) >= min(map(int, kept[1].split()))


def test_repeats_are_averaged(tmp_path: Path) -> None:
    once, twice = prepare(regression(), tmp_path / "a"), prepare(replace(regression(), repeats=2), tmp_path / "b")
    said = run_all(once), run_all(twice)
    assert (said[0].count("fold"), said[1].count("fold")) == (3, 6)
    assert len(output(twice, "oof.parquet")) == TRAIN_ROWS
    assert not output(once, "oof.parquet")["weight"].equals(output(twice, "oof.parquet")["weight"])


def test_a_kernel_is_judged_without_the_rows_that_folds_keep_together(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    farm = np.repeat(np.arange(60), 4)
    middle, own = random.normal(size=(60, 5)), random.normal(size=60)
    table = pd.DataFrame(middle[farm] + 0.1 * random.normal(size=(240, 5)), columns=list("abcde"))
    weight = 10 + np.sin(1.5 * middle[farm, 0]) + 0.5 * middle[farm, 1] + own[farm] + 0.3 * random.normal(size=240)
    train = table.assign(farm=farm, weight=weight)
    test = table[:20].assign(id=[str(row) for row in range(20)])
    folds = pd.concat(
        pd.DataFrame({"repeat": n, "row": range(240), "fold": random.permutation(60)[farm] % 4}) for n in (0, 1)
    )

    def loss(scheme: str, column: str | None) -> float:
        competition = SmallCompetition(train, test, {}, ("weight",), "regression", "rmse", "value")
        competition = replace(competition, scheme=scheme, time_column=column)
        candidate = prepare(competition, tmp_path / scheme, family="kernel")
        folds.to_parquet(candidate.path.parents[1] / "input" / "folds.parquet", index=False)
        run_all(candidate)
        return float(((output(candidate, "oof.parquet")["weight"] - weight) ** 2).mean())

    assert loss("group", "farm") < 0.93 * loss("kfold", None)


def test_rows_are_kept_together_that_no_repeat_tells_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = [0, 0, 0, 1, 1, 2], [0, 0, 1, 1, 1, 0]
    table = pd.DataFrame({"repeat": [0] * 6 + [1] * 6, "row": [*range(6)] * 2, "fold": first + second})
    validation = {"kind": "kfold", "column": "farm"}
    with template_file("folds") as folds:
        monkeypatch.setattr(folds.files, "config", lambda: {"validation": validation})
        monkeypatch.setattr(folds.files, "load_folds", lambda: table.sample(frac=1, random_state=0))
        assert folds.kept_together().tolist() == [0, 0, 1, 2, 2, 3]
        monkeypatch.setenv("AUTOKAGGLE_FOLD", "1")  # as where the other repeats are not told
        assert folds.kept_together().tolist() == first
        for other in ({"kind": "forward"}, {"column": None}):
            monkeypatch.setattr(folds.files, "config", lambda other=other: {"validation": validation | other})
            assert folds.kept_together() is None


def test_a_sealed_fold_is_predicted_without_its_labels(tmp_path: Path) -> None:
    candidate = prepare(binary(), tmp_path)
    tables = candidate.path.parents[1] / "input" / "tables"
    folds = pd.read_parquet(tables.parent / "folds.parquet")
    sealed = folds.loc[folds["fold"] == 1, "row"].to_numpy()
    train = pd.read_parquet(tables / "train.parquet")
    labels = train["ripe"].copy()
    train.loc[sealed, "ripe"] = None
    train.to_parquet(tables / "train.parquet")
    run_all(candidate, AUTOKAGGLE_FOLD="1")
    oof = output(candidate, "oof.parquet")
    assert oof["row"].tolist() == sorted(sealed.tolist())
    assert ((oof["ripe"] > 0.5) == (labels[oof["row"]] == "True").to_numpy()).mean() > 0.7
    assert len(output(candidate, "test_predictions.parquet")) == 60


def test_fits_stop_at_the_deadline_and_the_next_run_does_the_same(tmp_path: Path) -> None:
    longer = replace(binary(), train=pd.concat([binary().train] * 40, ignore_index=True))
    endless = {"rounds": 100_000, "patience": 100_000, "learning_rate": 0.0001}
    candidate = prepare(longer, tmp_path, {"model": {"parameters": endless}})
    deadline = time.time() + 8
    said = run_all(candidate, AUTOKAGGLE_DEADLINE=str(deadline))
    # On a machine that runs other tests; without a deadline the fits would take many minutes.
    assert time.time() < deadline + 60
    assert said.count("time over") == 3
    first = output(candidate, "oof.parquet")
    (candidate.output / "limits.json").replace(candidate.code / "limits.json")
    assert "time over" not in run_all(candidate)
    pd.testing.assert_frame_equal(first, output(candidate, "oof.parquet"), check_exact=True)


def test_a_pipelines_own_limit_holds_once_and_is_then_replaced_by_its_rounds(tmp_path: Path) -> None:
    longer = replace(binary(), train=pd.concat([binary().train] * 40, ignore_index=True))
    endless = {"rounds": 100_000, "patience": 100_000, "learning_rate": 0.0001}
    candidate = prepare(longer, tmp_path, {"model": {"parameters": endless}, "most_seconds": 2})
    assert run_all(candidate).count("time over") == 3
    first = output(candidate, "oof.parquet")
    (candidate.output / "limits.json").replace(candidate.code / "limits.json")
    candidate.config.write_text(candidate.config.read_text("utf-8").replace("most_seconds: 2", "most_seconds: 0"))
    run_all(candidate)
    pd.testing.assert_frame_equal(first, output(candidate, "oof.parquet"), check_exact=True)


def test_a_sample_of_the_rows_is_fitted_and_all_are_predicted(tmp_path: Path) -> None:
    made = {}
    for most in (None, 40):
        candidate = prepare(regression(), tmp_path / str(most), {"sample_rows": most} if most else {})
        run_all(candidate)
        made[most] = output(candidate, "oof.parquet")
    assert made[40]["row"].tolist() == made[None]["row"].tolist() == list(range(TRAIN_ROWS))
    assert not np.allclose(made[40].iloc[:, 1], made[None].iloc[:, 1])


def test_columns_that_test_lacks_are_never_used(tmp_path: Path) -> None:
    candidate = prepare(binary(), tmp_path)
    columns = yaml.safe_load(candidate.config.read_text("utf-8"))["columns"]
    assert not {"only in train", "only in test", "ripe", "always"} & set(columns)
    assert set(STRANGE_NAMES) <= set(columns)


@pytest.mark.parametrize("names", ["usual names", "odd names"])
def test_csv_files_serve_where_the_parsed_tables_are_absent(tmp_path: Path, names: str) -> None:
    competition = binary()
    candidate = prepare(competition, tmp_path)
    run_all(candidate)
    expected = output(candidate, "test_predictions.parquet")
    run = candidate.path.parents[1]
    for path in (run / "input" / "tables").iterdir():
        path.unlink()
    data = run / "input" / "data" / "deeper"
    data.mkdir(parents=True)
    usual = names == "usual names"
    competition.train.to_csv(data / ("train.csv" if usual else "a.csv"), index=False)
    competition.test.to_csv(data / ("test.csv" if usual else "b.csv.gz"), index=False)
    run_all(candidate)
    pd.testing.assert_frame_equal(expected, output(candidate, "test_predictions.parquet"), rtol=1e-3)


def test_submission_has_the_samples_ids_in_the_samples_order(tmp_path: Path) -> None:
    competition = binary()
    part = {"target": "ripe", "inputs": [0], "outputs": ["ripe"], "method": "threshold", "threshold": 0.5}
    rule = {"version": 1, "parts": [{**part, "labels": ["False", "True"]}]}
    candidate = prepare(competition, tmp_path, {"decision": rule})
    config = candidate.config.read_text()
    assert "header:\n  - id\n" in config
    candidate.config.write_text(config.replace("header:\n  - id\n", "header:\n  - ''\n"))
    run_all(candidate)
    header, *_ = (candidate.output / "submission.csv").read_text().split("\n")
    assert header == ",ripe"
    submission = pd.read_csv(candidate.output / "submission.csv", dtype=str, names=["id", "ripe"], skiprows=1)
    assert submission["id"].tolist() == competition.sample()["id"].tolist()
    by_id = dict(zip(competition.test["id"], output(candidate, "test_predictions.parquet")["ripe"], strict=True))
    assert all((label == "True") == (by_id[key] >= 0.5) for key, label in submission.to_numpy().tolist())


def test_features_written_for_the_competition_learn_inside_each_fold(tmp_path: Path) -> None:
    written = (
        "def fit(train):\n"
        "    print(f'fitted on {len(train)} {\"ripe\" in train}\\n', end='')\n"
        "    return {'middle': train['size'].median()}\n"
        "def transform(table, state):\n"
        "    assert 'ripe' not in table\n"
        "    return table[['size']].fillna(state['middle']).assign(code=table['crate'].str[0].astype('category'))\n"
    )
    candidate = prepare(binary(), tmp_path, files={"features.py": written})
    said = run_all(candidate)
    assert said.count("fitted on 160 True") == 3
    assert np.isfinite(output(candidate, "oof.parquet").to_numpy()).all()


def test_scripts_without_a_model_say_what_to_do(tmp_path: Path) -> None:
    candidate = prepare(binary(), tmp_path)
    result = run_script(candidate.path, "validate.py")
    assert result.returncode == 1
    assert "run train.py first" in result.stderr


def test_scripts_without_input_say_where_they_looked(tmp_path: Path) -> None:
    candidate = prepare(binary(), tmp_path)
    (candidate.path.parents[1] / "input").rename(tmp_path / "elsewhere")
    result = run_script(candidate.path, "train.py")
    assert result.returncode == 1
    assert "Set AUTOKAGGLE_INPUT" in result.stderr
