"""A competition to try the program on; this file makes it from open data that an installed package carries.

The rows come from the PyPI package ``airportsdata`` (MIT licence) and are read when the competition is made: none of
them lies in this repository. The same package version and seed give the same files.
"""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
import string
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

DEMO_SLUG = "practice-airport-codes"
DEMO_TITLE = "Practice: which airports have a baggage code?"

TRAIN_ROWS = 4200
TEST_ROWS = 1800
SAMPLE_VALUE = 0.5
TEAM_SIZE = 5
DAILY_SUBMISSIONS = 10

ID = "id"
TARGET = "has_iata_code"
FEATURES = {
    "name": "name",
    "city": "city",
    "region": "subd",
    "country": "country",
    "timezone": "tz",
    "latitude": "lat",
    "longitude": "lon",
    "elevation": "elevation",
}
COMPETITION: Mapping[str, Any] = {
    "id": 1,
    "title": DEMO_TITLE,
    "description": "Predict which airports have an IATA code from what an atlas tells about them.",
    "category": "Playground",
    "reward": "Practice",
    "tags": [{"ref": "tabular", "name": "tabular"}, {"ref": "binary-classification", "name": "binary classification"}],
    "dateCreated": "2026-01-01T00:00:00Z",
    "enabledDate": "2026-01-01T00:00:00Z",
    "deadline": "2099-12-31T23:59:00Z",
    "userHasEntered": True,
    "maxDailySubmissions": DAILY_SUBMISSIONS,
    "maxTeamSize": TEAM_SIZE,
    "evaluationMetric": "Area Under Receiver Operating Characteristic Curve",
    "awardsPoints": False,
    "isKernelsSubmissionsOnly": False,
    "submissionsDisabled": False,
}

Row = dict[str, Any]


def make_demo_competition(folder: Path, seed: int = 0) -> str:
    """Write the demo competition to ``folder/SLUG`` in the layout of ``hosted_competition`` and return its slug.

    What stands there already is replaced. ``seed`` chooses the airports and how they are split.
    """
    rows = _sample(seed)
    train, test = rows[:TRAIN_ROWS], rows[TRAIN_ROWS:]
    competition = folder / DEMO_SLUG
    if competition.exists():
        shutil.rmtree(competition)
    (competition / "private" / "baselines").mkdir(parents=True)
    (competition / "data").mkdir()
    (competition / "competition.json").write_text(json.dumps(COMPETITION, indent=1) + "\n", "utf-8")
    _write_pages(competition / "pages", test)
    _write_data(competition / "data", train, test)
    _write_private(competition / "private", train, test, seed)
    return DEMO_SLUG


def _sample(seed: int) -> list[Row]:
    """Return train and test rows, in this order, with their ids."""
    import airportsdata

    airports: list[Mapping[str, Any]] = list(airportsdata.load("ICAO").values())
    # A hash, not a random generator: a new version of the package then changes the rows that it changed and no others.
    airports.sort(key=lambda airport: _hash(seed, "sample", airport["icao"]))
    return [
        {
            ID: number,
            **{name: airport[source] for name, source in FEATURES.items()},
            TARGET: int(airport["iata"] != ""),
        }
        for number, airport in enumerate(airports[: TRAIN_ROWS + TEST_ROWS], start=1)
    ]


def _hash(seed: int, purpose: str, text: object) -> str:
    return hashlib.sha256(f"{seed} {purpose} {text}".encode()).hexdigest()


def _write_pages(folder: Path, test: Sequence[Row]) -> None:
    import airportsdata

    facts = {
        "title": DEMO_TITLE,
        "train_rows": f"{TRAIN_ROWS:,}",
        "test_rows": f"{TEST_ROWS:,}",
        "data_version": airportsdata.__version__,
        "first_test_id": test[0][ID],
        "second_test_id": test[1][ID],
        "team_size": TEAM_SIZE,
        "daily_submissions": DAILY_SUBMISSIONS,
    }
    folder.mkdir()
    for page in resources.files(__package__).joinpath("demo_pages").iterdir():
        text = string.Template(page.read_text("utf-8")).substitute(facts)
        (folder / page.name).write_text(text, "utf-8")


def _write_data(folder: Path, train: Sequence[Row], test: Sequence[Row]) -> None:
    _write_csv(folder / "train.csv", [ID, *FEATURES, TARGET], train)
    _write_csv(folder / "test.csv", [ID, *FEATURES], test)
    _write_csv(folder / "sample_submission.csv", [ID, TARGET], _answers(test, [SAMPLE_VALUE] * len(test)))


def _write_private(folder: Path, train: Sequence[Row], test: Sequence[Row], seed: int) -> None:
    half = sorted(test, key=lambda row: _hash(seed, "usage", row[ID]))[: len(test) // 2]
    public = {row[ID] for row in half}
    solution = [{**row, "Usage": "Public" if row[ID] in public else "Private"} for row in test]
    _write_csv(folder / "solution.csv", [ID, TARGET, "Usage"], solution)
    for name, values in _baselines(train, test).items():
        _write_csv(folder / "baselines" / f"{name}.csv", [ID, TARGET], _answers(test, values))


def _baselines(train: Sequence[Row], test: Sequence[Row]) -> dict[str, list[float]]:
    """Return what simple rules answer for the test rows, by the name under which they stand on the leaderboard."""
    import numpy as np

    targets = np.array([row[TARGET] for row in train], dtype=float)
    by_country: dict[str, list[float]] = {}
    for row, target in zip(train, targets.tolist(), strict=True):
        by_country.setdefault(row["country"], []).append(target)
    shares = {country: sum(values) / len(values) for country, values in by_country.items()}
    closeness = _directions(test) @ _directions(train).T
    ten_nearest = np.argpartition(closeness, -10, axis=1)[:, -10:]
    return {
        "sample submission": [SAMPLE_VALUE] * len(test),
        "share in the country": [shares.get(row["country"], float(targets.mean())) for row in test],
        "nearest airport": targets[closeness.argmax(axis=1)].tolist(),
        "ten nearest airports": targets[ten_nearest].mean(axis=1).tolist(),
    }


def _directions(rows: Sequence[Row]) -> Any:
    """Return positions as unit vectors, shape (rows, 3): the larger the product of two, the nearer they are."""
    import numpy as np

    latitude = np.radians([row["latitude"] for row in rows])
    longitude = np.radians([row["longitude"] for row in rows])
    return np.stack(
        [np.cos(latitude) * np.cos(longitude), np.cos(latitude) * np.sin(longitude), np.sin(latitude)], axis=1
    )


def _answers(test: Sequence[Row], values: Iterable[float]) -> list[Row]:
    return [{ID: row[ID], TARGET: value} for row, value in zip(test, values, strict=True)]


def _write_csv(path: Path, columns: Sequence[str], rows: Iterable[Row]) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([_text(row[name]) for name in columns] for row in rows)


def _text(value: object) -> object:
    """Return whole numbers without ``.0``, as the package writes them."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
