"""The profiler on whole competitions: made-up ones here, real ones where the measuring cases are at hand."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pytest

from autokaggle.errors import CompetitionUnusable
from autokaggle.records.competition import Competition
from autokaggle.records.data_profile import DataProfile
from autokaggle.records.event import Progress
from autokaggle.records.plan import Decision, Decisions
from autokaggle.records.run import RunOptions
from autokaggle.skills.dataset.data_profiler import profile_dataset
from autokaggle.skills.pipeline.plan import make_plan
from autokaggle.skills.submission.checker import check_submission
from autokaggle.skills.submission.writer import write_submission
from tests.csv_folder import write_csv

# The validation that mirrors each split, decided by hand: (scheme, column).
SCHEMES: dict[str, tuple[str, str | None]] = {
    "aerial-cactus-identification": ("stratified", None),
    "bike-sharing-demand": ("group", "days(datetime, 6)"),
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
    assert min(profile.target_guess.confidence, profile.id_guess.confidence, profile.task_guess.confidence) >= 0.8


@pytest.mark.parametrize(
    ("slug", "kind", "said"),
    [
        ("titanic", "label", ""),
        ("job-change-data-scientists", "probability", ""),
        ("playground-series-s3e26", "class_probability", ""),
        ("playground-series-s3e18", "probability", "only train has 'EC3', 'EC4', 'EC5', 'EC6'"),
        ("bike-sharing-demand", "value", "'casual' and 'registered' add up to the target 'count'"),
    ],
)
def test_real_submission_and_leaks_are_seen(
    slug: str, kind: str, said: str, shared_folder: Path, tmp_path: Path
) -> None:
    profile, _ = profile_case(shared_folder / "cases" / slug, tmp_path)

    assert profile.submission_kind == kind
    assert said in "; ".join(profile.warnings)


def test_real_lookup_tables_join(shared_folder: Path, tmp_path: Path) -> None:
    profile, _ = profile_case(shared_folder / "cases" / "nyc-flight-delays", tmp_path)

    joins = {file.table: (file.join_columns, file.join_is_unique) for file in profile.files if file.role == "lookup"}
    assert joins == {
        "airlines.parquet": ({"carrier": "carrier"}, True),
        "airports.parquet": ({"faa": "dest"}, True),
        "planes.parquet": ({"tailnum": "tailnum"}, True),
        "weather.parquet": ({"origin": "origin"}, False),
    }


@pytest.mark.parametrize(("case", "said"), [("empty-train", "0 bytes"), ("header-only", "no rows")])
def test_competition_without_training_rows_is_refused_by_name(
    case: str, said: str, shared_folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(CompetitionUnusable) as caught:
        profile_case(shared_folder / "broken_cases" / case, tmp_path)

    assert "train.csv" in caught.value.message
    assert said in caught.value.message


@pytest.mark.parametrize(
    ("case", "said"),
    [
        ("duplicate-ids", "25 rows of test repeat an id"),
        ("one-class-target", "one value in all rows"),
        ("pii-columns", "personal data"),
        ("prompt-injection", ""),
        ("test-lacks-columns", "only train has 'Sex', 'Age', 'Ticket', 'Fare'"),
        ("weird-column-names", "called 'unnamed'"),
        ("zip-slip", "its path leads outside"),
    ],
)
def test_broken_competition_is_profiled_with_a_warning(
    case: str, said: str, shared_folder: Path, tmp_path: Path
) -> None:
    profile, answers = profile_case(shared_folder / "broken_cases" / case, tmp_path)

    assert said in "; ".join(profile.warnings)
    assert profile.target_columns == tuple(answers["target_columns"])
    assert (profile.task_type, profile.train_rows > 800) == (answers["task_type"], True)


def test_no_personal_value_reaches_the_profile(shared_folder: Path, tmp_path: Path) -> None:
    profile, _ = profile_case(shared_folder / "broken_cases" / "pii-columns", tmp_path)

    text = msgspec.json.encode(profile).decode()
    assert not re.search(r"@example|555-01|000-\d\d-|41111\d|DE00|192\.0\.2|Okoro|Braund", text)
    assert {column.name for column in profile.columns if column.personal} == {
        "Name", "full_name", "email", "phone", "ssn", "credit_card", "iban", "ip", "date_of_birth",
    }  # fmt: skip


def made_up(folder: Path, rows: int = 300) -> Path:
    """A competition with every type of column, gaps and a lookup."""
    write_csv(
        folder / "train.csv",
        {
            "key": [f"{n:05d}" for n in range(rows)],
            "day": [f"2024-{n % 12 + 1:02d}-{n % 28 + 1:02d}" for n in range(rows)],
            "height": [None if n % 9 == 0 else (n * 37 % 101) / 7 for n in range(rows)],
            "shop": [f"s{n % 7}" for n in range(rows)],
            "alive": [n % 2 == 0 for n in range(rows)],
        },
    )
    write_csv(
        folder / "test.csv",
        {
            "key": [f"{n:05d}" for n in range(rows, rows + 50)],
            "day": [f"2024-{n % 12 + 1:02d}-{n % 28 + 1:02d}" for n in range(50)],
            "height": range(50),
            "shop": [f"s{n % 7}" for n in range(50)],
        },
    )
    write_csv(folder / "shops.csv", {"shop": [f"s{n}" for n in range(7)], "town": list("abcdefg")})
    return folder


def two_targets(folder: Path, second: list[Any]) -> Path:
    """A competition that asks for a weight and for ``second``."""
    rows = len(second)
    features = {"id": range(rows), "size": [n * 37 % 101 / 7 for n in range(rows)]}
    write_csv(folder / "train.csv", {**features, "weight": [n * 17 % 97 / 3 for n in range(rows)], "second": second})
    write_csv(folder / "test.csv", features)
    write_csv(
        folder / "sample_submission.csv", {"id": range(rows), "weight": [0.5] * rows, "second": second[:1] * rows}
    )
    return folder


@pytest.mark.parametrize("values", ["red green blue", "True False", "2024-01-05 2024-02-06 2024-03-07"])
def test_a_target_of_texts_beside_one_of_numbers_is_refused_with_what_to_do(tmp_path: Path, values: str) -> None:
    known = values.split()
    data = two_targets(tmp_path / "data", [known[row % len(known)] for row in range(60)])
    with pytest.raises(CompetitionUnusable) as caught:
        profile_dataset(data, tmp_path / "tables", {})
    assert all(name in caught.value.message for name in ("'weight'", "'second'"))
    assert any(value in caught.value.message for value in known)
    assert "sample submission" in caught.value.next_step

    write_csv(data / "sample_submission.csv", {"id": range(60), "second": known[:1] * 60})
    assert profile_dataset(data, tmp_path / "tables", {}).target_columns == ("second",)


def test_a_few_odd_texts_in_one_of_two_targets_of_numbers_are_missing_values(tmp_path: Path) -> None:
    values = ["?" if row == 30 else row * 29 % 89 / 3 for row in range(100)]
    profile = profile_dataset(two_targets(tmp_path / "data", values), tmp_path / "tables", {})
    assert (profile.target_columns, profile.task_type) == (("weight", "second"), "regression")


def query(sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect() as connection:
        return connection.execute(sql).fetchall()


def test_text_that_goes_back_to_kaggle_is_kept_exactly(tmp_path: Path) -> None:
    data, tables = made_up(tmp_path / "data"), tmp_path / "tables"
    write_csv(data / "sample_submission.csv", {"key": [f"{n:05d}" for n in range(300, 350)], "alive": [False] * 50})

    profile = profile_dataset(data, tables, {})

    assert query(f"SELECT key, alive FROM '{tables}/train.parquet' LIMIT 2") == [("00000", "True"), ("00001", "False")]
    assert query(f"FROM '{tables}/sample_submission.parquet' LIMIT 1") == [("00300", "False")]
    assert profile.classes == {"alive": ("False", "True")}


def test_a_first_line_that_sql_cannot_take_comes_back_as_it_was(tmp_path: Path) -> None:
    data, tables = made_up(tmp_path / "data"), tmp_path / "tables"
    for name in ("train.csv", "test.csv"):
        (data / name).write_text((data / name).read_text().replace("key,", ",", 1))
    write_csv(data / "sample_submission.csv", {"": [f"{n:05d}" for n in range(300, 350)], "alive": [False] * 50})
    profile = profile_dataset(data, tables, {})
    assert profile.submission_columns == ("unnamed", "alive")
    assert profile.submission_header == ("", "alive")
    plan = make_plan(
        Competition(slug="shops"), profile,
        Decisions(decisions=(Decision(key="metric", value="accuracy", by="user", why=""),)), RunOptions(target="shops"),
        metric_input="label", greater_is_better=True,
    )  # fmt: skip
    path = tmp_path / "submission.csv"
    write_submission(path, {"alive": ["True"] * 50}, plan, tables)
    assert path.read_text().startswith(",alive\n00300,True\n")
    assert check_submission(path, plan, tables) == ()
    path.write_text(path.read_text().replace(",alive", "unnamed,alive", 1))
    assert "unnamed" in check_submission(path, plan, tables)[0]


def test_shared_columns_share_a_type(tmp_path: Path) -> None:
    tables = tmp_path / "tables"

    profile_dataset(made_up(tmp_path / "data"), tables, {})

    types = [
        {row[0]: row[1] for row in query(f"DESCRIBE FROM '{tables}/{name}.parquet'")} for name in ("train", "test")
    ]
    assert types[0] == {"key": "VARCHAR", "day": "TIMESTAMP", "height": "DOUBLE", "shop": "VARCHAR", "alive": "VARCHAR"}
    assert types[1] == {name: kind for name, kind in types[0].items() if name != "alive"}


def test_infinite_numbers_are_in_no_range(tmp_path: Path) -> None:
    """Behind the first rows, in which such texts are seen and read as missing."""
    for name, rows in (("train", 30_000), ("test", 25_000)):
        depth = ["Infinity" if n == 24_500 else "-inf" if n == 24_900 else f"{n % 997 / 8}" for n in range(rows)]
        columns = {
            "id": range(rows),
            "depth": depth,
            **({"y": [n / 7 for n in range(rows)]} if name == "train" else {}),
        }
        write_csv(tmp_path / f"data/{name}.csv", columns)

    found = profile_dataset(tmp_path / "data", tmp_path / "tables", {})

    column = next(column for column in found.columns if column.name == "depth")
    assert (column.type, column.low, column.high) == ("DOUBLE", "0.0", "124.5")
    assert found.split.scheme == "kfold"


def test_only_tables_are_left_behind(tmp_path: Path) -> None:
    data = made_up(tmp_path / "data")
    (data / "train.csv").write_bytes((data / "train.csv").read_text().encode("utf-16"))
    before = {path: path.read_bytes() for path in data.rglob("*")}

    profile_dataset(data, tmp_path / "tables", {})

    assert sorted(path.name for path in (tmp_path / "tables").iterdir()) == [
        "shops.parquet", "test.parquet", "train.parquet",
    ]  # fmt: skip
    assert {path: path.read_bytes() for path in data.rglob("*")} == before


def test_the_same_data_give_the_same_profile_in_every_process(tmp_path: Path) -> None:
    data = made_up(tmp_path / "data")
    script = (
        "import sys, msgspec; from pathlib import Path; "
        "from autokaggle.skills.dataset.data_profiler import profile_dataset; "
        "sys.stdout.buffer.write(msgspec.json.encode(profile_dataset(Path(sys.argv[1]), Path(sys.argv[2]), {})))"
    )
    found = [
        subprocess.run(
            [sys.executable, "-c", script, data, tmp_path / seed],
            env={"PYTHONHASHSEED": seed, "HOME": str(tmp_path)},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]

    assert found[0] == found[1]
    assert len(found[0]) > 1000


def test_a_very_wide_table_is_profiled_in_seconds(tmp_path: Path) -> None:
    wide = {f"gene_{n}": [(n * row) % 17 / 4 for row in range(60)] for n in range(3000)}
    write_csv(tmp_path / "data/train.csv", {"id": range(60), **wide, "ill": [row % 2 for row in range(60)]})
    write_csv(tmp_path / "data/test.csv", {"id": range(60, 120), **wide})

    started = time.process_time()  # a busy machine makes it wait, not work
    profile = profile_dataset(tmp_path / "data", tmp_path / "tables", {})

    assert len(profile.columns) == 3002
    assert time.process_time() - started < 60


def test_too_little_time_shortens_the_look_at_a_large_table_alone(tmp_path: Path) -> None:
    rows = 21_000
    for name, first, count in (("train", 0, rows), ("test", rows, 90)):
        ids = range(first, first + count)
        kinds = ["abc"[row % 3] for row in ids]
        columns: dict[str, Any] = {"id": ids, "size": [row % 997 / 8 for row in ids], "kind": kinds}
        write_csv(
            tmp_path / f"data/{name}.csv", columns | ({"ill": [row % 2 for row in ids]} if name == "train" else {})
        )

    thorough = profile_dataset(tmp_path / "data", tmp_path / "tables", {})
    hasty = profile_dataset(tmp_path / "data", tmp_path / "tables", {}, seconds=0.0)
    small = profile_dataset(made_up(tmp_path / "small"), tmp_path / "tables", {}, seconds=0.0)

    for profile in (hasty, thorough):
        assert (profile.train_rows, profile.target_columns) == (rows, ("ill",))
        assert [column.kind for column in profile.columns] == ["id", "number", "category", "category"]
        assert profile.split.adversarial_auc is not None
    assert any("1,910 of 21,000 rows" in warning for warning in hasty.warnings)
    assert [hasty.split.duplicate_train_rows, hasty.split.duplicate_rows_across] == [None, None]
    assert not any("little time" in warning for warning in (*thorough.warnings, *small.warnings))
    assert (thorough.split.duplicate_train_rows or 0) > 0
    assert small.split.duplicate_train_rows is not None


def test_progress_is_told(tmp_path: Path) -> None:
    told: list[Progress] = []

    profile_dataset(made_up(tmp_path / "data"), tmp_path / "tables", {}, on_progress=told.append)

    assert [progress.text for progress in told][:1] == ["open shops.csv"]
    assert "write tables" in [progress.text for progress in told]
