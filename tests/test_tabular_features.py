"""The features of the tabular template say what columns hold, row by row and without looking at targets."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
import yaml

from autokaggle.skills.pipeline.pipeline_generator import template_folder

Load = Callable[..., ModuleType]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Load]:
    """Import a file of the template as its scripts do; ``columns`` become those of its configuration."""
    for path in template_folder("tabular").glob("*.py"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    monkeypatch.syspath_prepend(str(tmp_path))

    def load_module(module: str, /, **columns: str) -> ModuleType:
        config = {"columns": columns, "target_columns": ["target"], "seed": 0, "features": {}}
        (tmp_path / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False), "utf-8")
        return importlib.import_module(module)

    yield load_module
    for name, module in list(sys.modules.items()):
        if getattr(module, "__file__", None) and str(module.__file__).startswith(str(tmp_path)):
            del sys.modules[name]


def texts(*values: str | None) -> pd.Series:
    return pd.Series(values, dtype="str")


def test_codes_of_a_common_form_become_their_parts(load: Load) -> None:
    features = load("features", cabin="code")
    table = pd.DataFrame({"cabin": [f"{'ABC'[n % 3]}/{n}/{'PS'[n % 2]}" for n in range(60)]})
    made = features.transform(table, features.fit(table))
    assert made["cabin: part 1"].dtype == "category"
    assert made["cabin: part 1"].tolist() == [text[0] for text in table["cabin"]]
    assert made["cabin: part 2"].tolist() == list(range(60))
    assert made["cabin: part 3"].tolist() == [text[-1] for text in table["cabin"]]


def test_an_id_tells_its_group_but_never_itself(load: Load) -> None:
    features = load("features", id="id")
    table = pd.DataFrame({"id": [f"{n // 2:04d}_{n % 2:02d}" for n in range(59)]})
    made = features.transform(table, features.fit(table))
    assert made["id: rows with same part 1"].tolist() == [2.0] * 58 + [1.0]
    assert "id: part 1" not in made
    assert "id: whole" not in made


def test_a_numeric_id_is_left_out(load: Load) -> None:
    features = load("features", id="id")
    table = pd.DataFrame({"id": np.arange(40)})
    assert features.transform(table, features.fit(table)).empty


def test_names_give_titles_and_families(load: Load) -> None:
    features = load("features", name="text")
    names = [f"Family{n % 15}, {'Mr' if n % 2 else 'Mrs'}. First{n}{' Ann' * (n % 3)}" for n in range(44)] + [
        "Smith, Dr Jo"
    ]
    table = pd.DataFrame({"name": names})
    made = features.transform(table, features.fit(table))
    assert set(made["name: title"].dropna()) == {"Mr", "Mrs"}
    assert made["name: surname"].tolist() == [name.partition(",")[0] for name in names]
    assert made["name: rows with same surname"].tolist()[-1] == 1.0
    assert made["name: rows with same surname"].max() == 3.0


def test_tickets_give_letters_and_numbers(load: Load) -> None:
    features = load("features", ticket="code")
    tickets = [*(f"{n}" for n in range(1000, 1030)), "PC 17599", "STON/O2. 3101282", "LINE", None]
    table = pd.DataFrame({"ticket": texts(*tickets)})
    made = features.transform(table, features.fit(table))
    assert made["ticket: leading letters"].tolist()[-4:-1] == ["PC", "STON", "LINE"]
    assert made["ticket: trailing number"].tolist()[-4:-2] == [17599.0, 3101282.0]
    assert made["ticket: words"].tolist()[-4:-1] == [2.0, 2.0, 1.0]
    assert made.iloc[-1].isna().all()


@pytest.mark.parametrize(
    ("written", "number"),
    [
        (lambda n: f"{n / 8 - 3} kg", lambda n: n / 8 - 3),
        (lambda n: f"${1000.5 * n:,.2f}", lambda n: 1000.5 * n),
        (lambda n: f"{n}.25%", lambda n: n + 0.25),
        (lambda n: f"{n},5 l", lambda n: n + 0.5),
    ],
    ids=["signs", "thousands", "percent", "decimal commas"],
)
def test_amounts_with_a_unit_are_numbers(
    load: Load, written: Callable[[int], str], number: Callable[[int], float]
) -> None:
    features = load("features", size="code")
    table = pd.DataFrame({"size": texts(*map(written, range(60)), None)})
    made = features.transform(table, features.fit(table))
    assert made["size: amount"].tolist()[:-1] == [number(n) for n in range(60)]
    assert np.isnan(made["size: amount"].iloc[-1])


@pytest.mark.parametrize(
    "written",
    [lambda n: f"A{n}", lambda n: f"A-{n}", lambda n: f"{n} kg", lambda n: f"{n}-{n}", lambda n: f"word{'s' * n}"],
    ids=["a code", "a code with a dash", "told by the last digits", "a range", "no number"],
)
def test_texts_that_hold_no_more_than_their_last_digits_have_no_amount(
    load: Load, written: Callable[[int], str]
) -> None:
    features = load("features", size="code")
    table = pd.DataFrame({"size": texts(*map(written, range(60)))})
    assert "size: amount" not in features.transform(table, features.fit(table))


def test_dates_become_the_parts_that_vary_and_that_train_knows(load: Load) -> None:
    features = load("features", when="datetime")
    train = pd.DataFrame({"when": [f"2024-{month:02d}-{day:02d} 10:00" for month in (1, 2, 3) for day in range(1, 19)]})
    test = pd.DataFrame({"when": [f"2024-{month:02d}-{day:02d} 10:00" for month in (1, 2, 3) for day in range(19, 28)]})
    made = features.transform(train, features.fit(train, test))
    assert list(made.columns) == ["when: month", "when: weekday"]
    assert made["when: month"].tolist() == [month for month in (1, 2, 3) for _ in range(18)]


def test_text_that_starts_with_dates_is_read_as_dates(load: Load) -> None:
    features = load("features", when="id")
    table = pd.DataFrame({"when": [f"2024-01-{day:02d} {hour:02d}:00:00" for day in (1, 2) for hour in range(24)]})
    assert "when: hour" in features.transform(table, features.fit(table))


def test_amounts_of_one_scale_are_added_up(load: Load) -> None:
    features = load("features", a="number", b="number", c="number")
    random = np.random.default_rng(0)
    spent = {name: np.where(random.random(90) < 0.5, 0, random.integers(1, 1000, 90)) for name in "abc"}
    table = pd.DataFrame(spent)
    made = features.transform(table, features.fit(table))
    assert made["amounts: sum"].tolist() == table.sum(axis=1).tolist()
    assert made["amounts: zeros"].tolist() == (table == 0).sum(axis=1).tolist()
    table["a"] *= 1000
    assert "amounts: sum" not in features.transform(table, features.fit(table))


def test_a_rows_features_depend_on_that_row_and_the_state_alone(load: Load) -> None:
    kinds = {"id": "id", "size": "number", "colour": "category", "when": "text", "code": "code", "name": "text"}
    features = load("features", **kinds)
    random = np.random.default_rng(1)
    table = pd.DataFrame(
        {
            "id": [f"{n // 3}-{n}" for n in range(120)],
            "size": np.where(random.random(120) < 0.2, np.nan, random.normal(size=120)),
            "colour": texts(*random.choice(["red", "blue"], 120).tolist()),
            "when": [f"2024-05-{1 + n % 28:02d}" for n in range(120)],
            "code": [f"{'XY'[n % 2]}{n % 40}" for n in range(120)],
            "name": [f"F{n % 30}, Mr. {n}" for n in range(120)],
        }
    )
    state = features.fit(table)
    whole = features.transform(table, state)
    rows = random.permutation(120)[:30]
    part = features.transform(table.iloc[rows], state)
    assert len(whole.columns) > 10
    for name in whole.columns:
        assert part[name].astype("str").tolist() == whole[name].astype("str").iloc[rows].tolist(), name


def test_values_and_gaps_that_were_never_seen_pass(load: Load) -> None:
    features = load("features", colour="category", code="code", when="datetime", size="number")
    encoding = importlib.import_module("encoding")
    table = pd.DataFrame(
        {
            "colour": texts(*["red", "blue"] * 20),
            "code": [f"A/{n}" for n in range(40)],
            "when": [f"2024-05-{1 + n % 28:02d}" for n in range(40)],
            "size": range(40),
        }
    )
    state = features.fit(table)
    learned = encoding.fit([features.transform(table, state)], "all")
    strange = pd.DataFrame(
        {"colour": texts("green", None), "code": texts("odd", None), "when": texts("never", None), "size": [None, "x"]}
    )
    encoded = encoding.encode(features.transform(strange, state), learned)
    assert encoded.values.shape == (2, len(learned.names))
    assert (encoded.keys == -1).all()


@pytest.mark.parametrize("offset", ["", "Z", "+02:00", " -0530", "+09", "mixed"])
def test_dates_with_an_offset_are_what_the_clock_showed_there(load: Load, offset: str) -> None:
    features = load("features", when="text")
    clocks = [f"2024-{1 + n % 12:02d}-{1 + n % 28:02d}T{n % 24:02d}:30:00" for n in range(40)]
    table = pd.DataFrame(
        {
            "when": texts(
                *(clock + (f"+{n % 3:02d}:00" if offset == "mixed" else offset) for n, clock in enumerate(clocks))
            )
        }
    )
    made = features.transform(table, features.fit(table))
    for part, place in (("month", slice(5, 7)), ("day", slice(8, 10)), ("hour", slice(11, 13))):
        assert made[f"when: {part}"].tolist() == [int(clock[place]) for clock in clocks]
    date_parts = importlib.import_module("date_parts")
    strange = date_parts.to_dates(texts("2024-03-01", None, "never", "2024-03-01 10:00:00.5+01:00"))
    assert strange.astype("str").tolist()[0::3] == ["2024-03-01 00:00:00.000", "2024-03-01 10:00:00.500"]
    assert strange.isna().tolist() == [False, True, True, False]


def test_a_column_named_like_what_is_made_of_another_keeps_its_place(load: Load) -> None:
    features = load("features", **{"when: month": "number", "when": "datetime"})
    table = pd.DataFrame({"when": [f"2024-{1 + n % 12:02d}-01" for n in range(40)], "when: month": np.arange(40.0)})
    made = features.transform(table, features.fit(table))
    assert made["when: month"].tolist() == list(range(40))
    assert made["when: month'"].tolist() == [1 + n % 12 for n in range(40)]


def test_numbers_beyond_float32_stay_apart_or_become_missing(load: Load) -> None:
    features = load("features", stamp="number", wild="number")
    encoding = importlib.import_module("encoding")
    table = pd.DataFrame({"stamp": 1.7e9 + np.arange(40), "wild": [np.inf, -np.inf, 1e300, *range(37)]})
    made = features.transform(table, features.fit(table))
    encoded = encoding.encode(made, encoding.fit([made], "keys"))
    assert np.diff(encoded.values[:, 0]).tolist() == [1.0] * 39
    assert np.isnan(encoded.values[:3, 1]).all()
    assert encoded.values[3:, 1].tolist() == list(range(37))


def test_a_telling_key_is_encoded_without_a_rows_own_label(load: Load) -> None:
    target_encoding = load("target_encoding")
    random = np.random.default_rng(0)
    codes = random.integers(0, 100, (500, 1)).astype(np.int32)
    outcomes = (random.random(500) < np.where(codes[:, 0] % 2, 0.9, 0.1)).astype(float)[:, None]
    encoder, crosswise = target_encoding.fit(codes, outcomes, seed=0)
    assert encoder.keys == (0,)
    known = ~np.isnan(crosswise[:, 0])
    assert np.corrcoef(crosswise[known, 0], codes[known, 0] % 2)[0, 1] > 0.7
    outcomes[7] = 1 - outcomes[7]
    _, changed = target_encoding.fit(codes, outcomes, seed=0)
    others = np.flatnonzero((codes[:, 0] == codes[7, 0]) & (np.arange(500) != 7))
    assert abs(changed[7, 0] - crosswise[7, 0]) < 0.02
    assert np.abs(changed[others, 0] - crosswise[others, 0]).max() > 0.05


@pytest.mark.parametrize("levels", [250, 400])
def test_a_key_that_tells_nothing_is_left_out(load: Load, levels: int) -> None:
    target_encoding = load("target_encoding")
    random = np.random.default_rng(0)
    codes = random.integers(0, levels, (500, 1)).astype(np.int32)
    encoder, crosswise = target_encoding.fit(codes, random.normal(size=(500, 1)), seed=0)
    assert encoder.keys == ()
    assert crosswise.shape == encoder.encode(codes).shape == (500, 0)


def test_unknown_levels_are_missing(load: Load) -> None:
    target_encoding = load("target_encoding")
    codes = np.repeat(np.arange(20), 10).astype(np.int32)[:, None]
    encoder, _ = target_encoding.fit(codes, (codes % 2).astype(float) + 0.01 * np.arange(200)[:, None] % 0.1, seed=0)
    assert np.isnan(encoder.encode(np.array([[-1], [20], [9999]], dtype=np.int32))).all()


def test_linear_models_see_no_gaps_and_no_far_values(load: Load) -> None:
    dense = load("dense")
    random = np.random.default_rng(0)
    x = np.column_stack(
        [
            np.where(random.random(200) < 0.3, np.nan, random.normal(size=200)),
            np.exp(3 * random.normal(size=200)),
            np.full(200, np.nan),
            random.integers(0, 3, 200),
        ]
    ).astype(np.float32)
    encoder = dense.fit(x, [3])
    made = encoder.encode(np.vstack([x, [[np.nan, 1e30, 5.0, 77.0]]]).astype(np.float32))
    assert made.shape == (201, 2 + 2 + 3)
    assert np.isfinite(made).all()
    assert np.abs(made).max() <= 5
    assert made[-1, -3:].tolist() == [0, 0, 0]
