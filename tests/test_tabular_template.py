"""The tabular pipeline runs by hand and keeps the candidate contract, whatever the task and the columns."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from autokaggle.records.data_profile import TaskType
from autokaggle.skills.pipeline.feature_gate import BLOCKS
from autokaggle.storage.artifacts import CandidateFolder
from tests.small_competition import (
    SCRIPTS,
    STRANGE_NAMES,
    TRAIN_ROWS,
    SmallCompetition,
    binary,
    mixed_tables,
    prepare,
    regression,
    run_all,
    run_script,
)
from tests.template_files import template_file

TEMPLATES = Path(__file__).resolve().parents[1] / "src" / "autokaggle" / "templates"


def multiclass() -> SmallCompetition:
    train, test, kinds, signal = mixed_tables()
    train["sort"] = pd.Series(np.array(["row", "a", "A"], dtype=object)[np.digitize(signal, [0, 1])], dtype="str")
    classes = {"sort": ("A", "a", "row")}
    return SmallCompetition(train, test, kinds, ("sort",), "multiclass_classification", "accuracy", "label", classes)


def ordinal() -> SmallCompetition:
    train, test, kinds, signal = mixed_tables()
    train["grade"] = pd.Series(np.digitize(signal, [-1, 0, 1, 2]) + 3).astype("str")
    classes = {"grade": ("3", "4", "5", "6", "7")}
    metric = "quadratic_weighted_kappa"
    return SmallCompetition(train, test, kinds, ("grade",), "ordinal", metric, "label", classes)


def output(candidate: CandidateFolder, name: str) -> pd.DataFrame:
    return pd.read_parquet(candidate.output / name)


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


@pytest.mark.parametrize("family", ["linear", "extra_trees", "mlp", "kernel", "nearest"])
@pytest.mark.parametrize("make", [regression, binary, multiclass], ids=["values", "binary", "multiclass"])
def test_every_family_serves_every_task(tmp_path: Path, family: str, make: object) -> None:
    competition = make()  # type: ignore[operator]
    candidate = prepare(competition, tmp_path, {"model": {"parameters": {"rounds": 40}}}, family)
    run_all(candidate)
    for name in ("oof.parquet", "test_predictions.parquet"):
        assert np.isfinite(output(candidate, name).to_numpy()).all()


@pytest.mark.parametrize("family", ["xgboost", "catboost"])
@pytest.mark.parametrize("make", [regression, binary, multiclass], ids=["values", "binary", "multiclass"])
def test_heavy_families_serve_every_task(tmp_path: Path, family: str, make: object) -> None:
    pytest.importorskip(family, reason=f"{family} is installed into a run's environment only when a plan asks for it")
    competition = make()  # type: ignore[operator]
    parameters = {"rounds": 40, "patience": 10, "eta": 0.1} if family == "xgboost" else {"rounds": 40}
    candidate = prepare(competition, tmp_path, {"model": {"parameters": parameters}}, family)
    run_all(candidate)
    assert np.isfinite(output(candidate, "oof.parquet").to_numpy()).all()


def with_infinite_values(competition: SmallCompetition) -> SmallCompetition:
    """Put infinite values into numbers, amounts and whole columns of train and of test."""
    tables = []
    for table in (competition.train.copy(), competition.test.copy()):
        random, rows = np.random.default_rng(len(table)), len(table)
        table.loc[1, "size"], table.loc[2, "size"] = np.inf, -np.inf
        table["boundless"] = np.where(random.random(rows) < 0.5, np.inf, 1.0)
        table["nothing else"] = np.where(random.random(rows) < 0.5, np.inf, -np.inf)
        table["latitude"], table["longitude"] = random.normal(size=(2, rows))
        table.loc[3, ["latitude", "longitude"]] = np.inf
        for name in ("bread", "milk", "honey"):
            table[name] = np.where(random.random(rows) < 0.4, 0.0, random.integers(1, 60, rows).astype(float))
            table.loc[4, name] = np.inf
        tables.append(table)
    return replace(competition, train=tables[0], test=tables[1])


FAMILIES = ("lightgbm", "xgboost", "catboost", "linear", "extra_trees", "mlp", "kernel", "nearest")


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("make", [regression, binary], ids=["values", "binary"])
def test_no_family_fails_on_infinite_values(tmp_path: Path, family: str, make: object) -> None:
    if family in ("xgboost", "catboost"):
        pytest.importorskip(family, reason="it is installed into a run's environment only when a plan asks for it")
    competition = with_infinite_values(make())  # type: ignore[operator]
    features = {"blocks": list(BLOCKS)} if family in ("lightgbm", "linear") else {}
    candidate = prepare(competition, tmp_path, {"model": {"parameters": {"rounds": 10}}, "features": features}, family)
    run_all(candidate)
    for name in ("oof.parquet", "test_predictions.parquet"):
        assert np.isfinite(output(candidate, name).to_numpy()).all()


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("make", [regression, binary], ids=["values", "binary"])
def test_no_family_fails_where_no_column_varies(tmp_path: Path, family: str, make: object) -> None:
    if family in ("xgboost", "catboost"):
        pytest.importorskip(family, reason="it is installed into a run's environment only when a plan asks for it")
    competition = make()  # type: ignore[operator]
    kept = [("id", "always"), ("id", "always", *competition.targets)]
    test, train = (table[list(names)] for table, names in zip((competition.test, competition.train), kept, strict=True))
    numbered = [table.assign(id=range(len(table))) for table in (train, test)]
    small = replace(competition, train=numbered[0], test=numbered[1])
    candidate = prepare(small, tmp_path, {"model": {"parameters": {"rounds": 10}}}, family)
    run_all(candidate)
    for name in ("oof.parquet", "test_predictions.parquet"):
        assert np.isfinite(output(candidate, name).to_numpy()).all()


def test_rows_whose_target_is_infinite_do_not_train(tmp_path: Path) -> None:
    competition = regression()
    train = competition.train.assign(weight=competition.train["weight"].mask(competition.train.index == 5, np.inf))
    candidate = prepare(replace(competition, train=train), tmp_path)
    run_all(candidate)
    oof = output(candidate, "oof.parquet")["weight"]
    assert oof.drop(5).rank().corr(train["weight"].drop(5).rank()) > 0.7


@pytest.mark.parametrize("task", ["regression", "binary_classification"])
def test_more_columns_than_rows_are_not_learned_by_heart(tmp_path: Path, task: TaskType) -> None:
    random = np.random.default_rng(1)
    x = random.normal(size=(210, 300))
    y = x[:, :4].sum(axis=1) + random.normal(size=210)
    labels = y if task == "regression" else np.where(y > 0, "yes", "no")
    table = pd.DataFrame({"id": np.arange(210), **{f"x{place}": x[:, place] for place in range(300)}, "y": labels})
    small = SmallCompetition(
        table[:150],
        table[150:].drop(columns="y").reset_index(drop=True),
        {},
        ("y",),
        task,
        "rmse" if task == "regression" else "log_loss",
        "value" if task == "regression" else "probability",
        {} if task == "regression" else {"y": ("no", "yes")},
    )
    candidate = prepare(small, tmp_path, {}, "linear")
    run_all(candidate)
    told = output(candidate, "oof.parquet")["y"].to_numpy()
    if task == "regression":
        assert np.sqrt(np.mean((told - y[:150]) ** 2)) < 0.97 * y[:150].std()
    else:
        chances = np.where(y[:150] > 0, told, 1 - told)
        assert -np.log(chances).mean() < np.log(2)


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


@pytest.fixture(scope="module")
def typing_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What was found out about the libraries that templates use is found out once.

    PyTorch is not looked into: most machines do not have it, and to read it takes long.
    """
    folder = tmp_path_factory.mktemp("typing")
    (folder / "mypy.ini").write_text("[mypy]\n[mypy-torch.*]\nfollow_imports = skip\n")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("template", ["tabular", "ensemble", "image", "text", "timeseries"])
def test_templates_are_typed(template: str, typing_cache: Path) -> None:
    folder = TEMPLATES / template
    command = [sys.executable, "-m", "mypy", f"--config-file={typing_cache / 'mypy.ini'}"]
    command += ["--strict", "--explicit-package-bases"]
    command += ["--python-version=3.11", "--disable-error-code=import-untyped", "--disable-error-code=import-not-found"]
    result = subprocess.run(
        [*command, f"--cache-dir={typing_cache}", str(folder)],
        env={"MYPYPATH": f"{folder}:{TEMPLATES / 'tabular'}", "PATH": ""},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout
