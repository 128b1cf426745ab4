"""The demo competition: what is written, that it is the same each time, and that it can be learned."""

from __future__ import annotations

import csv
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from autokaggle.practice.demo_competition import DEMO_SLUG, TEST_ROWS, TRAIN_ROWS, make_demo_competition
from autokaggle.practice.grader import grade
from autokaggle.practice.hosted_competition import read_competitions

METRIC = "Area Under Receiver Operating Characteristic Curve"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("competitions")
    return folder / make_demo_competition(folder)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def fingerprint(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_tables_fit_each_other(demo: Path) -> None:
    train, test = rows(demo / "data" / "train.csv"), rows(demo / "data" / "test.csv")
    sample, solution = rows(demo / "data" / "sample_submission.csv"), rows(demo / "private" / "solution.csv")
    assert (len(train), len(test)) == (TRAIN_ROWS, TEST_ROWS)
    assert set(train[0]) - set(test[0]) == {"has_iata_code"}
    assert [row["id"] for row in test] == [row["id"] for row in sample] == [row["id"] for row in solution]
    assert not {row["id"] for row in train} & {row["id"] for row in test}


def test_columns_are_of_mixed_types_and_some_values_are_missing(demo: Path) -> None:
    train = rows(demo / "data" / "train.csv")
    assert {row["has_iata_code"] for row in train} == {"0", "1"}
    assert all(-90 <= float(row["latitude"]) <= 90 for row in train)
    assert any("." in row["latitude"] for row in train)
    assert len({row["country"] for row in train}) > 50
    assert len({row["name"] for row in train}) > 0.9 * len(train)
    assert 0.02 < sum(row["city"] == "" for row in train) / len(train) < 0.5


def test_half_of_the_test_rows_are_public(demo: Path) -> None:
    usage = [row["Usage"] for row in rows(demo / "private" / "solution.csv")]
    assert usage.count("Public") == usage.count("Private") == TEST_ROWS // 2


def test_the_same_seed_gives_the_same_files_and_another_seed_others(demo: Path, tmp_path: Path) -> None:
    again = tmp_path / make_demo_competition(tmp_path)
    assert fingerprint(again) == fingerprint(demo)
    make_demo_competition(tmp_path, seed=1)
    assert fingerprint(again)["data/train.csv"] != fingerprint(demo)["data/train.csv"]


def test_making_it_again_leaves_nothing_of_what_stood_there(tmp_path: Path) -> None:
    slug = make_demo_competition(tmp_path)
    (tmp_path / slug / "data" / "stale.csv").write_text("id\n1\n")
    make_demo_competition(tmp_path)
    assert not (tmp_path / slug / "data" / "stale.csv").exists()


def test_pages_say_where_the_data_come_from_and_what_the_rules_allow(demo: Path) -> None:
    pages = {page["name"]: page["content"] for page in read_competitions(demo.parent)[DEMO_SLUG].pages}
    assert set(pages) == {"overview", "evaluation", "data-description", "rules"}
    assert "$" not in "".join(pages.values())
    assert "airportsdata" in pages["overview"]
    assert "MIT licence" in pages["overview"]
    assert "area under the ROC curve" in pages["evaluation"]
    assert "maximum of 10 entries per day" in pages["rules"]
    assert "maximum team size is 5" in pages["rules"]
    assert f"{TRAIN_ROWS:,} rows" in pages["data-description"]


def test_every_column_is_described(demo: Path) -> None:
    described = (demo / "pages" / "data-description.md").read_text("utf-8")
    for column in rows(demo / "data" / "train.csv")[0]:
        assert f"**{column}**" in described


def test_metadata_name_a_metric_that_the_server_computes(demo: Path) -> None:
    assert json.loads((demo / "competition.json").read_text("utf-8"))["evaluationMetric"] == METRIC


def test_a_plain_model_beats_every_baseline(demo: Path) -> None:
    baselines = {
        path.stem: grade(path.read_bytes(), demo / "private" / "solution.csv", METRIC)
        for path in (demo / "private" / "baselines").glob("*.csv")
    }
    assert baselines["sample submission"].private == 0.5
    model = grade(plain_model(demo), demo / "private" / "solution.csv", METRIC)
    assert model.public > max(scores.public for scores in baselines.values())
    assert model.private > max(scores.private for scores in baselines.values())


def plain_model(demo: Path) -> bytes:
    """Return the submission of a gradient boosting that sees numbers, category codes and the length of the name."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    train, test = rows(demo / "data" / "train.csv"), rows(demo / "data" / "test.csv")
    countries = {name: code for code, name in enumerate(sorted({row["country"] for row in train}))}

    def features(table: list[dict[str, str]]) -> list[list[Any]]:
        return [
            [
                *(float(row[name]) for name in ("latitude", "longitude", "elevation")),
                countries.get(row["country"], -1),
                len(row["name"]),
                row["city"] == "",
                "International" in row["name"],
            ]
            for row in table
        ]

    model = HistGradientBoostingClassifier(random_state=0)
    model.fit(features(train), [row["has_iata_code"] for row in train])
    chances = model.predict_proba(features(test))[:, 1]
    lines = [f"{row['id']},{chance}" for row, chance in zip(test, chances, strict=True)]
    return "\n".join(["id,has_iata_code", *lines]).encode()
