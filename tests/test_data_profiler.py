"""The profiler on whole competitions: made-up ones here, real ones where the measuring cases are at hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import duckdb
import pytest

from autokaggle.errors import CompetitionUnusable
from autokaggle.records import DataProfile
from autokaggle.skills.dataset.data_profiler import profile_dataset

# The validation that mirrors each split, decided by hand: (scheme, column).
SCHEMES: dict[str, tuple[str, str | None]] = {
    "bike-sharing-demand": ("group", "day(datetime)"),
    "house-prices-advanced-regression-techniques": ("kfold", None),
    "job-change-data-scientists": ("stratified", None),
    "nlp-getting-started": ("stratified", None),
    "nyc-flight-delays": ("time", "date"),
    "playground-series-s3e18": ("stratified", None),
    "playground-series-s3e19": ("time", "date"),
    "playground-series-s3e26": ("stratified", None),
    "playground-series-s3e5": ("stratified", None),
    "playground-series-s4e2": ("stratified", None),
    "spaceship-titanic": ("stratified_group", 'part(PassengerId, "_", 0)'),
    "titanic": ("stratified", None),
}


def profile_case(case: Path, tables: Path) -> tuple[DataProfile, dict[str, Any]]:
    """Profile a measuring case from its data and pages alone; return the right answers beside it."""
    answers = json.loads((case / "competition.json").read_text("utf-8"))
    pages = {path.stem: path.read_text("utf-8") for path in sorted((case / "pages").glob("*.md"))}
    return profile_dataset(case / "data", tables, pages, metric_wording=answers["evaluation_metric"]), answers


@pytest.mark.parametrize("slug", SCHEMES)
def test_real_competition_is_understood(slug: str, shared_folder: Path, tmp_path: Path) -> None:
    profile, answers = profile_case(shared_folder / "cases" / slug, tmp_path)

    roles = {file.role: file.name for file in profile.files}
    assert {role: roles.get(role) for role in answers["files"]} == answers["files"]
    assert profile.id_columns == (answers["id_column"],)
    assert profile.target_columns == tuple(answers["target_columns"])
    assert profile.submission_columns == (answers["id_column"], *answers["submission_columns"])
    assert profile.task_type == answers["task_type"]
    assert (profile.split.scheme, profile.split.column) == SCHEMES[slug]


@pytest.mark.parametrize(("case", "said"), [("empty-train", "0 bytes"), ("header-only", "no rows")])
def test_competition_without_training_rows_is_refused_by_name(
    case: str, said: str, shared_folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(CompetitionUnusable) as caught:
        profile_case(shared_folder / "broken_cases" / case, tmp_path)

    assert "train.csv" in caught.value.message
    assert said in caught.value.message


def test_text_that_goes_back_to_kaggle_is_kept_exactly(tmp_path: Path) -> None:
    data, tables = tmp_path / "data", tmp_path / "tables"
    data.mkdir()
    rows = [f"{number:03d},{number / 7},{number % 2 == 0}" for number in range(60)]
    (data / "train.csv").write_text("\n".join(["code,size,alive", *rows]) + "\n")
    (data / "test.csv").write_text("code,size\n060,1\n061,2\n")
    (data / "sample_submission.csv").write_text("code,alive\n060,False\n061,False\n")

    profile = profile_dataset(data, tables, {})

    train = duckdb.sql(f"SELECT code, alive FROM '{tables / 'train.parquet'}' LIMIT 2").fetchall()
    sample = duckdb.sql(f"SELECT * FROM '{tables / 'sample_submission.parquet'}'").fetchall()
    assert train == [("000", "True"), ("001", "False")]
    assert sample == [("060", "False"), ("061", "False")]
    assert profile.classes == {"alive": ("False", "True")}
