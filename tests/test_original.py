"""The data set behind a synthetic competition helps where rules allow it, and brings no label that is scored."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pandas as pd
import pytest

from autokaggle.errors import UsageError
from autokaggle.records.candidate import Candidate, Gain, Search
from autokaggle.records.data_profile import ColumnProfile, DataProfile
from autokaggle.records.plan import Plan
from autokaggle.skills.dataset.original_table import ORIGINAL_TABLE, write_original
from autokaggle.skills.pipeline import feature_gate, portfolio
from tests.judged_run import judged_run, orchard
from tests.small_plans import make_plan

FEATURES = ["height", "width", "grower"]
SOLD = {"sold": ("0", "1")}


def tables(folder: Path) -> Path:
    train = pd.DataFrame(
        {"height": [1.0, 2.0, 3.0], "width": [1, 1, 2], "grower": ["g1", None, "g2"], "sold": ["0", "1", "1"]}
    )
    test = pd.DataFrame({"height": [9.0], "width": [9], "grower": ["g9"]})
    train.to_parquet(folder / "train.parquet", index=False)
    test.to_parquet(folder / "test.parquet", index=False)
    return folder


def written(folder: Path, csv: str) -> tuple[list[tuple[object, ...]], tuple[int, int, int]]:
    """Return the rows of the table that is made of a CSV file, and how many rows were kept, known and unusable."""
    file = folder / "given.csv"
    file.write_text(csv, "utf-8")
    made = write_original(file, tables(folder), "train.parquet", "test.parquet", ["sold"], FEATURES, SOLD)
    table = pd.read_parquet(folder / ORIGINAL_TABLE).astype("object")
    assert list(table) == ["sold", *FEATURES]
    rows = [tuple(None if pd.isna(value) else value for value in row) for row in table.itertuples(index=False)]
    return rows, (made.rows, made.known, made.unusable)


def test_columns_are_found_whatever_their_case_and_get_the_types_of_train(tmp_path: Path) -> None:
    rows, counts = written(tmp_path, "Id,HEIGHT,grower ,Sold\n1,4.5,g1,1.0\n2,5.5,g7,0\n")
    assert rows == [("1", 4.5, None, "g1"), ("0", 5.5, None, "g7")]
    assert counts == (2, 0, 0)


def test_rows_that_stand_in_train_or_test_are_left_out_and_repeated_ones_come_once(tmp_path: Path) -> None:
    known = "1,1,g1,1\n2,1,,0\n9,9,g9,1\n"
    rows, counts = written(tmp_path, f"height,width,grower,sold\n{known}7,7,g7,1\n7,7,g7,0\n")
    assert rows == [("1", 7.0, 7, "g7")]
    assert counts == (1, 3, 0)


def test_rows_without_a_label_that_train_knows_are_left_out(tmp_path: Path) -> None:
    rows, counts = written(tmp_path, "height,width,grower,sold\n7,7,g7,\n8,8,g8,maybe\n6,6,g6,1\n")
    assert [row[0] for row in rows] == ["1"]
    assert counts == (1, 0, 2)


@pytest.mark.parametrize(
    ("csv", "said"),
    [("height,width,grower\n1,1,g1\n", "lacks the target sold"), ("sold,height,x,y\n1,1,1,1\n", "1 of 3 features")],
)
def test_another_data_set_is_refused_with_what_it_lacks(tmp_path: Path, csv: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        written(tmp_path, csv)


def trials(original_table: str) -> list[str]:
    plan = msgspec.structs.replace(make_plan("rmse"), original_table=original_table, time_budget_seconds=600.0)
    return [proposal.title for proposal in feature_gate.trials(_search(plan), _base(plan))]


def _search(plan: Plan, *candidates: Candidate) -> Search:
    column = ColumnProfile(name="x", kind="number", type="DOUBLE", in_train=True, in_test=True)
    profile = msgspec.structs.replace(_profile(), columns=(column,))
    return Search(plan=plan, profile=profile, seconds_left=500.0, candidates=candidates)


def _base(plan: Plan) -> Candidate:
    first = next(portfolio.propose(plan, _profile()))
    return Candidate(id="c001", proposal=first, status="scored", seconds=2.0)


def _profile() -> DataProfile:
    from tests.small_competition import SmallCompetition, mixed_tables

    train, test, kinds, signal = mixed_tables()
    train["weight"] = np.exp(signal)
    return SmallCompetition(train, test, kinds, ("weight",), "regression", "rmse", "value").profile()


def test_its_columns_and_its_rows_are_tried_first_each_by_itself_where_it_was_given() -> None:
    assert not any("original" in title for title in trials(""))
    assert [title.split("with ")[1] for title in trials(ORIGINAL_TABLE)[:2]] == ["original columns", "original rows"]


def test_what_helped_beyond_noise_is_used_by_the_others() -> None:
    plan = msgspec.structs.replace(make_plan("rmse"), original_table=ORIGINAL_TABLE, time_budget_seconds=600.0)
    base = _base(plan)
    columns, rows = list(feature_gate.trials(_search(plan, base), base))[:2]
    gain = Gain(over="c001", value=0.1, error=0.02, is_noise=False, loss_errors=5.0)
    done = [
        Candidate(id="c002", proposal=columns, status="scored", seconds=2.0, gains=(gain,)),
        Candidate(id="c003", proposal=rows, status="scored", seconds=2.0, gains=()),
    ]
    kept = feature_gate.kept(_search(plan, base, *done))
    assert kept == ("original columns",)
    assert feature_gate.with_blocks(base.proposal, kept).config["features"] == {"original": ["columns"]}


def behind(rows: int = 3000) -> pd.DataFrame:
    """The orchard's own law, without most of its noise."""
    random = np.random.default_rng(8)
    table = pd.DataFrame({"height": random.normal(size=rows).round(4), "width": random.normal(size=rows).round(4)})
    table["grower"] = [f"g{number}" for number in random.integers(0, 120, rows)]
    table["price"] = ((table["height"] - 0.7 * table["width"]) * 10 + 50).round(3)
    return table


@pytest.mark.slow
def test_columns_and_rows_of_the_original_lower_the_error_of_a_small_train_table(tmp_path: Path) -> None:
    file = tmp_path / "original.csv"
    behind().to_csv(file, index=False)
    with judged_run(orchard(tmp_path / "orchard", "price"), tmp_path, metric="rmse", original=str(file)) as run:
        errors = []
        for number, uses in enumerate(([], ["columns"], ["rows"]), start=1):
            candidate, _ = run.candidate(config={"features": {"original": uses}}, name=f"c00{number}")
            assert candidate.score, run.log(candidate.id)
            errors.append(candidate.score.mean)
    assert errors[1] < errors[0]
    assert errors[2] < errors[0]


def test_rules_that_forbid_external_data_are_kept(tmp_path: Path) -> None:
    file = tmp_path / "original.csv"
    behind(50).to_csv(file, index=False)
    competition = orchard(tmp_path / "orchard", "price")
    (competition / "pages").mkdir()
    (competition / "pages" / "rules.md").write_text("External data is not allowed.", "utf-8")
    with (
        pytest.raises(UsageError, match="External data is not allowed"),
        judged_run(competition, tmp_path, metric="rmse", original=str(file)),
    ):
        pass
