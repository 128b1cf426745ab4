"""Kinds of columns, missing values in disguise, and the facts that a profile states."""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from autokaggle.records.data_profile import ColumnProfile
from autokaggle.skills.dataset.column_facts import Facts, measure
from autokaggle.skills.dataset.column_kinds import find_personal_columns, guess_kind, profile_columns
from autokaggle.skills.dataset.column_types import infer
from autokaggle.skills.dataset.data_profiler import profile_dataset
from autokaggle.skills.dataset.tables import connect
from tests.csv_folder import Columns, facts_of, write_csv

ROWS = 200
RANDOM = np.random.default_rng(0)
LETTERS = list(string.ascii_lowercase)


def word(size: int) -> str:
    return "".join(RANDOM.choice(LETTERS, size))


@pytest.mark.parametrize(
    ("name", "values", "kind"),
    [
        ("height", RANDOM.normal(size=ROWS).tolist(), "number"),
        ("lot", RANDOM.integers(0, 10_000, ROWS).tolist(), "number"),
        ("grade", [n % 5 for n in range(ROWS)], "ordinal"),
        ("is_new", [n % 2 for n in range(ROWS)], "category"),
        ("size", [("small", "medium", "large")[n % 3] for n in range(ROWS)], "ordinal"),
        ("ExterQual", [("Gd", "TA", "Ex", "Fa")[n % 4] for n in range(ROWS)], "ordinal"),
        ("colour", [("red", "green", "blue")[n % 3] for n in range(ROWS)], "category"),
        ("store_id", RANDOM.integers(0, 60, ROWS).tolist(), "category"),
        ("row", list(range(1, ROWS + 1)), "id"),
        ("always", [7] * ROWS, "constant"),
        ("never", [None] * ROWS, "constant"),
        ("has_pool", ["yes" if n % 3 else None for n in range(ROWS)], "category"),
        ("is_sold", [1 if n % 3 else None for n in range(ROWS)], "category"),
        ("sold", ["2024-01-31" if n % 3 else None for n in range(ROWS)], "datetime"),
        ("photo", [f"img_{n}.JPG" for n in range(ROWS)], "path"),
        ("ticket", [f"{word(2)}/{n} {word(3)}" for n in range(ROWS)], "code"),
        ("review", [" ".join(word(5) for _ in range(9)) for _ in range(ROWS)], "text"),
        ("day", [f"2024-{n % 12 + 1:02d}-{n % 28 + 1:02d}" for n in range(ROWS)], "datetime"),
        ("when", [f"{n % 28 + 1}/{n % 12 + 1}/2024 08:{n % 60:02d}" for n in range(ROWS)], "datetime"),
        ("zip", [f"{n % 30:05d}" for n in range(ROWS)], "category"),
    ],
)
def test_kind_follows_from_values(name: str, values: Sequence[object], kind: str, tmp_path: Path) -> None:
    guessed = guess_kind(name, facts_of(tmp_path, {name: values, "other": range(ROWS)})[name])

    assert guessed.kind == kind
    assert guessed.evidence


@pytest.mark.parametrize(
    ("values", "kind", "missing"),
    [
        (["1", "2", "NA", ""], "BIGINT", ()),
        (["1.5", "?", "-"], "DOUBLE", ("-",)),
        (["1", "1.5", "1e-3", "-2"], "DOUBLE", ()),
        (["1,5", "2,25"], "DOUBLE", ()),
        (["007", "012"], "VARCHAR", ()),
        (["123456789012345678901"], "VARCHAR", ()),
        (["1_000", "2"], "VARCHAR", ()),
        (["0x1F", "2"], "VARCHAR", ()),
        (["2024-01-31", "NaT"], "TIMESTAMP", ("NaT",)),
        (["31.01.2024", "01.02.2024"], "TIMESTAMP", ()),
        (["01/31/2024", "02/01/2024"], "TIMESTAMP", ()),
        (["2024-01-31", "yesterday"], "VARCHAR", ()),
        ([" 5", "6 "], "BIGINT", ()),
        ([*map(str, range(100)), "unknown"], "BIGINT", ("unknown",)),
        (["True", "False"], "VARCHAR", ()),
        (["NA", "", None], "VARCHAR", ()),
    ],
)
def test_type_fits_every_value(values: Sequence[str | None], kind: str, missing: tuple[str, ...]) -> None:
    found = infer(values)

    assert (found.name, found.missing) == (kind, missing)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["1", "2"], "BIGINT"),
        (["1", "02"], "VARCHAR"),
        (["1", "-0"], "VARCHAR"),
        (["1.0", "2.0"], "VARCHAR"),
        (["NA", "1"], "VARCHAR"),
        (["2011-01-20 00:00:00"], "TIMESTAMP"),
        (["2011-01-20"], "VARCHAR"),
    ],
)
def test_exact_type_prints_as_it_was_written(values: Sequence[str], kind: str) -> None:
    assert infer(values, exact=True).name == kind


def test_missing_in_disguise_is_named(tmp_path: Path) -> None:
    base = [n * 1.5 for n in range(ROWS)]
    columns: Columns = {
        "id": range(ROWS),
        "low": [-999 if n % 10 == 0 else base[n] for n in range(ROWS)],
        "minus_one": [-1 if n % 10 == 0 else n for n in range(ROWS)],
        "words": ["?" if n % 9 == 0 else "abc"[n % 3] for n in range(ROWS)],
        "odd": ["unknown" if n % 50 == 0 else n for n in range(ROWS)],
        "real": [n - 999 for n in range(ROWS)],
        "goal": [n % 2 for n in range(ROWS)],
    }
    write_csv(tmp_path / "data/train.csv", columns)
    write_csv(tmp_path / "data/test.csv", {name: list(v)[:50] for name, v in columns.items() if name != "goal"})

    found = {column.name: column for column in profile_dataset(tmp_path / "data", tmp_path / "t", {}).columns}

    assert found["low"].disguised_missing == ("-999",)
    assert found["minus_one"].disguised_missing == ("-1",)
    assert found["words"].disguised_missing == ("?",)
    assert found["words"].missing == pytest.approx(23 / 200)
    assert (found["odd"].disguised_missing, found["odd"].type) == (("unknown",), "BIGINT")
    assert found["real"].disguised_missing == ()


def test_facts_are_those_of_all_rows(tmp_path: Path) -> None:
    values = [None if n == 3 else n / 4 for n in range(ROWS)]
    facts = facts_of(tmp_path, {"x": values, "label": ["b", "a"] * 100})
    known = [value for value in values if value is not None]

    profile = {column.name: column for column in _profiled(facts)}

    assert (profile["x"].low, profile["x"].high) == ("0.0", "49.75")
    assert profile["x"].mean == pytest.approx(np.mean(known))
    assert profile["x"].deviation == pytest.approx(np.std(known))
    assert (profile["x"].missing, profile["x"].distinct) == (1 / ROWS, ROWS - 1)
    assert profile["x"].distinct_is_exact
    assert profile["label"].top == (("a", 0.5), ("b", 0.5))


def test_large_tables_are_sampled_evenly_and_say_that_distinct_is_estimated(tmp_path: Path) -> None:
    with connect(tmp_path) as connection:
        target = tmp_path / "big.parquet"
        connection.execute(f"COPY (SELECT i, i % 3 AS three FROM range(100000) t(i)) TO '{target}'")
        rows, facts = measure(connection, target, {"i": "BIGINT", "three": "BIGINT"})

    assert rows == 100_000
    assert np.diff(facts["i"].numbers).tolist() == [5.0] * (len(facts["i"].numbers) - 1)
    assert not facts["i"].distinct_is_exact
    assert abs(facts["i"].distinct - 100_000) < 10_000
    assert (facts["i"].low, facts["i"].high, facts["three"].distinct) == ("0", "99999", 3)


def test_two_values_are_two_though_an_estimate_takes_them_for_one(tmp_path: Path) -> None:
    with connect(tmp_path) as connection:
        target = tmp_path / "big.parquet"
        connection.execute(f"COPY (SELECT 48.0::DOUBLE * (i % 2) AS age FROM range(30000) t(i)) TO '{target}'")
        _, facts = measure(connection, target, {"age": "DOUBLE"})

    assert facts["age"].distinct == 2


def test_personal_columns_never_show_their_values(tmp_path: Path) -> None:
    columns: Columns = {
        "name": [f"{first} {last}" for first in ("Ada", "Bo", "Cy", "Di") for last in ("Roe", "Poe", "Low")] * 2,
        "mail": [f"person{n % 4}@example.com" for n in range(24)],
        "credit_card": [4111110000000000 + n * 7919 for n in range(24)],
        "date_of_birth": [f"19{60 + n}-05-06" for n in range(24)],
        "seats": [n % 3 for n in range(24)],
    }
    facts = facts_of(tmp_path, columns)

    personal = find_personal_columns(facts, {})
    profile = {column.name: column for column in _profiled(facts)}

    assert personal == {
        "name": ("name",),
        "mail": ("email",),
        "credit_card": ("card",),
        "date_of_birth": ("birth_date",),
    }
    assert profile["mail"].top == (("<email>", 1.0),)
    assert profile["credit_card"].kind == "code"
    text = repr(profile)
    for values in (columns["name"], columns["mail"], columns["credit_card"], columns["date_of_birth"]):
        assert not any(str(value) in text for value in values)


def _profiled(facts: Mapping[str, Facts]) -> list[ColumnProfile]:
    return profile_columns(
        facts, {}, ids=(), targets={}, duplicates={}, disguised={}, personal=find_personal_columns(facts, {})
    )
