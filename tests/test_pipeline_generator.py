"""A proposal becomes a folder of code that can be read, checked and run; the winner becomes the run's own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from autokaggle.errors import UsageError
from autokaggle.records.candidate import Proposal, Score
from autokaggle.records.outcome import Ensemble, Member
from autokaggle.skills.pipeline.candidate_config import config_text, merge
from autokaggle.skills.pipeline.code_checks import check_code
from autokaggle.skills.pipeline.pipeline_generator import code_hash, publish, template_folder, write_candidate
from autokaggle.storage.artifacts import CandidateFolder, RunFolder
from tests.small_competition import STRANGE_NAMES, SmallCompetition, binary, prepare, run_all

SCORE = Score(metric="accuracy", greater_is_better=True, mean=0.8, std=0.1, folds=(0.8,), low=0.7, high=0.9)
RULE: dict[str, Any] = {
    "version": 1,
    "parts": [
        {
            "target": "ripe",
            "inputs": [0],
            "outputs": ["ripe"],
            "method": "threshold",
            "threshold": 0.5,
            "labels": ["False", "True"],
        }
    ],
}


@pytest.fixture
def competition() -> SmallCompetition:
    return binary()


def config_of(folder: CandidateFolder) -> dict[str, Any]:
    content = yaml.safe_load(folder.config.read_text("utf-8"))
    assert isinstance(content, dict)
    return content


def test_a_candidate_has_the_files_of_the_contract_and_passes_the_checks(
    competition: SmallCompetition, tmp_path: Path
) -> None:
    code = prepare(competition, tmp_path).code
    names = {path.name for path in code.iterdir()}
    assert {"features.py", "train.py", "validate.py", "predict.py", "config.yaml", "README.md"} <= names
    assert check_code(code) == ()


def test_only_the_family_in_use_is_copied(competition: SmallCompetition, tmp_path: Path) -> None:
    code = prepare(competition, tmp_path, family="linear").code
    assert [path.name for path in code.glob("model_*.py")] == ["model_linear.py"]


def test_the_configuration_holds_every_column_name_as_it_is(competition: SmallCompetition, tmp_path: Path) -> None:
    config = config_of(prepare(competition, tmp_path))
    assert set(STRANGE_NAMES) <= set(config["columns"])
    assert config["classes"] == {"ripe": ["False", "True"]}
    assert config["objective"] == "log_loss"


@given(st.dictionaries(st.text(), st.sampled_from(["number", "category"]), max_size=5))
def test_any_text_survives_as_a_key(columns: dict[str, str]) -> None:
    printable = {name: kind for name, kind in columns.items() if not any(ch in name for ch in "\ufeff\x85\u2028\u2029")}
    assert yaml.safe_load(config_text({"columns": printable})) == {"columns": printable}


def test_a_proposal_overrides_settings_one_by_one(competition: SmallCompetition, tmp_path: Path) -> None:
    config = config_of(prepare(competition, tmp_path, {"model": {"parameters": {"num_leaves": 3}}, "threads": 1}))
    assert config["model"] == {"family": "lightgbm", "parameters": {"num_leaves": 3}}
    assert config["threads"] == 1
    assert merge({"a": {"b": 1, "c": 2}}, {"a": {"c": 3}, "d": 4}) == {"a": {"b": 1, "c": 3}, "d": 4}


def test_files_of_a_proposal_replace_those_of_the_template(competition: SmallCompetition, tmp_path: Path) -> None:
    candidate = prepare(competition, tmp_path, files={"features.py": "x = 1\n", "more.py": "y = 2\n"})
    assert (candidate.code / "features.py").read_text() == "x = 1\n"
    assert (candidate.code / "more.py").read_text() == "y = 2\n"
    assert config_of(candidate)["features"]["learn_from"] == "fold"


@pytest.mark.parametrize("name", ["../escape.py", "a/b.py", ".hidden", "", "..", "/etc/passwd"])
def test_a_file_outside_the_code_folder_is_refused(competition: SmallCompetition, tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="cannot be named"):
        prepare(competition, tmp_path, files={name: ""})


def test_an_unknown_template_is_refused_with_those_that_ship() -> None:
    with pytest.raises(UsageError, match="tabular"):
        template_folder("../tabular")


@pytest.mark.parametrize(
    ("metric", "metric_input", "lowest", "objective", "transform"),
    [
        ("rmsle", "value", 0, "squared_error", "log1p"),
        ("rmsle", "value", -5, "squared_error", "none"),
        ("rmse", "value", 0, "squared_error", "none"),
        ("mae", "value", 0, "absolute_error", "none"),
        ("smape", "value", 1, "absolute_error", "log"),
        ("mape", "value", 0, "absolute_error", "log1p"),
        ("smape", "value", -1, "absolute_error", "none"),
    ],
)
def test_the_metric_decides_what_is_minimised(
    competition: SmallCompetition,
    tmp_path: Path,
    metric: str,
    metric_input: Any,
    lowest: float,
    objective: str,
    transform: str,
) -> None:
    train = competition.train.assign(weight=np.linspace(lowest, lowest + 10, len(competition.train)))
    values = replace(
        competition, train=train, targets=("weight",), task="regression", metric=metric, metric_input=metric_input
    )
    config = config_of(prepare(values, tmp_path))
    assert (config["objective"], config["target_transform"]) == (objective, transform)


def test_one_winner_is_published_flat_and_writes_the_submission(competition: SmallCompetition, tmp_path: Path) -> None:
    candidate = prepare(competition, tmp_path)
    run_all(candidate)
    run = RunFolder(candidate.path.parents[1])
    (run.code / "left over.py").write_text("")
    ensemble = Ensemble(method="single", members=(Member(candidate="c001", weight=1.0),), score=SCORE, rule=RULE)
    for _ in range(2):
        publish(ensemble, competition.plan(), run)
    assert not (run.code / "left over.py").exists()
    assert yaml.safe_load((run.code / "config.yaml").read_text("utf-8"))["decision"] == RULE
    assert "decision" not in config_of(candidate)
    assert (run.output / "oof.parquet").read_bytes() == candidate.oof.read_bytes()
    assert (run.output / "model.joblib").is_file()
    run_all(CandidateFolder(run.path))
    submission = pd.read_csv(run.submission, dtype=str)
    assert submission["id"].tolist() == competition.sample()["id"].tolist()
    assert set(submission["ripe"]) == {"False", "True"}


def test_the_hash_of_code_tells_names_and_contents_apart(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("1")
    first = code_hash(tmp_path)
    (tmp_path / "a.py").rename(tmp_path / "b.py")
    renamed = code_hash(tmp_path)
    (tmp_path / "b.py").write_text("2")
    assert len({first, renamed, code_hash(tmp_path)}) == 3


def test_a_proposal_can_name_a_template_of_a_plugin(competition: SmallCompetition, tmp_path: Path) -> None:
    template = tmp_path / "theirs"
    template.mkdir()
    (template / "train.py").write_text("print('theirs')\n")
    folder = RunFolder.create(tmp_path, "orchard-20260801-101500-3f2a").candidate("c001")
    proposal = Proposal(title="theirs", family="theirs")
    plan = msgspec.structs.replace(competition.plan(), template="theirs")
    write_candidate(proposal, plan, competition.profile(), folder, [template])
    assert {path.name for path in folder.code.iterdir()} == {"train.py", "config.yaml"}
